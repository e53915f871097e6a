"""Draws the goal images of episodes again, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from batchsim import NavVectorEnv
from batchsim.agents.evaluation.replay import episodes_of_records
from batchsim.agents.evaluation.results import EpisodeRecord
from batchsim.scenes import EpisodeSet, Scene


def goal_views(
    records: Sequence[EpisodeRecord],
    episodes: EpisodeSet,
    scenes: Mapping[str, Scene],
    env_options: Mapping[str, Any],
    goal_image: str,
) -> dict[tuple[str, str], np.ndarray]:
    """Returns the goal image of each episode, uint8 `[H, W, 3]`, by scene and episode id.

    Args:
        records: The episodes.
        episodes: A set that contains them.
        scenes: Scenes by name; episodes of other scenes are left out.
        env_options: The keywords of the `NavVectorEnv` in which they were recorded.
        goal_image: The name of the goal image among the observations.
    """
    records = [record for record in records if record.scene in scenes]
    if not records:
        return {}
    used = [scenes[name] for name in {record.scene: None for record in records}]
    options = {**env_options, "sensors": ("rgb",), "output": "numpy"}
    # Environment i starts with the i-th episode, so one reset draws all goals.
    env = NavVectorEnv(len(records), used, episodes=episodes_of_records(episodes, records), **options)
    with closing(env):
        observation, _ = env.reset(seed=0)
    images = observation[goal_image]
    return {record.key: image for record, image in zip(records, images, strict=True)}
