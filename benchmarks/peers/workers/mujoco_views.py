"""MuJoCo's renderer, OpenGL through EGL: colour images from random viewpoints in four rooms, one at a time.

mujoco_views.py SIZE
"""

from __future__ import annotations

import itertools
import os
import sys

os.environ["MUJOCO_GL"] = "egl"  # before mujoco is imported

import mujoco
import numpy as np
import protocol
from boxes import four_rooms, places
from OpenGL import GL

_VIEWS = 64


def main() -> None:
    """Run the worker."""
    size = int(sys.argv[1])
    model = mujoco.MjModel.from_xml_string(four_rooms())
    model.vis.global_.fovy = 90.0
    model.vis.map.znear = 0.002  # fraction of the scene's size: keeps walls at 0.2 m visible
    model.vis.quality.offsamples = 0  # one sample per pixel, as in batchsim
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer = mujoco.Renderer(model, size, size)
    options = renderer.scene.flags
    options[mujoco.mjtRndFlag.mjRND_SHADOW] = options[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
    positions, headings = places(_VIEWS, np.random.default_rng(0))
    views = itertools.cycle(zip(positions, np.degrees(headings), strict=True))
    camera = mujoco.MjvCamera()
    image = np.empty((size, size, 3), np.uint8)

    def work() -> int:
        for position, heading in itertools.islice(views, _VIEWS):
            _place(camera, position, heading)
            renderer.update_scene(data, camera)
            renderer.render(out=image)
        return _VIEWS

    work()
    first = image.copy()
    _place(camera, *next(views))
    renderer.update_scene(data, camera)
    assert (first != renderer.render()).mean() > 0.3, "different viewpoints should look different"
    gl_renderer = GL.glGetString(GL.GL_RENDERER).decode()
    protocol.serve(work, {"environments": 1, "geoms": model.ngeom, "gl_renderer": gl_renderer})


def _place(camera: mujoco.MjvCamera, position: np.ndarray, heading: float) -> None:
    """Move `camera` to `position`, looking horizontally; `heading` in degrees."""
    ahead = np.array([np.cos(np.radians(heading)), np.sin(np.radians(heading)), 0.0])
    camera.distance, camera.azimuth, camera.elevation = 1.0, heading, 0.0
    camera.lookat = position + ahead


if __name__ == "__main__":
    main()
