"""MuJoCo Warp's ray-traced cameras: colour pictures from random places in four rooms of boxes, one camera a world.

warp_views.py NUM_WORLDS SIZE {cpu,cuda:0}

On the CPU Warp runs its kernels on one core.
"""

from __future__ import annotations

import sys

import mujoco
import mujoco_warp as mjw
import numpy as np
import protocol
import warp as wp

HEIGHT, DOOR = 2.74, 2.2  # metres: walls, openings
_BATCHES = 8
_EYE_HEIGHT = 1.25


def four_rooms() -> str:
    """Miniworld's four rooms as MJCF, z up: a floor, a ceiling and walls of boxes, textured."""
    walls = [
        ((-7.1, -7.1), (7.1, -7.0)),
        ((-7.1, 7.0), (7.1, 7.1)),
        ((-7.1, -7.0), (-7.0, 7.0)),
        ((7.0, -7.0), (7.1, 7.0)),
    ]
    walls += [((-1, low), (1, high)) for low, high in ((-7, -5), (-3, 3), (5, 7))]
    walls += [((low, -1), (high, 1)) for low, high in ((-7, -5), (-3, -1), (1, 3), (5, 7))]
    openings = [((-1, low), (1, low + 2)) for low in (-5, 3)] + [((low, -1), (low + 2, 1)) for low in (-5, 3)]
    boxes = [_box(low, high, 0, HEIGHT, "wall") for low, high in walls]
    boxes += [_box(low, high, DOOR, HEIGHT, "wall") for low, high in openings]
    boxes += [_box((-7.1, -7.1), (7.1, 7.1), -0.1, 0, "floor"), _box((-7.1, -7.1), (7.1, 7.1), HEIGHT, 2.84, "ceiling")]
    assets = "".join(
        f'<texture name="{name}" type="2d" builtin="checker" rgb1="{one}" rgb2="{two}" width="128" height="128"/>'
        f'<material name="{name}" texture="{name}" texrepeat="1 1" texuniform="true"/>'
        for name, one, two in (
            ("wall", ".65 .35 .26", ".75 .72 .67"),
            ("floor", ".59 .55 .49", ".5 .46 .4"),
            ("ceiling", ".84 .84 .8", ".8 .8 .77"),
        )
    )
    return (
        f"<mujoco><asset>{assets}</asset><worldbody>"
        '<light pos="0 0 2.5" dir="0 0 -1"/><camera name="eye" mode="fixed" fovy="90"/>'
        f"{''.join(boxes)}</worldbody></mujoco>"
    )


def _box(low: tuple[float, float], high: tuple[float, float], bottom: float, top: float, material: str) -> str:
    ends = np.array([[*low, bottom], [*high, top]], float)
    center, half = ends.mean(0), (ends[1] - ends[0]) / 2
    words = [" ".join(f"{x:g}" for x in vector) for vector in (center, half)]
    return f'<geom type="box" pos="{words[0]}" size="{words[1]}" material="{material}"/>'


def main() -> None:
    """The worker."""
    num_worlds, size, device = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    wp.set_device(device)
    model = mujoco.MjModel.from_xml_string(four_rooms())
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    m, d = mjw.put_model(model), mjw.put_data(model, data, nworld=num_worlds)
    context = mjw.create_render_context(
        model, nworld=num_worlds, cam_res=(size, size), render_rgb=True, render_depth=False, use_shadows=False
    )
    mjw.refit_bvh(m, d, context)  # the rooms stay as they are
    batches = [_views(num_worlds, np.random.default_rng(seed), d) for seed in range(_BATCHES)]
    turn = 0

    def work() -> int:
        nonlocal turn
        positions, matrices = batches[turn % _BATCHES]
        wp.copy(d.cam_xpos, positions)
        wp.copy(d.cam_xmat, matrices)
        mjw.render(m, d, context)
        wp.synchronize()
        turn += 1
        return num_worlds

    work()
    first = context.rgb_data.numpy().copy()
    work()
    pictures = context.rgb_data.numpy()
    assert pictures.shape == (num_worlds, size * size)
    assert (first != pictures).mean() > 0.3, "other places should look different"
    protocol.serve(work, {"environments": num_worlds, "geoms": model.ngeom, "device": str(wp.get_device())})


def _views(count: int, rng: np.random.Generator, d: mjw.Data) -> tuple[wp.array, wp.array]:
    """Places somewhere in the rooms at eye height, looking along the floor in any direction."""
    corner = rng.choice([-7.0, 1.0], (count, 2))
    positions = np.concatenate([corner + rng.uniform(0.2, 5.8, (count, 2)), np.full((count, 1), _EYE_HEIGHT)], 1)
    heading = rng.uniform(-np.pi, np.pi, count)
    cos, sin, zero, one = np.cos(heading), np.sin(heading), np.zeros(count), np.ones(count)
    # Columns: right, up, backwards; MuJoCo's cameras look along -z of theirs.
    matrices = np.stack([np.stack(row, -1) for row in ((cos, zero, sin), (sin, zero, -cos), (zero, one, zero))], 1)
    return (
        wp.array(positions[:, None].astype(np.float32), dtype=d.cam_xpos.dtype),
        wp.array(matrices[:, None].astype(np.float32), dtype=d.cam_xmat.dtype),
    )


if __name__ == "__main__":
    main()
