"""Registers tasks with Gymnasium, for `gym.make` and `gym.make_vec`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym

from batchsim import defaults

if TYPE_CHECKING:
    from batchsim.tasks import Task


def register_task(
    env_id: str, task: str | Task, max_episode_steps: int = defaults.MAX_EPISODE_STEPS, **options: Any
) -> None:
    """Registers environments of a task, for `gym.make(env_id)` and `gym.make_vec(env_id, num_envs=...)`.

    All other options of `NavEnv` and `NavVectorEnv` remain keywords of these calls, such as
    `gym.make_vec(env_id, num_envs=64, scenes="homes:train", width=128)`.

    Args:
        env_id: Gymnasium's name for the environment, such as "MyTask-v0".
        task: A task, or its name; see `NavVectorEnv`.
        max_episode_steps: Steps after which episodes are truncated.
        **options: Other defaults of these environments' options.
    """
    gym.register(
        env_id,
        entry_point="batchsim.envs.single_env:make_untimed",
        vector_entry_point="batchsim.envs.vector_env:NavVectorEnv",
        max_episode_steps=max_episode_steps,
        kwargs={"task": task} | options,
    )
