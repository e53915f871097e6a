"""Colours of textured glTF files against a look-up of our own: UV sets, wrap modes, transforms, quantised, WebP."""

import numpy as np
import pytest
import torch

from batchsim.scenes.baking.bake import bake
from batchsim.scenes.sources.importer import import_file
from tests.helpers.gltf_builder import SQUARE_UVS, GltfBuilder

SIDE, BLOCK, PIXELS, HEIGHT = 256, 32, 96, 1.9
LOOKING_DOWN = [0.0, HEIGHT, 0.0, -(0.5**0.5), 0.0, 0.0, 0.5**0.5]
UVS = SQUARE_UVS * [3.3, 2.6] - [1.2, 0.7]
REPEAT, CLAMP, MIRROR = 10497, 33071, 33648

# Blocks of one colour each, so that filtering changes no pixel but those at their borders.
COLORS = np.random.default_rng(3).integers(0, 256, (SIDE // BLOCK, SIDE // BLOCK, 3), np.uint8)
IMAGE = np.repeat(np.repeat(COLORS, BLOCK, 0), BLOCK, 1)


def plain(builder):
    builder.square(UVS, material=builder.textured(builder.image(IMAGE)))


def uv_set_one(builder):
    material = builder.textured(builder.image(IMAGE), {"texCoord": 1})
    builder.square(SQUARE_UVS, {"TEXCOORD_1": builder.accessor(UVS.astype(np.float32))}, material=material)


def wrapped(u, v):
    def build(builder):
        plain(builder)
        builder.header["samplers"] = [{"wrapS": u, "wrapT": v}]
        builder.header["textures"][0]["sampler"] = 0

    return build


def transformed(builder):
    info = {"extensions": {"KHR_texture_transform": {"scale": [3.3, 2.6], "offset": [-1.2, -0.7]}}}
    builder.square(SQUARE_UVS, material=builder.textured(builder.image(IMAGE), info))


def quantised(builder):
    transform = {"scale": [3.3, 2.6], "offset": [-1.2, -0.7]}
    material = builder.textured(builder.image(IMAGE), {"extensions": {"KHR_texture_transform": transform}})
    uvs = builder.accessor((SQUARE_UVS * 65535).astype(np.uint16), normalized=True)
    builder.square(None, {"TEXCOORD_0": uvs}, material=material)


def webp(builder):
    builder.image(IMAGE, "webp", lossless=True)
    builder.header["textures"] = [{"extensions": {"EXT_texture_webp": {"source": 0}}}]
    builder.square(UVS, material=builder.textured(0))


def folded(x, mode):
    """Where in [0, 1] a coordinate is looked up."""
    if mode == REPEAT:
        return x - np.floor(x)
    if mode == CLAMP:
        return np.clip(x, 0, 1)
    period = np.abs(x) % 2
    return np.where(period > 1, 2 - period, period)


CASES = {
    "plain": (plain, REPEAT, REPEAT),
    "uv set 1": (uv_set_one, REPEAT, REPEAT),
    "clamp": (wrapped(CLAMP, CLAMP), CLAMP, CLAMP),
    "mirror": (wrapped(MIRROR, MIRROR), MIRROR, MIRROR),
    "mirror and clamp": (wrapped(MIRROR, CLAMP), MIRROR, CLAMP),
    "clamp and repeat": (wrapped(CLAMP, REPEAT), CLAMP, REPEAT),
    "transform": (transformed, REPEAT, REPEAT),
    "quantised": (quantised, REPEAT, REPEAT),
    "webp": (webp, REPEAT, REPEAT),
}


@pytest.mark.parametrize("backend", ["raycast", "raster"])
@pytest.mark.parametrize("name", CASES)
def test_colours_are_those_of_the_image(tmp_path, make_renderer, name, backend):
    build, wrap_u, wrap_v = CASES[name]
    shown = []
    for change in (build, lambda builder: builder.square(UVS)):  # the second without a texture: what light does
        builder = GltfBuilder()
        change(builder)
        imported = import_file(builder.write(tmp_path / "a.glb"))
        scene = bake(imported.mesh, "a", num_goals=1, label_names=imported.label_names)
        renderer = make_renderer(
            [scene], num_views=1, width=PIXELS, height=PIXELS, sensors=("rgb",), backend=backend, device="cpu"
        )
        shown.append(renderer.render(torch.tensor([LOOKING_DOWN]), torch.tensor([0]))["rgb"][0].numpy())
    colors, light = shown

    place = (2 * (np.arange(PIXELS) + 0.5) / PIXELS - 1) * HEIGHT  # metres; the view is 90 degrees wide
    u, v = (place + 2) / 4 * 3.3 - 1.2, (place + 2) / 4 * 2.6 - 0.7
    texel_u, texel_v = folded(u, wrap_u) * SIDE, folded(v, wrap_v) * SIDE
    column, row = (np.minimum(texel // BLOCK, SIDE // BLOCK - 1).astype(int) for texel in (texel_u, texel_v))
    expected = encoded(decoded(COLORS[row[:, None], column[None]]) * decoded(light))
    # Filtering mixes the colours of two blocks within a texel, and at coarser levels two, of their border.
    clear_u, clear_v = (border_distance(texel, wrap) > 4 for texel, wrap in ((texel_u, wrap_u), (texel_v, wrap_v)))
    clear = clear_v[:, None] & clear_u[None]
    assert clear.mean() > 0.4
    near = (np.abs(colors.astype(int) - expected) <= 3).all(-1)
    assert near[clear].mean() >= 0.99


def border_distance(texel, wrap):
    """Texels to the next border between blocks; at a clamped or mirrored edge of the image there is none."""
    distance = np.abs(texel - np.round(texel / BLOCK) * BLOCK)
    if wrap != REPEAT:
        distance = np.where((texel < BLOCK / 2) | (texel > SIDE - BLOCK / 2), BLOCK, distance)
    return distance


def decoded(srgb):
    value = np.asarray(srgb, float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def encoded(linear):
    value = np.clip(linear, 0, 1)
    return 255 * np.where(value <= 0.0031308, value * 12.92, 1.055 * np.maximum(value, 1e-9) ** (1 / 2.4) - 0.055)
