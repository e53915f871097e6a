"""Images of textured glTF files against Embree and a texture look-up in numpy, neither of which imports anything.

The look-up starts from the numbers that the test writes into the file, so it also checks how the file is read: UV sets,
wrap modes, texture transforms, quantised accessors, and images as PNG, WebP and KTX2.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from scipy.spatial.transform import Rotation

from batchsim.scenes.baking.bake import bake
from batchsim.scenes.sources.importer import import_file
from tests.helpers.gltf_builder import SQUARE_UVS, GltfBuilder

REPEAT, CLAMP, MIRROR = 10497, 33071, 33648
PIXELS, EYE = 64, 1.25
TEXELS = 64
KTX2 = Path(__file__).with_name("smooth.ktx2")
"""`smooth_image` as UASTC with mip levels and Zstandard, written by basisu 2.1 (quality 100)."""


def smooth_image():
    """A wave along u and a weaker one along v: no mirror image or turn of it is the same, and its edges are level.

    So it has no seam where it repeats, and filtering, also of minified textures, changes it by less than 3 of 255.
    """
    at = (np.arange(TEXELS) + 0.5) / TEXELS
    wave = np.sin(2 * np.pi * at) * np.sin(np.pi * at) ** 2 / 0.6495
    mixed = 0.6 * wave + 0.4 * wave[:, None]
    return np.rint(np.array([130, 120, 110]) + mixed[..., None] * np.array([100, -70, 45])).astype(np.uint8)


def room():
    """A room of 6 x 5 x 2.8 m with a table and a ramp: corners of quads float `[Q, 4, 3]`, seen from inside."""
    box = np.array([[x, y, z] for x in (-1, 1) for y in (0, 1) for z in (-1, 1)], float)
    sides = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]  # outwards
    hall = (box * [3, 2.8, 2.5])[sides][:, ::-1]
    table = (box * [0.6, 0.9, 0.4] + [1.2, 0, -0.8])[sides]
    ramp = np.array([[[-2.9, 0, 2.3], [-1.4, 0, 2.3], [-1.4, 0.6, 1.2], [-2.9, 0.6, 1.2]]])
    return np.concatenate([hall, table, ramp])


QUADS = room()
CORNERS = np.arange(4 * len(QUADS)).reshape(-1, 4)[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
POSITIONS = QUADS.reshape(-1, 3).astype(np.float32)
# A repeat spans some 4 m; every quad shows another piece of the plane, from -0.9 to 2 at most.
SPANS = np.linalg.norm(QUADS[:, [1, 3]] - QUADS[:, :1], axis=2) / 4
SHIFTS = np.random.default_rng(5).uniform(-0.9, 0.4, (len(QUADS), 2))
UVS = (SQUARE_UVS * SPANS[:, None] + SHIFTS[:, None]).reshape(-1, 2)
QUANTISED = np.round((UVS + 1) / 3 * 65535).astype(np.uint16)
"""UVs in steps of 3 / 65535 from -1."""


def plain(built, uvs=UVS, texture=None, wrap=(REPEAT, REPEAT), info=None, positions=None, set_number=0, node=None):
    """Adds the room; `texture` None has no texture at all."""
    material = None
    if texture is not None:
        built.header["samplers"] = [{"wrapS": wrap[0], "wrapT": wrap[1]}]
        built.header["textures"][texture]["sampler"] = 0
        material = built.textured(texture, info)
    fields = {} if material is None else {"material": material}
    normalized = {"normalized": True} if uvs.dtype.kind == "u" else {}
    attributes = {"POSITION": built.accessor(POSITIONS) if positions is None else positions}
    attributes[f"TEXCOORD_{set_number}"] = built.accessor(
        uvs if uvs.dtype.kind == "u" else uvs.astype(np.float32), **normalized
    )
    if set_number:
        attributes["TEXCOORD_0"] = built.accessor(np.zeros_like(UVS, np.float32))
    built.mesh(attributes, indices=built.accessor(CORNERS.reshape(-1).astype(np.uint8)), **fields)
    built.header["nodes"][-1].update(node or {})


def with_image(kind="png", **options):
    return lambda built: plain(built, texture=built.image(smooth_image(), kind, **options))


def uv_set_one(built):
    plain(built, texture=built.image(smooth_image()), info={"texCoord": 1}, set_number=1)


def wrapped(u, v):
    return lambda built: plain(built, texture=built.image(smooth_image()), wrap=(u, v))


def transformed(built):
    """The file's coordinates are what the transform maps to `UVS`: turned by 0.7, scaled by 2 and 0.5, and moved."""
    c, s = np.cos(0.7), np.sin(0.7)
    back = np.stack([c * (UVS[:, 0] - 0.3) - s * (UVS[:, 1] + 0.2), s * (UVS[:, 0] - 0.3) + c * (UVS[:, 1] + 0.2)], 1)
    transform = {"offset": [0.3, -0.2], "rotation": 0.7, "scale": [2.0, 0.5]}
    info = {"extensions": {"KHR_texture_transform": transform}}
    plain(built, back / [2.0, 0.5], built.image(smooth_image()), info=info)


