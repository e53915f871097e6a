"""MuJoCo Warp's ray-traced cameras: colour images from random viewpoints in four rooms, one camera per world.

    warp_views.py NUM_WORLDS SIZE {cpu,cuda:0}

On a CPU, Warp runs its kernels on one core.
"""

from __future__ import annotations

import sys

import mujoco
import mujoco_warp as mjw
import numpy as np
import protocol
import warp as wp
from boxes import four_rooms, places

_BATCHES = 8


def main() -> None:
    """Run the worker."""
    num_worlds, size, device = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    wp.set_device(device)
    model = mujoco.MjModel.from_xml_string(four_rooms())
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    m, d = mjw.put_model(model), mjw.put_data(model, data, nworld=num_worlds)
    context = mjw.create_render_context(
        model, nworld=num_worlds, cam_res=(size, size), render_rgb=True, render_depth=False, use_shadows=False
    )
    mjw.refit_bvh(m, d, context)  # the rooms are static
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
    images = context.rgb_data.numpy()
    assert images.shape == (num_worlds, size * size)
    assert (first != images).mean() > 0.3, "different viewpoints should look different"
    protocol.serve(work, {"environments": num_worlds, "geoms": model.ngeom, "device": str(wp.get_device())})


def _views(count: int, rng: np.random.Generator, d: mjw.Data) -> tuple[wp.array, wp.array]:
    """Draw viewpoints in the rooms, looking horizontally in any direction."""
    positions, heading = places(count, rng)
    cos, sin, zero, one = np.cos(heading), np.sin(heading), np.zeros(count), np.ones(count)
    # Columns: right, up, back; MuJoCo's cameras look along their -z axis.
    matrices = np.stack([np.stack(row, -1) for row in ((cos, zero, sin), (sin, zero, -cos), (zero, one, zero))], 1)
    return (
        wp.array(positions[:, None].astype(np.float32), dtype=d.cam_xpos.dtype),
        wp.array(matrices[:, None].astype(np.float32), dtype=d.cam_xmat.dtype),
    )


if __name__ == "__main__":
    main()
