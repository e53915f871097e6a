"""MultiObjectNav: goals one after the other, and the measures of MultiON by hand."""

import pytest
import torch

from batchsim import NavVectorEnv, OptionError
from batchsim.agents.baselines.oracles import ExpertAgent
from batchsim.tasks import MultiObjectNav
from tests.helpers.infos import measures

OPTIONS = {"sensors": (), "device": "cpu", "turn_angle": 30, "max_episode_steps": 2500}
FOUND = 0


@pytest.fixture
def env():
    made = NavVectorEnv(12, "homes:train?count=3", task="multi_objectnav", **OPTIONS)
    made.reset(seed=0)
    return made


def at_goal(env):
    """Put every agent on a view point of its current goal, without counting the way."""
    state, resident = env.simulator.state, env.simulator.scenes
    position = state.position.clone()
    for k in range(env.num_envs):
        scene = resident.scenes[int(state.scene[k])]
        field = scene.objects.category_distances[int(state.task["goal"][k]) - len(scene.goals)]
        position[k] = torch.tensor(scene.walkable.positions[field.astype(float).argmin()])
    state.position = position


def test_goals_are_of_different_categories(env):
    goals = env.simulator.state.task["goals"]
    assert goals.shape == (12, 3)
    assert all(len(set(row)) == 3 for row in goals.tolist())
    assert len({tuple(row) for row in goals.tolist()}) > 6


def test_found_leads_on_and_the_last_one_ends(env):
    state = env.simulator.state
    first, goals = state.task["start_distance"].clone(), state.task["goals"].clone()
    shortest = first
    for number in range(3):
        assert torch.equal(state.task["goal"], goals[:, number])
        category = env.simulator.scenes.objects.category_of_goal(state.scene, goals[:, number])
        assert torch.equal(env.observe()["multiobjectgoal"].squeeze(-1), category)
        at_goal(env)
        if number < 2:
            onward = env.simulator.scenes.goal_distance(state.scene, goals[:, number + 1], state.position)
            shortest = shortest + onward
        state.path_length = torch.full((12,), 40.0 * (number + 1))
        _, reward, terminated, _, info = env.step(torch.full((12,), FOUND))
        found = measures(info)
        assert found["progress"].tolist() == pytest.approx([(number + 1) / 3] * 12)
        assert terminated.all() == (number == 2)
        assert (reward > 2.9).all()
    assert found["success"].tolist() == [1.0] * 12
    torch.testing.assert_close(found["spl"], shortest / torch.clamp(shortest, min=120.0))
    torch.testing.assert_close(found["ppl"], found["spl"])


def test_a_wrong_found_ends_the_episode(env):
    state = env.simulator.state
    first = state.task["start_distance"].clone()
    at_goal(env)
    env.step(torch.full((12,), FOUND))
    state.path_length = torch.full((12,), 50.0)
    far = state.task["distance"] > 0.6
    _, _, terminated, _, info = env.step(torch.full((12,), FOUND))
    assert far.any()
    assert terminated[far].all()
    found = measures(info)
    assert (found["success"] == 0).all()
    assert found["progress"][far].tolist() == pytest.approx([1 / 3] * int(far.sum()))
    torch.testing.assert_close(found["ppl"][far], first[far] / 3 / torch.clamp(first[far], min=50.0))


def test_the_oracle_finds_all(env):
    agent, start, done = ExpertAgent(env), torch.ones(12, dtype=torch.bool), []
    observation = env.observe()
    for _ in range(220):
        observation, _, terminated, truncated, info = env.step(agent.act(observation, start, torch.rand(12)))
        ended = terminated | truncated
        done += list(zip(measures(info)["success"][ended], measures(info)["spl"][ended], strict=True))
    assert len(done) >= 12
    assert sum(float(s) for s, _ in done) / len(done) >= 0.99
    assert sum(float(s) for _, s in done) / len(done) >= 0.9


def test_impossible_goals_are_named():
    with pytest.raises(OptionError, match=r"num_goals=0"):
        MultiObjectNav(num_goals=0)
    with pytest.raises(OptionError, match=r"expected at least num_goals=3 of them"):
        MultiObjectNav(categories=("bed", "sofa"))
