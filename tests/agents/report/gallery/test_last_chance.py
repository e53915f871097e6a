"""Points of no return, against an expert that takes over after every single step."""

import numpy as np
import pytest
import torch

from batchsim.agents.evaluation.run_episodes import run_episodes
from batchsim.agents.report.gallery.last_chance import last_chances
from batchsim.scenes import standard_episodes

LIMIT = 100
OPTIONS = {"sensors": (), "turn_angle": 30.0, "max_episode_steps": LIMIT, "device": "cpu"}


class Scripted:
    """Repeats one action, and stops after some steps."""

    def __init__(self, action, stops_after=10_000):
        self._action, self._stops_after, self._step = action, stops_after, 0

    def act(self, observation, episode_start, uniform):
        self._step += 1
        stops = self._step > self._stops_after
        return torch.full(episode_start.shape, 0 if stops else self._action)


def expert_saves(make_env, scene, episodes, index, prefix):
    """Whether the expert succeeds in a new environment after the actions of `prefix`."""
    env = make_env(1, scene, episodes=episodes.select([index]), autoreset_mode="DISABLED", **OPTIONS)
    env.reset(seed=0)
    ended = torch.zeros(1, dtype=torch.bool)
    for action in prefix:
        *_, terminated, truncated, info = env.step(torch.tensor([action]))
        ended = terminated | truncated
    while not ended:
        *_, terminated, truncated, info = env.step(env.expert()[0])
        ended = terminated | truncated
    return bool(info["success"])


@pytest.mark.parametrize(
    "agent", [Scripted(2), Scripted(1), Scripted(2, stops_after=7)], ids=["turns", "walks", "stops"]
)
def test_against_every_single_step(four_rooms, make_env, agent):
    episodes = standard_episodes(four_rooms, 3)
    env = make_env(3, four_rooms, episodes=episodes, **OPTIONS)
    agent._step = 0
    found = run_episodes(env, agent, episodes, "scripted", "four-rooms")
    chances = last_chances(found.records, episodes, {"four-rooms": four_rooms}, OPTIONS)
    assert len(chances) == 3
    for index, record in enumerate(found.records):
        step = chances[record.key]
        prefixes = [record.actions[: max(t, 0)] for t in (step, step + 1)]
        saved = [expert_saves(make_env, four_rooms, episodes, index, prefix) for prefix in prefixes]
        assert saved == [step >= 0, False], (step, len(record.actions))
    assert max(chances.values()) > 0
    if agent._stops_after == 7:
        assert set(chances.values()) == {7}  # the stop itself


def test_successes_and_tasks_without_goals_are_left_out(four_rooms, make_env):
    episodes = standard_episodes(four_rooms, 2)
    env = make_env(2, four_rooms, episodes=episodes, **OPTIONS)

    class Expert:
        def act(self, observation, episode_start, uniform):
            return env.expert()[0]

    found = run_episodes(env, Expert(), episodes, "expert", "four-rooms")
    assert np.all(found.values("success") == 1)
    assert last_chances(found.records, episodes, {"four-rooms": four_rooms}, OPTIONS) == {}
    assert last_chances([], episodes, {}, OPTIONS) == {}
