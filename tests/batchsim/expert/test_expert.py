"""The expert's costs are the distances after really acting; followed, it arrives by almost the shortest way."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from batchsim import NavEnv, OptionError
from batchsim.agents.baselines.registry import make_baseline
from batchsim.agents.evaluation.run_episodes import run_episodes
from batchsim.scenes import sample_episodes
from batchsim.simulation.graphed_transition import GraphedTransition
from tests.helpers.recorded_graph import RecordedGraph

BLIND = {"sensors": (), "device": "cpu"}
TASKS = ["pointnav", "habitat_pointnav", "objectnav", "imagenav", "instance_imagenav", "multi_objectnav", "flee"]


def wander(env, steps, seed=0):
    """Yields while the agents act at random, without ending episodes by themselves."""
    names = env.task.action_names
    moves = torch.tensor([names.index(name) for name in ("forward", "forward", "forward", "left", "right")])
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        yield
        env.step(moves[torch.randint(len(moves), (env.num_envs,), generator=generator)])


@pytest.mark.parametrize("turn_angle", [10.0, 30.0])
@pytest.mark.parametrize("task", TASKS)
def test_costs_are_the_distances_after_really_acting(make_env, homes, task, turn_angle):
    env = make_env(200, homes, task=task, turn_angle=turn_angle, autoreset_mode="DISABLED", **BLIND)
    env.reset(seed=3)
    final = [k for k, name in enumerate(env.task.action_names) if name in ("stop", "found")]
    for step, _ in enumerate(wander(env, 30)):
        if step % 6:
            continue
        before, goal = env.state_dict(), env.simulator.state.task["goal" if task != "flee" else "origin"]
        action, cost = env.expert()
        assert (action.dtype, cost.dtype) == (torch.int64, torch.float32)
        assert cost.shape == (200, len(env.task.action_names))
        for k in range(cost.shape[1]):
            env.step(torch.full((200,), k))
            state = env.simulator.state
            found = state.task["distance"]
            if task == "flee":
                found = state.task["farthest"] - found
            if task == "multi_objectnav" and k in final:  # the next goal may be current now
                found = env.simulator.scenes.goal_distance(state.scene, goal, state.position)
            assert (found - cost[:, k]).abs().max() <= 0.01
            env.load_state_dict(before)


@pytest.mark.parametrize("turn_angle", [10.0, 30.0])
@pytest.mark.parametrize("task", [name for name in TASKS if name != "flee"])
def test_followed_it_arrives_by_the_shortest_way(make_env, homes, task, turn_angle):
    env = make_env(100, homes, task=task, turn_angle=turn_angle, max_episode_steps=900, expert=True, **BLIND)
    _, info = env.reset(seed=1)
    success, spl, left = [], [], torch.ones(100, dtype=torch.bool)
    for _ in range(900):
        *_, info = env.step(info["expert_action"])
        ended = info["_final_info"] & left  # the first episode of each environment
        success.append(info["final_info"]["success"][ended])
        spl.append(info["final_info"]["spl"][ended])
        left &= ~ended
        if not left.any():
            break
    assert torch.cat(success).sum() >= 99
    assert torch.cat(spl).sum() >= 95


@pytest.mark.slow
@pytest.mark.parametrize("turn_angle", [10.0, 30.0])
def test_labels_followed_in_all_test_homes(make_env, cache_of_this_session, turn_angle):
    from batchsim.scenes import load_all

    loaded = load_all("homes:test", progress=False)
    episodes = sample_episodes(loaded, 1000, seed=0)
    env = make_env(250, loaded, episodes=episodes, turn_angle=turn_angle, **BLIND)
    found = run_episodes(env, make_baseline("oracle", env), episodes, "oracle", "homes:test")
    assert found.values("success").mean() >= 0.99
    assert found.values("spl").mean() >= 0.98


def test_the_best_action_lowers_the_cost_or_turns(make_env, homes):
    env = make_env(300, homes, turn_angle=30.0, **BLIND)
    env.reset(seed=5)
    for _ in wander(env, 10):
        action, cost = env.expert()
        chosen = cost.gather(1, action.unsqueeze(1)).squeeze(1)
        assert (chosen <= cost[:, env.task.action_names.index("left")] + 1e-6).all()


def test_infos_hold_what_expert_returns(make_env, homes):
    env = make_env(16, homes, expert=True, turn_angle=30.0, max_episode_steps=20, **BLIND)
    _, info = env.reset(seed=0)
    for _ in range(45):  # over the ends of episodes: labels are of the new observation
        action, cost = env.expert()
        assert torch.equal(info["expert_action"], action)
        assert torch.equal(info["expert_cost"], cost)
        assert info["_expert_action"].all()
        *_, info = env.step(action)


@pytest.mark.parametrize("mode", ["SAME_STEP", "NEXT_STEP", "DISABLED"])
def test_numpy_infos(make_env, homes, mode):
    env = make_env(4, homes, expert=True, output="numpy", max_episode_steps=5, autoreset_mode=mode, **BLIND)
    _, info = env.reset(seed=0)
    for _ in range(8):
        assert info["expert_action"].dtype == np.int64
        assert info["expert_cost"].shape == (4, 4)
        assert info["_expert_cost"].tolist() == [True] * 4
        np.testing.assert_array_equal(env.expert()[1], info["expert_cost"])
        *_, info = env.step(info["expert_action"])


def test_a_single_environment_has_the_labels_of_the_first_of_a_batch(make_env, homes):
    batch = make_env(1, homes, expert=True, output="numpy", **BLIND)
    single = NavEnv(homes, expert=True, **BLIND)
    _, info = batch.reset(seed=7)
    _, own = single.reset(seed=7)
    for _ in range(30):
        assert own["expert_action"] == info["expert_action"][0] == single.expert()[0]
        np.testing.assert_array_equal(own["expert_cost"], info["expert_cost"][0])
        *_, info = batch.step(info["expert_action"])
        *_, own = single.step(own["expert_action"])
    single.close()


def test_labels_do_not_depend_on_the_other_environments(make_env, homes):
    env = make_env(60, homes, **BLIND)
    env.reset(seed=2)
    few = make_env(7, homes, **BLIND)
    few.reset(seed=2)
    for _ in range(20):
        action, cost = env.expert()
        assert torch.equal(few.expert()[0], action[:7])
        assert torch.equal(few.expert()[1], cost[:7])
        env.step(action)
        few.step(action[:7])


@pytest.mark.parametrize("task", ["pointnav", "flee"])
def test_the_graph_of_a_step_includes_the_labels(make_env, homes, task):
    made = [make_env(12, homes, task=task, expert=True, max_episode_steps=25, **BLIND) for _ in range(2)]
    for env in made:
        env.simulator.transition.counts_ended = False
        env.simulator.expert.path.asks_host = False
    _, graphed = made
    graphed.simulator._advance = GraphedTransition(graphed.simulator.transition, RecordedGraph)
    RecordedGraph.made.clear()
    labels = [env.reset(seed=0)[1] for env in made]
    for _ in range(60):
        assert all(torch.equal(labels[0][name], labels[1][name]) for name in ("expert_action", "expert_cost"))
        labels = [env.step(labels[0]["expert_action"])[-1] for env in made]
    assert graphed.simulator._advance.refusal == ""
    assert any(graph.replays for graph in RecordedGraph.made)


def test_asking_the_host_changes_nothing(make_env, homes):
    env = make_env(100, homes, turn_angle=30.0, **BLIND)
    env.reset(seed=4)
    path = env.simulator.expert.path
    for _ in wander(env, 40):
        found = []
        for asks in (True, False):
            path.asks_host = asks
            found.append(env.expert()[0])
        assert torch.equal(*found)


@pytest.mark.gpu
def test_gpu_expert_does_not_make_the_host_wait(homes, make_env):
    from batchsim.cuda_graph import sync_debug

    env = make_env(8, homes, sensors=(), device="cuda")
    env.reset(seed=0)
    env.expert()
    with sync_debug("error"):
        env.expert()


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"task": "explore"}, "Explore has no expert"), ({"action_mode": "velocity"}, "action_mode='discrete'")],
)
def test_environments_without_an_expert(make_env, one_room, options, reason):
    with pytest.raises(OptionError, match=reason):
        make_env(2, one_room, expert=True, **options, **BLIND)
    env = make_env(2, one_room, **options, **BLIND)
    env.reset(seed=0)
    with pytest.raises(OptionError, match=reason):
        env.expert()


def test_expert_before_reset(make_env, one_room):
    with pytest.raises(gym.error.ResetNeeded):
        make_env(2, one_room, **BLIND).expert()
