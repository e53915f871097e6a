"""ObjectNav: what is asked for, how far it is, when it is done; checked against the scenes themselves."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from batchsim import NavVectorEnv, OptionError, scenes
from batchsim.scenes.categories import CATEGORIES, category_of
from batchsim.scenes.walking.geodesic import geodesic_distance
from batchsim.tasks import ObjectNav
from tests.helpers.infos import measures

HOMES = "homes:train?count=3"
NO_IMAGES = {"sensors": (), "device": "cpu"}


def make(num_envs=32, task="objectnav", spec=HOMES, **options):
    env = NavVectorEnv(num_envs, spec, task=task, **NO_IMAGES | options)
    observation, _ = env.reset(seed=0)
    return env, observation


def scene_of(env, k):
    return env.simulator.scenes.scenes[int(env.simulator.state.scene[k])]


def view_points(scene, category):
    rows = [r for r, label in enumerate(scene.objects.labels) if category_of(scene.label_names[label]) == category]
    cells = np.concatenate([scene.objects.view_cells_of(r) for r in rows])
    return scene.walkable.positions[cells]


def test_spaces_and_ids():
    env, observation = make()
    space = env.single_observation_space
    assert set(space.spaces) == {"objectgoal", "gps", "compass"}
    assert space["objectgoal"].shape == (1,)
    assert space["objectgoal"].dtype == np.int64
    assert observation["objectgoal"].shape == (32, 1)
    assert observation["objectgoal"].dtype == torch.int64
    assert env.observation_space.contains({name: value.numpy() for name, value in observation.items()})
    assert env.task.table[:6] == ("chair", "bed", "plant", "toilet", "tv_monitor", "sofa")
    assert env.task.action_names == ("stop", "forward", "left", "right", "look_up", "look_down")


def test_the_distance_is_that_to_the_nearest_view_point_of_any_instance():
    env, observation = make(8)
    state = env.simulator.state
    for k in range(8):
        scene, name = scene_of(env, k), CATEGORIES[int(observation["objectgoal"][k])]
        points = view_points(scene, name)
        points = points[np.argsort(np.linalg.norm(points - state.position[k].numpy(), axis=1))]
        exact = geodesic_distance(scene.walkable, state.position[k].numpy()[None], points[:: max(1, len(points) // 40)])
        # Single distances may leave out the nearest point, by no more than the points' spacing along an object.
        assert float(state.task["distance"][k]) <= exact.min() + 0.03
        assert float(state.task["distance"][k]) >= exact.min() - 0.6


def test_success_is_a_stop_within_ten_centimetres_of_a_view_point():
    env, observation = make(32)
    state = env.simulator.state
    here = []
    for k in range(32):
        points = view_points(scene_of(env, k), CATEGORIES[int(observation["objectgoal"][k])])
        here.append(points[k % len(points)])
    far = state.position[16:].clone()
    state.position = torch.cat([torch.tensor(np.array(here[:16])), far])
    _, reward, terminated, _, info = env.step(torch.zeros(32, dtype=torch.int64))
    assert terminated.all()
    assert measures(info)["success"].tolist() == [1.0] * 16 + [0.0] * 16
    assert (reward[:16] > 2.5).all()
    torch.testing.assert_close(reward[16:], torch.full((16,), -0.001), atol=0.03, rtol=0)


def test_categories_are_drawn_evenly_and_only_where_they_are():
    env, _ = make(4000)
    state = env.simulator.state
    counts = torch.bincount(state.task["category"], minlength=len(CATEGORIES))
    held = {name for scene in env.simulator.scenes.scenes for name in scene.objects.categories}
    expected = 4000 / len(held)
    for name, count in zip(CATEGORIES, counts.tolist(), strict=True):
        assert (abs(count - expected) < 5 * expected**0.5) if name in held else count == 0
    assert ((state.task["distance"] >= 0.9) & (state.task["distance"] <= 30)).all()
    for k in range(200):
        assert CATEGORIES[int(state.task["category"][k])] in scene_of(env, k).objects.categories


def test_chosen_categories_keep_their_ids():
    env, observation = make(64, ObjectNav(categories=("toilet", "sofa")))
    assert set(observation["objectgoal"].flatten().tolist()) <= {3, 5}
    assert env.single_observation_space["objectgoal"].high.tolist() == [15]


def test_an_episode_is_the_same_whatever_runs_beside_it():
    many, alone = make(9)[0].simulator.state, make(3)[0].simulator.state
    for name in ("position", "heading"):
        assert torch.equal(getattr(many, name)[:3], getattr(alone, name))
    assert torch.equal(many.task["category"][:3], alone.task["category"])


def test_homes_that_are_swapped_bring_their_own_objects():
    env, _ = make(16, spec="homes:train?count=6", num_resident_scenes=2, max_episode_steps=10)
    for _ in range(400):
        env.step(torch.randint(1, 4, (16,)))
        task = env.simulator.state.task
        assert task["distance"].isfinite().all()
    assert env.scene_counts["scene_changes"] >= 2
    for k in range(16):
        scene, goal = scene_of(env, k), int(task["goal"][k]) - len(scene_of(env, k).goals)
        assert scene.objects.categories[goal] == CATEGORIES[int(task["category"][k])]
    env.close()


def test_impossible_categories_are_named():
    with pytest.raises(OptionError, match=r"no scene has 'piano'; the scenes have chair"):
        make(2, ObjectNav(categories=("piano",)))
    with pytest.raises(OptionError, match="no objects that can be goals"):
        make(2, spec="one-room")
    with pytest.raises(OptionError, match=r"min_distance=5: expected less than max_distance=2"):
        ObjectNav(min_distance=5, max_distance=2)


def test_gymnasium_makes_it():
    env = gym.make_vec("batchsim/ObjectNav-v0", num_envs=2, scenes=HOMES, **NO_IMAGES)
    observation, _ = env.reset(seed=0)
    assert observation["objectgoal"].shape == (2, 1)


def test_fixed_episodes_get_categories_evenly():
    loaded = scenes.load_all(HOMES, progress=False)
    starts = scenes.sample_episodes(loaded, 60)
    _, episodes = ObjectNav().prepare(loaded, starts)
    assert len(episodes) >= 58
    env = NavVectorEnv(len(episodes), loaded, task="objectnav", episodes=episodes, **NO_IMAGES)
    env.reset(seed=0)
    task = env.simulator.state.task
    np.testing.assert_allclose(task["distance"].numpy(), episodes.geodesic_distance, atol=0.02)
    counts = torch.bincount(task["category"], minlength=16)
    assert counts[counts > 0].max() - counts[counts > 0].min() <= 3
    again = ObjectNav().prepare(loaded, episodes)[1]
    assert again is episodes
