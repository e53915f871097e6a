"""batchsim: thousands of 3D homes stepped and rendered at once.

Importing it registers `batchsim/PointNav-v0` with Gymnasium, and keeps OpenMP's waiting short (`cpu_threads`), which
works where torch is imported later.
"""

import gymnasium as gym

import batchsim.cpu_threads  # noqa: F401  (before whatever imports torch)
from batchsim.errors import BatchSimError, OptionError, RenderError
from batchsim.render.batch_renderer import BatchRenderer
from batchsim.single_env import NavEnv
from batchsim.vector_env import NavVectorEnv

__all__ = ["BatchRenderer", "BatchSimError", "NavEnv", "NavVectorEnv", "OptionError", "RenderError"]

gym.register(
    "batchsim/PointNav-v0",
    entry_point="batchsim.single_env:make_untimed",
    vector_entry_point="batchsim.vector_env:NavVectorEnv",
    max_episode_steps=500,
)
