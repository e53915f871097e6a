"""Images of any mode and depth against pixels that are known, and images that cannot be read."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from batchsim.scenes import SceneError
from batchsim.scenes.sources.importer import import_file
from batchsim.scenes.sources.surfaces.images import MAX_TEXTURE_SIZE, decode_image
from tests.helpers.gltf_builder import SQUARE_UVS, GltfBuilder

# 16 x 16 pixels, UASTC: four squares of 8 x 8 pixels; in the second the upper two are clear.
COLORS = np.repeat(np.repeat(np.array([[[200, 30, 30], [30, 200, 30]], [[30, 30, 200], [220, 220, 40]]]), 8, 0), 8, 1)
KTX2 = (
    "c-mX-9TK5nWU!l;ONxsD2pEA_0E%IN5sE<|1Bi8icnXw82M3TfA<;0kObi+f%NUs$n3<97sE4!u1A#n{20E*}D6=HBh`}kbII~zG"
    "G%vF(wWv5TN5M$X(13w~1*8k8P5kEJ$M<6t;rh|}*O_lVzR#nLlTWGs>xY?t-seeV#KoUJTl%T}t=$Z`_>}4g00yg6VE"
)
KTX2_WITH_ALPHA = (
    "c-mX-9TK5nWU!l;ONxsD2pEA_0E%IN5sE<|1Bi8icnXw82M3TfA<;0kObi+f%NUs$n3<97sAq<;{sVzLkOn%dyeP9IwTQtfu{g6>"
    "Av7<uEVZaOF-O5j&(MH@fd!<io`FI9=3(XoF^X`L(D~PyZ!#a?(Z<QARR8tE%s=n*Br@XSPoFLQ)c)3P23&kf^#cIu4NPn"
)


def unpacked(text):
    return zlib.decompress(base64.b85decode(text))


def packed(image, kind="png", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_ktx2():
    pytest.importorskip("opengl_basisu")
    np.testing.assert_array_equal(decode_image(unpacked(KTX2), "a"), COLORS)
    with_alpha = decode_image(unpacked(KTX2_WITH_ALPHA), "a")
    np.testing.assert_array_equal(with_alpha[8:, :, :3], COLORS[8:])
    np.testing.assert_array_equal(
        with_alpha[..., 3], np.where(np.arange(16)[:, None] < 8, 0, 255) + np.zeros((1, 16), int)
    )


def gltf_with_ktx2(path):
    builder = GltfBuilder()
    builder.header["images"] = [{"bufferView": builder.view(unpacked(KTX2)), "mimeType": "image/ktx2"}]
    builder.header["textures"] = [{"extensions": {"KHR_texture_basisu": {"source": 0}}}]
    builder.header["extensionsUsed"] = builder.header["extensionsRequired"] = ["KHR_texture_basisu"]
    builder.square(SQUARE_UVS, material=builder.textured(0))
    return builder.write(path)


def test_ktx2_in_a_gltf(tmp_path):
    pytest.importorskip("opengl_basisu")
    np.testing.assert_array_equal(import_file(gltf_with_ktx2(tmp_path / "a.glb")).mesh.textures[0], COLORS)


def test_ktx2_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("batchsim.scenes.sources.gltf.extensions.can_decode_ktx2", lambda: False)
    with pytest.raises(SceneError, match=r"a\.glb: requires KHR_texture_basisu.*batchsim\[scans\]"):
        import_file(gltf_with_ktx2(tmp_path / "a.glb"))
    monkeypatch.setattr("batchsim.scenes.sources.surfaces.images.can_decode_ktx2", lambda: False)
    with pytest.raises(SceneError, match=r"x: is a KTX2 image.*batchsim\[scans\]"):
        decode_image(unpacked(KTX2), "x")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I"])
def test_modes(mode):
    grey = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8))
    kind = "jpeg" if mode == "CMYK" else "tiff" if mode == "I" else "png"
    if mode.startswith("I"):
        image = Image.fromarray(np.array([[0, 65535], [65535, 0]], np.uint16 if mode == "I;16" else np.int32))
    else:
        image = grey.convert(mode)
    found = decode_image(packed(image, kind), "a")
    assert found.shape == (2, 2, 4 if mode in ("LA", "RGBA") else 3)
    # Two by two pixels of a JPEG are lossy.
    np.testing.assert_allclose(found[..., 0], [[0, 255], [255, 0]], atol=16 if mode == "CMYK" else 0)


def test_a_palette_with_a_transparent_colour():
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    assert decode_image(packed(image, transparency=1), "a").tolist() == [[[255, 0, 0, 255], [0, 0, 255, 0]]]


@pytest.mark.parametrize("size", [(4096, 2048), (300, 3000)])
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_large_images_are_scaled_down(size, kind):
    found = decode_image(packed(Image.new("RGB", size, (250, 120, 10)), kind), "a")
    assert max(found.shape) == MAX_TEXTURE_SIZE
    np.testing.assert_allclose(found.reshape(-1, 3).mean(0), [250, 120, 10], atol=3)


def claimed_png(width, height):
    """A PNG whose header claims a size that its data do not have."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = b"IEND"
    parts = [struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) for body in (chunk, end)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a readable image"),
        (b"hello", "not a readable image"),
        (packed(Image.new("RGB", (64, 64)))[:60], "not a readable image"),
        (claimed_png(100_000, 100_000), r"10000000000 pixels"),
        (claimed_png(64, 64), "not a readable image"),
        (b"\xabKTX 20\xbb\r\n\x1a\n" + b"\x07" * 90, "not a readable image"),
    ],
)
def test_images_that_cannot_be_read(data, message):
    if data.startswith(b"\xabKTX"):
        pytest.importorskip("opengl_basisu")
    with pytest.raises(SceneError, match=message) as caught:
        decode_image(data, "wall.png")
    assert str(caught.value).startswith("wall.png: ")
