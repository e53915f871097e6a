"""The goal sensor, the measures, the reward and the drawing of episodes, against numbers worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from batchsim import poses
from batchsim.scenes import AgentBody, EpisodeSet, Mesh, bake
from batchsim.simulation.episode_sources import FixedEpisodes
from batchsim.tasks.pointnav import FORWARD, LEFT, RIGHT, STOP, PointNav, soft_spl, spl
from batchsim.tasks.sensors import point_goal
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State
from tests.helpers.infos import measures

CPU = torch.device("cpu")

# heading in quarter turns to the left, goal relative to the body (x, y, z) -> metres, angle to the left
SENSOR = [
    (0, (0, 0, -3), 3, 0),
    (0, (-3, 0, 0), 3, math.pi / 2),
    (0, (3, 0, 0), 3, -math.pi / 2),
    (0, (0, 0, 3), 3, math.pi),
    (0, (-2, 0, -2), math.sqrt(8), math.pi / 4),
    (0, (1, 0, -math.sqrt(3)), 2, -math.pi / 6),
    (0, (0, 0.4, -3), 3, 0),  # heights do not count
    (1, (0, 0, -3), 3, -math.pi / 2),  # turned left, what was ahead is on the right
    (1, (-3, 0, 0), 3, 0),
    (-1, (0, 0, -3), 3, math.pi / 2),
    (2, (0, 0, -3), 3, math.pi),
    (1, (0, 0, 3), 3, math.pi / 2),
]


@pytest.mark.parametrize(("quarters", "offset", "metres", "angle"), SENSOR)
def test_goal_sensor(quarters, offset, metres, angle):
    position = torch.tensor([[1.5, 0.2, -4.0]])
    rho, phi = point_goal(position, torch.tensor([quarters * math.pi / 2]), position + torch.tensor([offset]))[0]
    assert float(rho) == pytest.approx(metres, abs=1e-6)
    assert abs(math.remainder(float(phi) - angle, 2 * math.pi)) < 1e-5


def test_the_sensor_leads_to_the_goal():
    generator = torch.Generator().manual_seed(0)
    position, goal = (torch.rand(100, 3, generator=generator) * 10 for _ in range(2))
    heading = torch.rand(100, generator=generator) * 9 - 4
    rho, phi = point_goal(position, heading, goal).unbind(-1)
    reached = position + rho[:, None] * poses.forward(heading + phi)
    assert torch.allclose(reached[:, [0, 2]], goal[:, [0, 2]], atol=1e-4)


def test_the_sensor_rounds_alike_whatever_stands_beside():
    generator = torch.Generator().manual_seed(1)
    position, goal = (torch.randn(2048, 3, generator=generator) for _ in range(2))
    heading = torch.randn(2048, generator=generator)
    together = point_goal(position, heading, goal)
    for count in (1, 7, 33):
        rows = [slice(first, first + count) for first in range(0, 2048, count)]
        assert torch.equal(torch.cat([point_goal(position[r], heading[r], goal[r]) for r in rows]), together)


# success, start distance, distance left, path -> SPL, SoftSPL
MEASURES = [
    (False, 4.0, 4.0, 0.0, 0.0, 0.0),  # stopped at once
    (False, 4.0, 3.0, 1.0, 0.0, 0.25),  # a quarter of the way
    (False, 4.0, 0.25, 3.75, 0.0, 0.9375),  # stopped outside the radius
    (False, 4.0, 1.0, 5.0, 0.0, 0.6),  # walked past it: three quarters of the way, on 5 m for 4
    (False, 4.0, 0.0, 4.0, 0.0, 1.0),  # on the goal when time was up, without a stop
    (False, 4.0, math.inf, 1.0, 0.0, 0.0),  # ended where no way leads back
    (False, 4.0, 6.0, 2.0, 0.0, 0.0),  # walked away
    (True, 4.0, 0.0, 4.0, 1.0, 1.0),  # straight to the goal
    (True, 4.0, 0.0, 8.0, 0.5, 0.5),  # twice as far as needed
    (True, 4.0, 0.1, 3.9, 1.0, 0.975),  # inside the radius, path shorter than the distance
    (True, 4.0, 0.1, 5.0, 0.8, 0.78),
    (True, 0.0, 0.0, 0.0, 1.0, 1.0),  # the goal at the start
    (False, 0.0, 0.0, 0.0, 0.0, 1.0),  # the goal at the start, and no stop there
    (True, 0.0, 0.0, 1.0, 0.0, 0.0),  # the goal at the start, after a walk
]


@pytest.mark.parametrize(("success", "start", "left", "path", "by_path", "soft"), MEASURES)
def test_success_weighted_by_path_length(success, start, left, path, by_path, soft):
    start, left, path = (torch.tensor([value]) for value in (start, left, path))
    assert float(spl(torch.tensor([success]), start, path)) == pytest.approx(by_path)
    assert float(soft_spl(left, start, path)) == pytest.approx(soft)


def episodes_in(scene, starts, headings, goals):
    """Episodes that begin and end where a test wants them."""
    scene = scene.with_goals(np.array(goals))
    count = len(starts)
    return scene, EpisodeSet(
        scene_names=(scene.name,),
        scene_index=np.zeros(count, np.int32),
        start_position=np.array(starts, np.float32),
        start_heading=np.array(headings, np.float32),
        goal=np.array(goals, np.float32),
        goal_index=np.arange(len(scene.goals) - count, len(scene.goals), dtype=np.int32),
        geodesic_distance=np.full(count, np.nan, np.float32),
        episode_id=tuple(map(str, range(count))),
    )


ABOUT_TURN = [LEFT] * 18
# actions -> success, SPL, SoftSPL, distance left, truncated; the goal lies 2 m ahead of the start
STORIES = {
    "stops at once": ([STOP], 0, 0.0, 0.0, 2.0, False),
    "walks and stops there": ([FORWARD] * 8 + [STOP], 1, 1.0, 1.0, 0.0, False),
    "stops a step before": ([FORWARD] * 7 + [STOP], 0, 0.0, 0.875, 0.25, False),
    "comes from a detour": ([*ABOUT_TURN, *[FORWARD] * 4, *ABOUT_TURN, *[FORWARD] * 12, STOP], 1, 0.5, 0.5, 0.0, False),
    "walks away and stops": ([*[RIGHT] * 18, *[FORWARD] * 4, STOP], 0, 0.0, 0.0, 3.0, False),
    "stands at the goal too long": ([FORWARD] * 8 + [LEFT] * 52, 0, 0.0, 1.0, 0.0, True),
    "stops with the last step": ([FORWARD] * 8 + [LEFT] * 51 + [STOP], 1, 1.0, 1.0, 0.0, True),
}


def test_stories_of_episodes(one_room, make_env):
    count = len(STORIES) + 1
    start, goal = (0.025, 0, 1.025), (0.025, 0, -0.975)
    scene, episodes = episodes_in(one_room, [start] * (count - 1) + [goal], [0.0] * count, [goal] * count)
    env = make_env(count, scene, episodes=episodes, sensors=(), max_episode_steps=60)
    env.reset(seed=0)
    told = [story[0] for story in STORIES.values()] + [[STOP]]
    ended = {}
    returns = torch.zeros(count)
    for t in range(60):
        actions = [story[t] if t < len(story) else LEFT for story in told]
        _, reward, terminated, truncated, info = env.step(actions)
        for i in range(count):
            if i not in ended:
                returns[i] += reward[i]
            if i not in ended and bool(terminated[i] | truncated[i]):
                found = {name: float(value[i]) for name, value in measures(info).items()}
                ended[i] = (found, bool(terminated[i]), bool(truncated[i]))
    for i, (name, (actions, success, by_path, soft, left, cut)) in enumerate(STORIES.items()):
        found, terminated, truncated = ended[i]
        assert (terminated, truncated) == (actions[-1] == STOP, cut), name
        assert found["episode_length"] == len(actions), name
        expected = {"success": success, "spl": by_path, "soft_spl": soft, "distance_to_goal": left}
        for key, value in expected.items():
            assert found[key] == pytest.approx(value, abs=0.005), (name, key)
        worked = 2.0 - left - 0.01 * len(actions) + 2.5 * by_path
        assert found["episode_return"] == pytest.approx(worked, abs=0.015), name
        assert float(returns[i]) == pytest.approx(found["episode_return"], abs=1e-4), name
    at_goal = ended[count - 1][0]
    assert (at_goal["success"], at_goal["spl"]) == (1, 1)
    assert at_goal["episode_return"] == pytest.approx(2.49)


@pytest.mark.parametrize("above", [0.0, 0.2, -0.2])
def test_a_start_above_or_below_the_floor_costs_nothing(one_room, make_env, above):
    start, goal = (0.025, above, 1.025), (0.025, 0, -0.975)
    scene, episodes = episodes_in(one_room, [start], [0.0], [goal])
    env = make_env(1, scene, episodes=episodes, sensors=(), autoreset_mode="disabled")
    env.reset(seed=0)
    for action in [FORWARD] * 8 + [STOP]:
        *_, info = env.step([action])
    found = {name: float(value[0]) for name, value in measures(info).items()}
    assert (found["success"], found["spl"], found["soft_spl"]) == (1, 1, pytest.approx(1, abs=1e-3))


def test_the_start_at_the_goal_is_0_m_away_wherever_in_its_cell(one_room, make_env):
    """Interpolated between centres of cells, it would be up to 3 cm."""
    places = np.random.default_rng(0).uniform(-3, 3, (32, 3)) * [1, 0, 1]
    scene, episodes = episodes_in(one_room, places, [0.0] * 32, places)
    env = make_env(32, scene, episodes=episodes, sensors=(), autoreset_mode="disabled")
    env.reset(seed=0)
    *_, info = env.step([STOP] * 32)
    for name, expected in {"success": 1, "spl": 1, "soft_spl": 1, "distance_to_goal": 0, "start_distance": 0}.items():
        np.testing.assert_allclose(measures(info)[name].numpy(), expected, atol=1e-6, err_msg=name)


def test_distances_near_the_goal_are_exact_and_do_not_jump(one_room, make_env):
    rng = np.random.default_rng(0)
    goals = rng.uniform(-3, 3, (400, 3)) * [1, 0, 1]
    angle, away = rng.uniform(-np.pi, np.pi, 400), np.linspace(0, 0.3, 400)
    starts = goals + away[:, None] * np.stack([np.cos(angle), np.zeros(400), np.sin(angle)], 1)
    scene, episodes = episodes_in(one_room, starts, [0.0] * 400, goals)
    env = make_env(400, scene, episodes=episodes, sensors=(), autoreset_mode="disabled")
    env.reset(seed=0)
    *_, info = env.step([STOP] * 400)
    distance = measures(info)["distance_to_goal"].numpy()
    np.testing.assert_allclose(distance[away < 0.1], away[away < 0.1], atol=1e-6)
    np.testing.assert_allclose(distance, away, atol=0.01)


def test_no_straight_line_through_a_thin_wall():
    """A body without width starts 7 cm from the goal, behind a wall 2 m wide and 1 cm thick."""
    floor = [(-2, 0, -2), (-2, 0, 2), (2, 0, 2), (2, 0, -2)]
    sides = [[(-1, 0, z), (1, 0, z), (1, 2, z), (-1, 2, z)] for z in (0.02, 0.03)]
    quads = np.array([floor, *sides], np.float32)
    scene = bake(Mesh.from_triangles(quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)), "wall", AgentBody(radius=0))
    scene, episodes = episodes_in(scene, [(0.01, 0, -0.01)], [0.0], [(0.01, 0, 0.06)])
    resident = ResidentScenes([scene], CPU)
    source = FixedEpisodes(episodes, [scene], 1, CPU)
    task, zero = PointNav(), torch.zeros(1, dtype=torch.int64)
    episode = source.sample(resident, zero, zero)
    state = State.empty(1, CPU)
    state.position[:], state.scene[:] = episode["position"], episode["scene"]
    task.begin(resident, state, torch.ones(1, dtype=torch.bool), episode)
    assert float(state.task["start_distance"]) > 1.98


def test_the_goal_radius_of_an_episode_replaces_that_of_the_task(one_room, make_env):
    start, goal = (0.025, 0, 1.025), (0.025, 0, -0.975)
    scene, episodes = episodes_in(one_room, [start] * 3, [0.0] * 3, [goal] * 3)
    episodes = replace(episodes, goal_radius=np.array([np.nan, 0.3, 0.6], np.float32))
    for steps, success in ((8, [1, 1, 1]), (7, [0, 1, 1]), (6, [0, 0, 1]), (5, [0, 0, 0])):
        env = make_env(3, scene, episodes=episodes, sensors=(), autoreset_mode="disabled")
        env.reset(seed=0)
        for action in [FORWARD] * steps + [STOP]:
            *_, info = env.step([action] * 3)
        assert measures(info)["success"].tolist() == success


def test_returns_telescope(homes, make_env):
    env = make_env(32, homes, sensors=(), max_episode_steps=40)
    env.reset(seed=5)
    rng = np.random.default_rng(5)
    returns, count, successes = np.zeros(32), 0, 0
    for _ in range(160):
        _, reward, terminated, truncated, info = env.step(rng.choice(4, 32, p=[0.03, 0.57, 0.2, 0.2]))
        returns += reward.numpy()
        done = (terminated | truncated).numpy()
        m = {name: value.numpy()[done] for name, value in measures(info).items()}
        worked = m["start_distance"] - m["distance_to_goal"] - 0.01 * m["episode_length"] + 2.5 * m["spl"]
        assert np.allclose(m["episode_return"], worked, atol=1e-3)
        assert np.allclose(returns[done], worked, atol=1e-3)
        assert (m["episode_length"] <= 40).all()
        assert (m["episode_length"][truncated.numpy()[done]] == 40).all()
        assert not m["success"][truncated.numpy()[done]].any()
        returns[done] = 0
        count += done.sum()
        successes += m["success"].sum()
    assert count > 100


def sampled(resident, count, seed=0):
    episode = PointNav().sample(resident, torch.arange(count) + seed, torch.zeros(count, dtype=torch.int64))
    return {name: value.numpy() for name, value in episode.items()}


def test_episodes_obey_habitats_rules(homes, four_rooms):
    scenes = [*homes, four_rooms]
    drawn = sampled(ResidentScenes(scenes, CPU), 20_000)
    assert np.abs(drawn["heading"]).max() <= math.pi
    for k, scene in enumerate(scenes):
        mine = drawn["scene"] == k
        assert mine.sum() == pytest.approx(5000, abs=300)
        start, goal = drawn["position"][mine], drawn["goal"][mine]
        cells = scene.walkable.locate(start)
        assert (cells >= 0).all()
        distance = scene.goal_distances[goal, cells].astype(float)
        assert distance.min() >= 1
        assert distance.max() <= 30
        gap = start - scene.goals[goal]
        assert np.abs(gap[:, 1]).max() <= 0.5
        expected = expectation_of(scene)
        beeline = np.linalg.norm(gap, axis=-1)
        assert (distance / beeline < 1.1).mean() == pytest.approx(expected(lambda walk, ratio: ratio < 1.1), abs=0.02)
        assert distance.mean() == pytest.approx(expected(lambda walk, ratio: walk), rel=0.04)
        for number in range(len(scene.goals)):
            wanted = expected(lambda walk, ratio, number=number: np.arange(len(walk))[:, None] == number)
            assert (goal == number).mean() == pytest.approx(wanted, abs=0.03)


def expectation_of(scene):
    """The mean of any figure over drawn episodes, from all pairs of goal and cell, weighed by the rules."""
    walk = scene.goal_distances.astype(float)
    between = scene.walkable.positions[None] - scene.goals[:, None]
    ratio = walk / np.maximum(np.linalg.norm(between, axis=-1), 1e-6)
    allowed = (walk >= 1) & (walk <= 30) & (np.abs(between[..., 1]) <= 0.5)
    kept = allowed * np.where(ratio >= 1.1, 1, np.clip(20 * np.maximum(ratio - 0.98, 0) ** 2, 0, 1))
    thinned = allowed - kept
    # With 16 pairs tried, all are refused this often; then one that is only too straight is taken.
    all_refused = (1 - kept.mean()) ** 16
    weight = (1 - all_refused) * kept / kept.sum() + all_refused * thinned / thinned.sum()

    def mean(figure):
        return (weight * np.where(allowed, figure(walk, ratio), 0)).sum()

    return mean


def test_an_open_room_still_has_episodes(one_room):
    # Every way is straight here, so hardly a pair survives the thinning; the distances are those of pairs unthinned.
    drawn = sampled(ResidentScenes([one_room], CPU), 5000)
    distance = one_room.goal_distances[drawn["goal"], one_room.walkable.locate(drawn["position"])].astype(float)
    assert distance.min() >= 1
    pairs = one_room.goal_distances.astype(float)
    assert distance.mean() == pytest.approx(pairs[pairs >= 1].mean(), rel=0.03)


def test_goals_are_always_within_reach():
    # Twelve separate floors: of 16 pairs of goal and start tried, all lie on different floors once in four times.
    floor = np.array([[[0, 0, 0], [0, 0, 4], [4, 0, 4]], [[0, 0, 0], [4, 0, 4], [4, 0, 0]]], float)
    floors = np.concatenate([floor + np.array([6 * k, 0, 0]) for k in range(12)])
    scene = bake(Mesh.from_triangles(floors), "islands", AgentBody(), num_goals=24)
    assert len(scene.walkable.island_areas) == 12
    drawn = sampled(ResidentScenes([scene], CPU), 500)
    distance = scene.goal_distances[drawn["goal"], scene.walkable.locate(drawn["position"])]
    assert np.isfinite(distance).all()


def test_streams_give_new_episodes(homes):
    resident = ResidentScenes(homes, CPU)
    task, seed = PointNav(), torch.arange(50)
    first, second = (task.sample(resident, seed, torch.full_like(seed, k)) for k in (0, 1))
    again = task.sample(resident, seed, torch.zeros_like(seed))
    for name, value in first.items():
        assert torch.equal(value, again[name])
    assert not (first["position"] == second["position"]).all(-1).any()
    alone = task.sample(resident, seed[7:8], torch.zeros(1, dtype=torch.int64))
    assert torch.equal(alone["position"][0], first["position"][7])


def test_where_no_way_leads_to_the_goal_nothing_is_gained_or_lost(make_env):
    floor = np.array([[[0, 0, 0], [0, 0, 4], [4, 0, 0]], [[4, 0, 0], [0, 0, 4], [4, 0, 4]]], float)
    scene = bake(
        Mesh.from_triangles(np.concatenate([floor, floor + np.array([10, 0, 0])])), "two islands", AgentBody(), 1
    )
    env = make_env(2, [scene], sensors=())
    env.reset(seed=0)
    state = env.simulator.state
    start = state.task["distance"].clone()
    island = [8.0, 0, 0] if float(scene.goals[0, 0]) < 7 else [-8.0, 0, 0]
    state.position[0] = torch.tensor(scene.goals[0]) + torch.tensor(island)
    assert not scene.geodesic_distance(state.position[0].numpy(), scene.goals[0]) < np.inf
    _, reward, *_, info = env.step(torch.tensor([LEFT, LEFT]))
    assert torch.allclose(reward, torch.tensor([-0.01, -0.01]))
    assert torch.allclose(measures(info)["distance_to_goal"], start)
    assert not measures(env.step(torch.tensor([STOP, LEFT]))[4])["success"].any()