def quantised(built):
    """16-bit integers: the node scales and moves positions, the texture transform does texture coordinates."""
    low, size = POSITIONS.min(0), float(np.ptp(POSITIONS))
    steps = built.accessor(np.round((POSITIONS - low) / size * 65535).astype(np.uint16), normalized=True)
    node = {"translation": low.tolist(), "scale": [size] * 3}
    info = {"extensions": {"KHR_texture_transform": {"offset": [-1, -1], "scale": [3, 3]}}}
    plain(built, QUANTISED, built.image(smooth_image()), info=info, positions=steps, node=node)
    built.header["extensionsRequired"] = ["KHR_mesh_quantization"]


def webp(built):
    built.image(smooth_image(), "webp", lossless=True)
    built.header["textures"] = [{"extensions": {"EXT_texture_webp": {"source": 0}}}]
    plain(built, texture=0)


def ktx2(built):
    built.header["images"] = [{"bufferView": built.view(KTX2.read_bytes()), "mimeType": "image/ktx2"}]
    built.header["textures"] = [{"extensions": {"KHR_texture_basisu": {"source": 0}}}]
    built.header["extensionsUsed"] = built.header["extensionsRequired"] = ["KHR_texture_basisu"]
    plain(built, texture=0)


CASES = {
    "plain": (with_image(), REPEAT, REPEAT),
    "jpeg": (with_image("jpeg", quality=98, subsampling=0), REPEAT, REPEAT),
    "uv set 1": (uv_set_one, REPEAT, REPEAT),
    "clamp": (wrapped(CLAMP, CLAMP), CLAMP, CLAMP),
    "mirror": (wrapped(MIRROR, MIRROR), MIRROR, MIRROR),
    "mirror and clamp": (wrapped(MIRROR, CLAMP), MIRROR, CLAMP),
    "transform": (transformed, REPEAT, REPEAT),
    "quantised": (quantised, REPEAT, REPEAT),
    "webp": (webp, REPEAT, REPEAT),
    "ktx2": (ktx2, REPEAT, REPEAT),
}


@pytest.fixture(scope="module")
def views():
    """Poses of a camera that stands on the floor, and what Embree sees from them: depth, triangle, weights."""
    rng = np.random.default_rng(2)
    feet = np.array([[-2, 0, -1.8], [2, 0, 1.7], [0, 0, 0.3], [-1, 0, -0.5]])
    headings = np.array([3.9, 0.8, 5.6, 2.2])
    tilts = rng.uniform(-0.5, 0.2, len(feet))
    turns = Rotation.from_euler("yx", np.stack([headings, tilts], 1))
    poses = np.concatenate([feet + np.array([0, EYE, 0]), turns.as_quat()], 1).astype(np.float32)
    at = (2 * (np.arange(PIXELS) + 0.5) / PIXELS - 1)[None]
    rays = np.stack(np.broadcast_arrays(at, -at.T, -1.0), -1).reshape(-1, 3)
    world = EmbreeScene()
    TriangleMesh(world, POSITIONS[CORNERS])
    depth, triangle, weights = [], [], []
    for pose, turn in zip(poses, turns, strict=True):
        # Along the axis these rays reach one metre, so that a ray's parameter is depth.
        directions = turn.apply(rays).astype(np.float32)
        hit = world.run(np.tile(pose[:3], (len(rays), 1)), directions, output=True)
        assert (hit["primID"] >= 0).all()
        depth.append(hit["tfar"])
        triangle.append(hit["primID"])
        weights.append(np.stack([1 - hit["u"] - hit["v"], hit["u"], hit["v"]], 1))
    return torch.tensor(poses), np.concatenate(depth), np.concatenate(triangle), np.concatenate(weights)


