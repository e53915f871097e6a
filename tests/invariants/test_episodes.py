"""What holds in every episode: rewards telescope, SPL and SoftSPL are shares, and a full turn changes nothing."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from batchsim.agents.baselines.registry import make_baseline
from batchsim.agents.evaluation.run_episodes import run_episodes
from batchsim.scenes import sample_episodes
from batchsim.tasks.pointnav import soft_spl, spl
from tests.helpers.infos import measures

SLACK, SUCCESS_REWARD, COUNT = -0.01, 2.5, 40
lengths = st.floats(0, 1e3, width=32)


@pytest.fixture(scope="module")
def episodes(homes):
    return sample_episodes(homes, COUNT, seed=11)


def full_episodes(make_env, homes, episodes, agent, task="pointnav"):
    """Each episode once until its end; the rewards of its steps are added up here, in double precision."""
    options = {} if task == "pointnav" else {"max_episode_steps": 80}
    env = make_env(COUNT, homes, episodes=episodes, task=task, sensors=(), device="cpu", **options)
    returns, running = np.zeros(COUNT), np.ones(COUNT, bool)
    step = env.step

    def counted(action):
        result = step(action)
        _, reward, terminated, truncated, info = result
        returns[running] += reward.double().numpy()[running]
        ended = running & (terminated | truncated).numpy()
        # The environment sums up to 500 steps in single precision.
        np.testing.assert_allclose(measures(info)["episode_return"].numpy()[ended], returns[ended], atol=1e-3)
        running[ended] = False
        return result

    env.step = counted
    found = run_episodes(env, make_baseline(agent, env), episodes, agent, "test")
    assert not running.any()
    return found, returns


@pytest.mark.parametrize("agent", ["random", "oracle"])
def test_rewards_of_point_navigation_telescope(make_env, homes, episodes, agent):
    found, returns = full_episodes(make_env, homes, episodes, agent)
    value = found.values
    gained = value("start_distance") - value("distance_to_goal")
    worked = SLACK * value("episode_length") + gained + SUCCESS_REWARD * value("spl")
    np.testing.assert_allclose(returns, worked, atol=1e-3)
    for name in ("spl", "soft_spl", "success"):
        assert ((value(name) >= 0) & (value(name) <= 1)).all(), name
    assert (value("spl") <= value("success")).all()
    success = value("success").mean()
    assert success >= 0.95 if agent == "oracle" else success < 0.5
    if agent == "oracle":
        assert value("spl").mean() > 0.9


@pytest.mark.parametrize("agent", ["random", "oracle"])
def test_measures_follow_from_the_recorded_paths(make_env, homes, episodes, agent):
    """SPL and SoftSPL computed from the positions of each step alone, by their definitions."""
    found, _ = full_episodes(make_env, homes, episodes, agent)
    for record in found.records:
        path = np.array(record.path)
        walked = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
        start, left = record.start_distance, record.measures["distance_to_goal"]
        efficiency = start / max(start, walked)
        # Recorded positions are rounded to millimetres.
        slack = 2e-3 + 1e-3 * len(path) / max(start, walked)
        assert record.measures["spl"] == pytest.approx(record.measures["success"] * efficiency, abs=slack)
        assert record.measures["soft_spl"] == pytest.approx(max(0.0, 1 - left / start) * efficiency, abs=slack)


def test_rewards_of_fleeing_telescope(make_env, homes, episodes):
    found, returns = full_episodes(make_env, homes, episodes, "random", "flee")
    np.testing.assert_allclose(returns, found.values("distance_from_start"), atol=1e-3)
    assert (found.values("max_distance") >= found.values("distance_from_start") - 1e-5).all()
    ratio = found.values("flee_ratio")
    assert ((ratio >= 0) & (ratio <= 1)).all()


def test_rewards_of_exploring_count_new_cells(make_env, homes, episodes):
    found, returns = full_episodes(make_env, homes, episodes, "random", "explore")
    # The cell of the start counts as visited and is not rewarded.
    np.testing.assert_allclose(returns, 0.25 * (found.values("cells_visited") - 1), atol=1e-3)
    share = found.values("explored_share")
    assert ((share > 0) & (share <= 1)).all()


@given(success=st.booleans(), start=lengths, left=st.one_of(lengths, st.just(math.inf)), path=lengths)
def test_measures_are_shares_for_any_lengths(success, start, left, path):
    start, left, path = (torch.tensor([value], dtype=torch.float32) for value in (start, left, path))
    by_path, soft = float(spl(torch.tensor([success]), start, path)), float(soft_spl(left, start, path))
    assert 0 <= by_path <= float(success)
    assert 0 <= soft <= 1


@pytest.mark.parametrize(("renderer", "turn"), [("raycast", 10), ("raycast", 30), ("raster", 10)])
def test_a_full_turn_shows_the_same_image(make_env, homes, renderer, turn):
    count, whole = 12, 360 // turn
    env = make_env(
        count, homes, sensors=("depth", "rgb", "semantic"), width=32, height=32, renderer=renderer, device="cpu",
        turn_angle=float(turn),
    )  # fmt: skip
    first, _ = env.reset(seed=2)
    first = {name: value.clone() for name, value in first.items()}
    state = env.simulator.state
    position, heading = state.position.clone(), state.heading.clone()
    views = []
    for k in range(2 * whole):
        last, *_ = env.step([2 if k < whole else 3] * count)  # all round to the left, then to the right
        assert torch.equal(state.position, position)
        assert not state.collisions.any()
        views.append(last["depth"].clone())
        if k + 1 in (whole, 2 * whole):
            # Headings are float32: 36 turns may each round by half a unit in the last place (at most 1.2e-7).
            off = torch.remainder(state.heading - heading + math.pi, 2 * math.pi) - math.pi
            assert off.abs().max() < whole * 2.4e-7
            # So rays are turned by up to 2e-6, and only pixels on an edge may show something else. Measured on 64 views
            # of 64 x 64: no pixel of raycast and 1 of 20,000 of raster differs by more than this.
            for name, atol in (("depth", 1e-4), ("rgb", 2), ("semantic", 0)):
                gap = (last[name].double() - first[name].double()).abs().reshape(count, 32 * 32, -1).amax(-1)
                assert (gap <= atol).double().mean() > 0.998, name
    # Half way round it is another image, and turning back shows the same ones.
    assert ((views[whole // 2 - 1] - first["depth"]).abs() > 0.01).double().mean() > 0.5
    for k in range(1, whole):
        there, back = views[k - 1], views[2 * whole - 1 - k]
        assert ((there - back).abs() < 1e-4).double().mean() > 0.998
