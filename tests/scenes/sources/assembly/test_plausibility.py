"""Units and axes that cannot be: refused at once, with what to do; what can be is not."""

import time

import numpy as np
import pytest

from batchsim.scenes import SceneError
from batchsim.scenes.sources.assembly.plausibility import UNITS
from batchsim.scenes.sources.importer import import_file
from tests.helpers.solids import box


def write(path, boxes, scale=1.0, z_up=False):
    """Boxes ((x0, y0, z0), (x1, y1, z1)) in metres as an .obj file."""
    triangles = np.concatenate([box(low, high) for low, high in boxes]) * scale
    if z_up:
        triangles = triangles[..., [0, 2, 1]] * [1, -1, 1]
    lines = [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in triangles.reshape(-1, 3)]
    lines += [f"f {k} {k + 1} {k + 2}" for k in range(1, len(lines), 3)]
    path.write_text("\n".join(lines))
    return path


FLOOR = ((-4, -0.1, -4), (4, 0, 4))
ROOM = [FLOOR, ((-4, 2.6, -4), (4, 2.7, 4)), ((-4, 0, -4.1), (4, 2.6, -4)), ((-4, 0, 4), (4, 2.6, 4.1))]
OPEN_ROOM = [FLOOR, ((-1, 0, -1), (1, 0.4, 1))]
STREET = [((-300, -1, -300), (300, 0, 300)), *[((x, 0, -20), (x + 8, 9, -8)) for x in range(-280, 280, 20)]]
HALL = [((-200, -0.1, -100), (200, 0, 100)), ((-200, 6, -100), (200, 6.2, 100)), ((-200, 12, -100), (200, 20, 100))]
TALL = [
    ((-3, -0.1, -3), (3, 0, 3)),
    ((-3, 19, -3), (3, 19.2, 3)),
    ((-3.1, 0, -3), (-3, 19, 3)),
    ((3, 0, -3), (3.1, 19, 3)),
]
CORRIDOR = [((-1, -0.1, -20), (1, 0, 20)), ((-1, 2.6, -20), (1, 2.7, 20)), ((-1.1, 0, -20), (-1, 2.6, 20))]


@pytest.mark.parametrize("boxes", [ROOM, OPEN_ROOM])
@pytest.mark.parametrize(("unit", "scale"), [("millimetres", 0.001), ("centimetres", 0.01), ("inches", 0.0254)])
def test_small_units(tmp_path, boxes, unit, scale):
    path = write(tmp_path / "a.obj", boxes, 1 / UNITS[unit])
    began = time.process_time()
    with pytest.raises(SceneError, match=rf"a\.obj: measures .* looks like {unit}: --scale {scale}\. --force"):
        import_file(path)
    assert time.process_time() - began < 2
    assert import_file(path, scale=scale).mesh.bounds[1, 0] == pytest.approx(4)
    assert import_file(path, force=True).mesh.bounds[1, 0] == pytest.approx(4 / scale)


def test_units_larger_than_metres(tmp_path):
    path = write(tmp_path / "a.obj", ROOM, 0.01)
    with pytest.raises(SceneError, match=r"a\.obj: is only .* --scale 100; --force"):
        import_file(path)


def test_z_up(tmp_path):
    path = write(tmp_path / "a.obj", ROOM, z_up=True)
    with pytest.raises(SceneError, match=r"a\.obj: .* looks like a file with z up: --up z\. --force"):
        import_file(path)
    np.testing.assert_allclose(import_file(path, up="z").mesh.bounds, [[-4, -0.1, -4.1], [4, 2.7, 4.1]], atol=1e-4)
    import_file(path, force=True)


@pytest.mark.parametrize("boxes", [ROOM, OPEN_ROOM, STREET, HALL, TALL, CORRIDOR, [FLOOR]])
def test_scenes_in_metres_are_accepted(tmp_path, boxes):
    import_file(write(tmp_path / "a.obj", boxes))