@pytest.mark.parametrize("backend", ["raycast", "raster"])
@pytest.mark.parametrize("name", CASES)
def test_depth_and_colours(tmp_path, make_renderer, views, name, backend):
    if name == "ktx2":
        pytest.importorskip("opengl_basisu")
    build, wrap_u, wrap_v = CASES[name]
    poses, depth, triangle, weights = views
    shown = []
    for change in (build, plain):  # the second without a texture: what light does
        built = GltfBuilder()
        change(built)
        imported = import_file(built.write(tmp_path / "a.glb"))
        scene = bake(imported.mesh, "a", num_goals=1, label_names=imported.label_names)
        renderer = make_renderer(
            [scene], len(poses), PIXELS, PIXELS, sensors=("depth", "rgb"), backend=backend, device="cpu"
        )
        images = renderer.render(poses, torch.zeros(len(poses), dtype=torch.long))
        shown.append({sensor: images[sensor].numpy().copy() for sensor in images})
    assert (np.abs(shown[0]["depth"].reshape(-1) - depth) <= 2e-3).mean() >= 0.999

    uv = np.einsum("pc,pcx->px", weights, UVS[CORNERS[triangle]])
    albedo = bilinear(smooth_image(), folded(uv[:, 0], wrap_u), folded(uv[:, 1], wrap_v))
    expected = encoded(decoded(albedo) * decoded(shown[1]["rgb"].reshape(-1, 3)))
    near = (np.abs(shown[0]["rgb"].reshape(-1, 3).astype(int) - expected) <= 3).all(-1)
    assert near.mean() >= 0.99


def folded(x, mode):
    """Where in [0, 1] a coordinate is looked up."""
    if mode == REPEAT:
        return x - np.floor(x)
    if mode == CLAMP:
        return np.clip(x, 0, 1)
    period = np.abs(x) % 2
    return np.where(period > 1, 2 - period, period)


def bilinear(image, u, v):
    """Interpolates between the middles of texels, float `[P, 3]`; beyond the border the border's texels go on."""
    height, width = image.shape[:2]
    x, y = np.clip(u * width - 0.5, 0, width - 1), np.clip(v * height - 0.5, 0, height - 1)
    column, row = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    right, down = (x - column)[:, None], (y - row)[:, None]
    above = image[row, column] * (1 - right) + image[row, column + 1] * right
    below = image[row + 1, column] * (1 - right) + image[row + 1, column + 1] * right
    return above * (1 - down) + below * down


@pytest.mark.parametrize("backend", ["raycast", "raster"])
@pytest.mark.parametrize("mode", [CLAMP, MIRROR])
def test_borders_do_not_bleed(tmp_path, make_renderer, mode, backend):
    """The image is red on its left and blue on its right: no mixture of both at the outer borders, also minified."""
    built = GltfBuilder()
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :32, 0], pixels[:, 32:, 2] = 255, 255
    texture = built.image(pixels)
    built.header["samplers"] = [{"wrapS": mode, "wrapT": mode}]
    built.header["textures"][0]["sampler"] = 0
    built.square(SQUARE_UVS * 12 - [6, 0], material=built.textured(texture))
    imported = import_file(built.write(tmp_path / "a.glb"))
    scene = bake(imported.mesh, "a", num_goals=1, label_names=imported.label_names)
    renderer = make_renderer([scene], 1, 96, 96, sensors=("rgb",), backend=backend, device="cpu")
    looking_down = torch.tensor([[0, 1.9, 0, -(0.5**0.5), 0, 0, 0.5**0.5]])
    red, _, blue = renderer.render(looking_down, torch.tensor([0]))["rgb"][0].numpy().astype(int).transpose(2, 0, 1)
    # u at the middle of each column, and how much of a repeat a pixel spans.
    at, pixel = (2 * (np.arange(96) + 0.5) / 96 - 1) * 1.9 / 4 * 12, 2 * 1.9 / 96 / 4 * 12
    from_blue = np.abs(at - 0.5) if mode == CLAMP else np.abs((at - 0.5 + 0.5) % 1 - 0.5)
    sure = from_blue > 2 * pixel
    place = folded(at, mode)
    assert sure.mean() > 0.3
    assert (red[:, sure & (place < 0.5)] > 150).all()
    assert (blue[:, sure & (place < 0.5)] < 4).all()
    assert (blue[:, sure & (place > 0.5)] > 150).all()
    assert (red[:, sure & (place > 0.5)] < 4).all()


def decoded(srgb):
    value = np.asarray(srgb, float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def encoded(linear):
    value = np.clip(linear, 0, 1)
    return 255 * np.where(value <= 0.0031308, value * 12.92, 1.055 * np.maximum(value, 1e-9) ** (1 / 2.4) - 0.055)
