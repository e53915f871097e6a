"""Tasks under names of Gymnasium's: `gym.make` and `gym.make_vec` find them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gymnasium as gym

if TYPE_CHECKING:
    from batchsim.tasks import Task


def register_task(env_id: str, task: str | Task, max_episode_steps: int = 500) -> None:
    """Let `gym.make(env_id)` and `gym.make_vec(env_id)` make environments of `task` (what `NavVectorEnv` takes).

    All other options stay the user's: `gym.make_vec(env_id, num_envs=64, scenes="homes:train", width=128)`.
    """
    gym.register(
        env_id,
        entry_point="batchsim.envs.single_env:make_untimed",
        vector_entry_point="batchsim.envs.vector_env:NavVectorEnv",
        max_episode_steps=max_episode_steps,
        kwargs={"task": task},
    )
