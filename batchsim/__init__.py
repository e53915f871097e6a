"""batchsim: thousands of 3D homes stepped and rendered at once.

Importing it registers `batchsim/PointNav-v0` with Gymnasium.
"""

import gymnasium as gym

from batchsim.errors import BatchSimError, OptionError, RenderError
from batchsim.render.batch_renderer import BatchRenderer
from batchsim.single_env import NavEnv
from batchsim.vector_env import NavVectorEnv

__all__ = ["BatchRenderer", "BatchSimError", "NavEnv", "NavVectorEnv", "OptionError", "RenderError"]

gym.register(
    "batchsim/PointNav-v0",
    entry_point="batchsim.single_env:NavEnv",
    vector_entry_point="batchsim.vector_env:NavVectorEnv",
    max_episode_steps=500,
)
