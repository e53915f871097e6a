"""Search in copies of environments: it leaves the environments alone, and finds goals behind walls."""

import numpy as np
import pytest
import torch

from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import Candidate, find_candidates
from batchsim.agents.evaluation.run_episodes import run_episodes
from batchsim.agents.networks.policy import Policy, config_for
from batchsim.agents.search.evaluators import DistanceEvaluator
from batchsim.agents.search.mcts_agent import MctsAgent, search_by_critic, search_by_distances
from batchsim.agents.search.search_options import SearchOptions
from batchsim.agents.search.state_keys import state_keys
from batchsim.scenes import standard_episodes

OPTIONS = {"sensors": (), "turn_angle": 30.0, "device": "cpu"}


def run(make_env, scene, count, num_envs, search=None, make=search_by_distances, **options):
    episodes = standard_episodes(scene, count)
    env = make_env(num_envs, scene, episodes=episodes, **OPTIONS | options)
    agent = make(env, search or SearchOptions(8, 4))
    try:
        return run_episodes(env, agent, episodes, "mcts", "scene"), agent
    finally:
        agent.close()


def test_goals_are_found_by_distances(four_rooms, make_env):
    found, _ = run(make_env, four_rooms, 8, 4, SearchOptions(16, 4))
    summary = found.summary()
    assert summary["success"]["mean"] == 1.0
    assert summary["spl"]["mean"] > 0.9
    assert np.array_equal(found.values("search_steps"), 16 * found.values("episode_length"))
    assert "search_steps" in found.measures


def test_an_episode_does_not_depend_on_the_others(four_rooms, make_env):
    alone, _ = run(make_env, four_rooms, 4, 1, max_episode_steps=40)
    together, _ = run(make_env, four_rooms, 4, 4, max_episode_steps=40)
    assert [record.actions for record in alone.records] == [record.actions for record in together.records]


def seeing_policy(env):
    torch.manual_seed(0)
    return Policy(config_for(env.single_observation_space, env.single_action_space, hidden_size=16)).eval()


def test_the_critic_of_a_policy_searches_alike_in_any_batch(four_rooms, make_env):
    options = {"sensors": ("depth",), "width": 16, "height": 16, "renderer": "raycast", "max_episode_steps": 12}

    def make(env, search):
        return search_by_critic(env, seeing_policy(env), 0.99, search)

    alone, _ = run(make_env, four_rooms, 3, 1, make=make, **options)
    together, _ = run(make_env, four_rooms, 3, 3, make=make, **options)
    assert [record.actions for record in alone.records] == [record.actions for record in together.records]


def test_the_environments_are_left_alone(four_rooms, make_env):
    env = make_env(5, four_rooms, noise={"actuation": "pyrobot"}, **OPTIONS)
    observation, _ = env.reset(seed=0)
    agent = search_by_distances(env, SearchOptions(8, 4))
    start = torch.ones(5, dtype=torch.bool)
    for _ in range(4):
        before = env.state_dict()
        action = agent.act(observation, start, torch.zeros(5))
        assert all(torch.equal(value, before[name]) for name, value in env.state_dict().items())
        observation, _, terminated, truncated, _ = env.step(action)
        start = terminated | truncated
    agent.close()


def test_the_noise_to_come_is_not_known(four_rooms, make_env):
    env = make_env(2, four_rooms, noise={"actuation": "pyrobot"}, **OPTIONS)
    observation, _ = env.reset(seed=0)
    agent = MctsAgent(env, DistanceEvaluator(env), SearchOptions(8, 4))
    agent.act(observation, torch.ones(2, dtype=torch.bool), torch.zeros(2))
    assert not (agent._slots.simulator.state.seed.view(2, 4) == env.simulator.state.seed.unsqueeze(-1)).any()
    agent.close()


def test_keys_tell_states_apart(four_rooms, make_env):
    env = make_env(3, four_rooms, task="explore", **OPTIONS)
    env.reset(seed=0)
    env.fork(0, [1, 2])
    left, right, forward = (env.task.action_names.index(name) for name in ("left", "right", "forward"))
    first = state_keys(env)
    assert len(first.unique()) == 1
    env.step(torch.tensor([left, left, right]))
    second = state_keys(env)
    assert second[0] == second[1] != second[2]
    env.step(torch.tensor([right, right, left]))
    assert torch.equal(state_keys(env), first)  # a turn there and back leads to the same state
    env.step(torch.tensor([forward, forward, left]))
    third = state_keys(env)
    assert third[0] == third[1] != third[2]
    env.simulator.state.task["visited"][1] ^= True  # other places have been visited
    assert state_keys(env)[0] != state_keys(env)[1]


def test_options_and_tasks_are_checked(one_room, make_env):
    with pytest.raises(AgentError, match="multiple of workers"):
        SearchOptions(10, 4)
    with pytest.raises(AgentError, match="simulations is 0"):
        SearchOptions(0, 1)
    env = make_env(1, one_room, task="flee", **OPTIONS)
    with pytest.raises(AgentError, match="Flee has none"):
        search_by_distances(env)
    env = make_env(1, one_room, action_mode="velocity", **OPTIONS)
    with pytest.raises(AgentError, match="numbered actions"):
        search_by_distances(env)


def test_searches_are_found_by_name(tmp_path):
    (one,) = find_candidates(["mcts"], search=SearchOptions(8, 2))
    assert one.search == SearchOptions(8, 2)
    assert one.env_options()["sensors"] == ()
    with pytest.raises(AgentError, match="neither a run folder nor a baseline"):
        find_candidates([f"mcts:{tmp_path / 'nothing'}"])
    assert Candidate("greedy", one.config).search is None
