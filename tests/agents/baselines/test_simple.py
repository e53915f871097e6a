"""Agents that need no training, where it is known how well they must do."""

import math

import pytest
import torch

from batchsim.agents.baselines.registry import BASELINES, make_baseline
from batchsim.agents.baselines.sampling import sample_categorical
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.run_episodes import run_episodes
from batchsim.scenes import sample_episodes
from batchsim.tasks.pointnav import FORWARD, LEFT, RIGHT, STOP

GOAL = "pointgoal_with_gps_compass"


def evaluate(make_env, name, scenes, count, num_envs=32, **options):
    episodes = sample_episodes(scenes, count, seed=1)
    env = make_env(num_envs, scenes, episodes=episodes, sensors=(), **options)
    return run_episodes(env, make_baseline(name, env), episodes, name, "test")


def test_the_oracle_finds_every_goal_on_nearly_shortest_ways(make_env, homes, four_rooms):
    found = evaluate(make_env, "oracle", [*homes, four_rooms], 200)
    assert found.values("success").mean() >= 0.99
    assert found.values("spl").mean() >= 0.93


@pytest.mark.parametrize("turn_angle", [30.0, 45.0])
def test_the_oracle_with_coarse_turns(make_env, homes, turn_angle):
    found = evaluate(make_env, "oracle", homes, 60, turn_angle=turn_angle)
    assert found.values("success").mean() >= 0.95
    assert found.values("spl").mean() >= 0.85


def test_greedy_succeeds_where_nothing_is_in_the_way(make_env, one_room):
    found = evaluate(make_env, "greedy", one_room, 100)
    assert found.values("success").mean() >= 0.99
    assert found.values("spl").mean() >= 0.97


def test_greedy_fails_at_walls_that_the_oracle_walks_around(make_env, four_rooms):
    greedy, oracle = (evaluate(make_env, name, four_rooms, 60, max_episode_steps=200) for name in ("greedy", "oracle"))
    assert greedy.values("success").mean() < 0.7
    assert oracle.values("success").mean() >= 0.98


def test_forward_walks_until_time_is_up(make_env, one_room):
    found = evaluate(make_env, "forward", one_room, 10, num_envs=5, max_episode_steps=60)
    assert (found.values("episode_length") == 60).all()
    assert not found.values("success").any()
    # 15 m of walking in a room of 10 m.
    assert (found.values("collisions") > 0).all()


def test_random_draws_its_actions_by_chance_alone(make_env, one_room):
    env = make_env(64, one_room, sensors=())
    observation, _ = env.reset(seed=0)
    episode_start = torch.ones(64, dtype=torch.bool)
    agent = make_baseline("random", env)
    # Stops at once in fifty, the rest in equal parts.
    edges = torch.tensor([0.0, 0.0199, 0.0201, 0.3466, 0.3467, 0.6733, 0.6734, 0.999999])
    chance = edges.repeat(8)
    expected = torch.tensor([STOP, STOP, FORWARD, FORWARD, LEFT, LEFT, RIGHT, RIGHT]).repeat(8)
    assert torch.equal(agent.act(observation, episode_start, chance), expected)


def test_actions_are_picked_by_their_shares():
    shares = torch.tensor([[0.5, 0.0, 0.25, 0.25], [0.0, 0.0, 0.0, 1.0]])
    chance = torch.linspace(0, 1, 4001)[:-1]
    for row in shares:
        picked = sample_categorical(row.expand(4000, -1), chance)
        assert (torch.bincount(picked, minlength=4) / 4000).tolist() == pytest.approx(row.tolist(), abs=1e-3)
    # Shares that sum to a little less than one through rounding still give an action that there is.
    assert sample_categorical(torch.tensor([0.3, 0.3, 0.3999]), torch.tensor([0.99999])).tolist() == [2]


def test_greedy_decides_by_the_goal_sensor(make_env, one_room):
    env = make_env(6, one_room, sensors=())
    env.reset(seed=0)
    half = math.radians(5)
    goal = [[3, 0], [3, half - 0.01], [3, half + 0.01], [3, -half - 0.01], [3, math.pi], [0.19, 2]]
    actions = make_baseline("greedy", env).act(
        {GOAL: torch.tensor(goal)}, torch.zeros(6, dtype=torch.bool), torch.zeros(6)
    )
    assert actions.tolist() == [FORWARD, FORWARD, LEFT, RIGHT, LEFT, STOP]


def test_unknown_baselines_are_named(make_env, one_room):
    with pytest.raises(AgentError, match=r"'clever'.*random, forward, greedy, mcts, oracle"):
        make_baseline("clever", make_env(1, one_room, sensors=()))
    with pytest.raises(AgentError, match=r"'greedy' is not a baseline for the task Flee.*random, forward, oracle"):
        make_baseline("greedy", make_env(1, one_room, task="flee", sensors=()))
    assert set(BASELINES) == {"random", "forward", "greedy", "frontier", "mcts", "oracle"}
