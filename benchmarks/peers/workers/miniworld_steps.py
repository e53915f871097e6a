"""Miniworld under random actions: one environment, images as numpy arrays.

miniworld_steps.py {MiniWorld-FourRooms-v0,MiniWorld-Maze-v0} SIZE [without-antialiasing]
"""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import protocol
import pyglet

pyglet.options["headless"] = True  # renders through EGL, without a display

import gymnasium as gym
import miniworld.opengl
from pyglet import gl


def main() -> None:
    """Run the worker."""
    name, size = sys.argv[1], int(sys.argv[2])
    if "without-antialiasing" in sys.argv[3:]:
        _draw_one_sample_a_pixel()
    env = gym.make(name, obs_width=size, obs_height=size)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    num_actions = env.action_space.n

    def work() -> int:
        for action in rng.integers(num_actions, size=64):
            observation, _, terminated, truncated, _ = env.step(int(action))
            if terminated or truncated:
                env.reset()
        assert observation.shape == (size, size, 3)
        return 64

    renderer = ctypes.cast(gl.glGetString(gl.GL_RENDERER), ctypes.c_char_p).value.decode()
    protocol.serve(work, {"gl_renderer": renderer, "environments": 1, "actions": int(num_actions)})


def _draw_one_sample_a_pixel() -> None:
    make = miniworld.opengl.FrameBuffer.__init__
    miniworld.opengl.FrameBuffer.__init__ = lambda self, width, height, num_samples=1: make(self, width, height, 1)


if __name__ == "__main__":
    main()
