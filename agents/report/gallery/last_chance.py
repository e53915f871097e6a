"""Points of no return: until when an expert could still have saved an episode that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.evaluation.replay import episodes_of_records, on_recorded_path
from batchsim.agents.evaluation.results import EpisodeRecord
from batchsim.errors import OptionError
from batchsim.scenes import EpisodeSet, Scene

_CHECK_EVERY = 16
"""Steps of the expert between two checks whether all episodes have ended."""
_MOST_AT_ONCE = 256

Key = tuple[str, str]


def last_chances(
    records: Sequence[EpisodeRecord],
    episodes: EpisodeSet,
    scenes: Mapping[str, Scene],
    env_options: Mapping[str, Any],
) -> dict[Key, int]:
    """Finds the last step of each failed episode from which the expert still succeeds within the limit of steps.

    The recorded actions are repeated; from one of the steps on, the expert acts instead, in a copy of the environment.
    The step is found by bisection: an expert that succeeds from one step is taken to succeed from all those before it.

    Args:
        records: The episodes; successes are left out.
        episodes: A set that contains them.
        scenes: Scenes by name; episodes of other scenes are left out.
        env_options: The keywords of the `NavVectorEnv` in which they were recorded.

    Returns:
        The number of actions taken before the expert takes over, by scene and id of the episode; -1 where it does not
        even succeed from the start. Empty if the task has no success, no goal or no expert.
    """
    judged = [record for record in records if record.scene in scenes and record.has_goal and record.has_success]
    failed = [record for record in judged if record.actions and not record.succeeded]
    if not failed or env_options.get("action_mode") == "velocity":
        return {}
    found: dict[Key, int] = {}
    for first in range(0, len(failed), _MOST_AT_ONCE):
        part = failed[first : first + _MOST_AT_ONCE]
        try:
            found |= _last_chances(part, episodes, scenes, {**env_options, "sensors": ()})
        except OptionError:  # the task has no expert
            return {}
    return found


def _last_chances(
    records: Sequence[EpisodeRecord], episodes: EpisodeSet, scenes: Mapping[str, Scene], options: Mapping[str, Any]
) -> dict[Key, int]:
    used = [scenes[name] for name in {record.scene: None for record in records}]
    env = NavVectorEnv(
        len(records), used, episodes=episodes_of_records(episodes, records), **{**options, "autoreset_mode": "disabled"}
    )
    with closing(env):
        states, same = _states(env, records)
        lengths = torch.tensor([len(record.actions) for record in records], device=env.device)
        low, high = torch.full_like(lengths, -1), lengths  # the expert succeeds from low, and not from high
        while ((high - low) > 1).any():
            middle = (low + high) // 2
            saved = _expert_succeeds(env, states, middle.clamp(min=0))
            low, high = torch.where(saved & (middle > low), middle, low), torch.where(saved, high, middle)
    return {record.key: int(low[i]) for i, record in enumerate(records) if same[i]}


def _states(env: NavVectorEnv, records: Sequence[EpisodeRecord]) -> tuple[dict[str, Tensor], np.ndarray]:
    """Repeats the recorded actions.

    Returns:
        The states before each action, `[T, N, ...]` by name, and which records reproduced their paths, bool `[N]`.
    """
    steps = max(len(record.actions) for record in records)
    actions = np.zeros((steps, len(records)), np.int64)
    for i, record in enumerate(records):
        actions[: len(record.actions), i] = record.actions
    env.reset(seed=0)
    every, states, same = torch.arange(env.num_envs, device=env.device), [], np.ones(len(records), bool)
    for step, action in enumerate(torch.as_tensor(actions)):
        states.append(env.state_dict(rows=every))
        *_, info = env.step(action)
        same &= on_recorded_path(records, step, info["position"])
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}, same


def _expert_succeeds(env: NavVectorEnv, states: Mapping[str, Tensor], step: Tensor) -> Tensor:
    """Returns whether the expert succeeds from each episode's state after `step` actions, bool `[N]`; int64 `[N]`."""
    every = torch.arange(env.num_envs, device=env.device)
    env.load_state_dict({name: value[step, every] for name, value in states.items()}, rows=every)
    count = 0
    while True:
        action, _ = env.expert()
        *_, terminated, truncated, info = env.step(action)
        count += 1
        if (env.device.type == "cpu" or count % _CHECK_EVERY == 0) and (terminated | truncated).all():
            return info["success"] > 0.5
