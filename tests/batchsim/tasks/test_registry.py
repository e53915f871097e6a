"""What all tasks share: sensors, starts, names, the faces to Gymnasium; each against something independent."""

import math
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

import batchsim
from batchsim import NavEnv, NavVectorEnv, OptionError, Task
from batchsim.scenes import AgentBody, Mesh, bake, sample_episodes
from batchsim.tasks import TASKS, Explore, Flee, ImageNav, MultiObjectNav, ObjectNav, PointNav, choose_task
from batchsim.tasks.sensors import compass, gps
from batchsim.world.resident_scenes import ResidentScenes
from tests.helpers.infos import row_info

CPU = torch.device("cpu")
SMALL = {"width": 16, "height": 16, "renderer": "raster", "max_episode_steps": 12}
IDS = {"pointnav": "batchsim/PointNav-v0", "flee": "batchsim/Flee-v0", "explore": "batchsim/Explore-v0"}

# start heading in quarter turns to the left, way from the start (x, y, z) -> metres ahead, metres to the right
GPS = [
    (0, (0, 0, -3), 3, 0),
    (0, (2, 0, 0), 0, 2),
    (0, (-2, 0.7, 1), -1, -2),  # heights do not count
    (1, (-3, 0, 0), 3, 0),  # turned left, ahead is -x ...
    (1, (0, 0, -2), 0, 2),  # ... and -z on the right
    (-1, (3, 0, 0), 3, 0),
    (-1, (0, 0, 2), 0, 2),
    (2, (1, 0, 4), 4, -1),
]


@pytest.mark.parametrize(("quarters", "way", "ahead", "right"), GPS)
def test_gps(quarters, way, ahead, right):
    start = torch.tensor([[1.5, 0.2, -4.0]])
    found = gps(start + torch.tensor([way]), start, torch.tensor([quarters * math.pi / 2]))
    assert found[0].tolist() == pytest.approx([ahead, right], abs=1e-5)


@pytest.mark.parametrize(("start", "now", "turned"), [(0, 90, 90), (90, 0, -90), (170, -170, 20), (-170, 170, -20)])
def test_compass(start, now, turned):
    found = compass(torch.tensor([math.radians(now)]), torch.tensor([math.radians(start)]))
    assert found.shape == (1, 1)
    assert math.degrees(float(found)) == pytest.approx(turned, abs=1e-4)


def test_sensors_are_habitats_rotations_in_quaternions(homes, make_env):
    """Habitat turns the way by the inverse of the start's rotation, and gives (-z, x) of that."""
    env = make_env(16, homes, task="explore", sensors=(), max_episode_steps=25)
    observation, _ = env.reset(seed=1)
    state = env.simulator.state
    assert not observation["gps"].any()
    assert not observation["compass"].any()
    start, heading = state.position.numpy().copy(), state.heading.numpy().copy()
    for action in np.random.default_rng(0).choice(3, (24, 16), p=[0.6, 0.3, 0.1]):
        observation, *_ = env.step(action)
    inverse = quaternion(heading) * np.array([-1, -1, -1, 1])
    way = rotate(inverse, state.position.numpy() - start)
    assert np.abs(way).max() > 1
    assert np.allclose(observation["gps"], np.stack([-way[:, 2], way[:, 0]], -1), atol=1e-4)
    ahead = rotate(inverse, rotate(quaternion(state.heading.numpy()), np.tile([0.0, 0.0, -1.0], (16, 1))))
    assert np.allclose(observation["compass"][:, 0], np.arctan2(-ahead[:, 0], -ahead[:, 2]), atol=1e-4)


def quaternion(heading):
    zero = np.zeros_like(heading)
    return np.stack([zero, np.sin(heading / 2), zero, np.cos(heading / 2)], -1)


def rotate(q, v):
    return v + 2 * np.cross(q[:, :3], np.cross(q[:, :3], v) + q[:, 3:] * v)


def same_info(a, b):
    return a.keys() == b.keys() and all(np.allclose(a[name], b[name], atol=1e-4) for name in a)


def drawn(task, scenes, count):
    episode = task.sample(ResidentScenes(scenes, CPU), torch.arange(count), torch.zeros(count, dtype=torch.int64))
    return {name: value.numpy() for name, value in episode.items()}


def test_explorers_start_all_over_the_floor(homes):
    found = drawn(Explore(), homes, 6000)
    assert np.abs(found["heading"]).max() <= math.pi
    for k, scene in enumerate(homes):
        position = found["position"][found["scene"] == k]
        assert len(position) == pytest.approx(2000, abs=150)
        cells = scene.walkable.locate(position)
        assert (cells >= 0).all()
        # As many cells in a part as its share of the floor says.
        mean, spread = scene.walkable.positions.mean(0), scene.walkable.positions.std(0)
        assert np.allclose(position.mean(0), mean, atol=0.06 + 0.06 * spread.max())


def test_starts_are_where_a_goal_can_be_reached():
    # Twelve separate floors, goals on two of them.
    a, b, c, d = (0, 0, 0), (0, 0, 4), (4, 0, 4), (4, 0, 0)
    floor = np.array([[a, b, c], [a, c, d]], float)
    floors = np.concatenate([floor + np.array([6 * k, 0, 0]) for k in range(12)])
    scene = bake(Mesh.from_triangles(floors), "islands", AgentBody(), num_goals=2)
    assert len(scene.walkable.island_areas) == 12
    found = drawn(Explore(), [scene], 500)
    walk = scene.goal_distances[found["goal"], scene.walkable.locate(found["position"])]
    assert np.isfinite(walk).all()
    # Eight cells are tried; once in two times all of them lie elsewhere, and the start is the goal itself.
    assert (walk > 0.1).mean() == pytest.approx(1 - (11 / 12) ** 8, abs=0.06)


def test_those_who_flee_start_at_goals(homes):
    found = drawn(Flee(), homes, 600)
    for k, scene in enumerate(homes):
        mine = found["scene"] == k
        assert np.array_equal(found["position"][mine], scene.goals[found["goal"][mine]])
        assert set(found["goal"][mine].tolist()) == set(range(len(scene.goals)))


@pytest.mark.parametrize("task", IDS)
def test_a_slot_lives_through_what_a_single_environment_does(homes, make_env, task):
    options = {"sensors": (), "max_episode_steps": 9, "task": task}
    env = make_env(5, homes, output="numpy", **options)
    singles = [NavEnv(homes, **options) for _ in range(5)]
    observation, _ = env.reset(seed=20)
    alone = [single.reset(seed=20 + i)[0] for i, single in enumerate(singles)]
    walk = env.task.action_names.index("forward")
    for actions in np.random.default_rng(0).integers(walk, walk + 3, (30, 5)):
        for name, value in observation.items():
            assert np.allclose(value, np.stack([one[name] for one in alone]), atol=1e-5)
        observation, reward, terminated, truncated, info = env.step(actions)
        for i, single in enumerate(singles):
            alone[i], its_reward, *ends, its_info = single.step(actions[i])
            assert reward[i] == pytest.approx(its_reward, abs=1e-5)
            assert ends == [terminated[i], truncated[i]]
            assert same_info(row_info(info, i), its_info)
            if any(ends):
                assert all(np.allclose(info["final_obs"][i][k], alone[i][k], atol=1e-5) for k in alone[i])
                alone[i], _ = single.reset()


@pytest.mark.parametrize("task", IDS)
def test_gymnasiums_own_checker(one_room, gl_watched, task):
    env = NavEnv(one_room, task=task, **SMALL)
    check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("task", IDS)
def test_made_by_name(gl_watched, task):
    env = gym.make(IDS[task], scenes="one-room", **SMALL)
    assert type(env.unwrapped.simulator.task) is TASKS[task]
    env.close()
    envs = gym.make_vec(IDS[task], num_envs=3, scenes="one-room", output="numpy", **SMALL)
    assert type(envs.task) is TASKS[task]
    assert envs.single_action_space.n == len(envs.task.action_names)
    observation, _ = envs.reset(seed=0)
    assert observation in envs.observation_space
    assert set(observation) == {"depth", *envs.task.observation_spaces()}
    *_, info = envs.step(np.zeros(3, int))
    assert set(envs.task.headline_measures) <= set(info.get("final_info", info))
    envs.close()


@pytest.mark.parametrize("task", ["flee", "explore"])
def test_time_truncates_and_nothing_terminates(homes, make_env, task):
    env = make_env(4, homes, task=task, sensors=(), max_episode_steps=7)
    env.reset(seed=0)
    for step in range(1, 22):
        _, _, terminated, truncated, _ = env.step([0, 1, 2, 0])
        assert not terminated.any()
        assert truncated.tolist() == [step % 7 == 0] * 4


@pytest.mark.parametrize("task", ["flee", "explore"])
def test_fixed_episodes_give_start_and_heading(homes, make_env, task):
    episodes = sample_episodes(homes, 9, seed=4)
    env = make_env(9, homes, task=task, episodes=episodes, sensors=())
    env.reset(seed=0)
    state = env.simulator.state
    assert np.allclose(state.position, episodes.start_position)
    assert np.allclose(state.heading, episodes.start_heading)


@dataclass(frozen=True)
class Climb(Task):
    """Reward: metres up."""

    action_names = ("right", "wait", "forward")

    def begin(self, scenes, state, mask, episode):
        super().begin(scenes, state, mask, episode)
        state.keep(mask, height=state.position[:, 1])

    def step(self, scenes, state, action):
        gained = state.position[:, 1] - state.task["height"]
        state.task["height"] = state.position[:, 1]
        return gained, action == 1


def test_actions_do_what_their_names_say(one_room, make_env):
    env = make_env(3, one_room, task=Climb(), sensors=(), autoreset_mode="DISABLED")
    env.reset(seed=0)
    state = env.simulator.state
    before, heading = state.position.clone(), state.heading.clone()
    _, _, terminated, _, _ = env.step([0, 1, 2])
    turned = torch.remainder(state.heading - heading + math.pi, 2 * math.pi) - math.pi
    assert turned.tolist() == pytest.approx([-math.radians(10), 0, 0], abs=1e-5)
    assert (state.position - before).norm(dim=-1)[:2].tolist() == [0, 0]
    assert float(state.path_length[2]) == pytest.approx(0.25, abs=1e-3) or bool(state.collided[2])
    assert terminated.tolist() == [False, True, False]


def test_registered_tasks_are_made_by_gymnasium(gl_watched):
    batchsim.register_task("Climb-v0", Climb(), max_episode_steps=3)
    try:
        envs = gym.make_vec("Climb-v0", num_envs=2, scenes="one-room", sensors=())
        assert isinstance(envs, NavVectorEnv)
        assert isinstance(envs.task, Climb)
        envs.reset(seed=0)
        assert [envs.step([0, 2])[3].all() for _ in range(3)] == [False, False, True]
        envs.close()
        env = gym.make("Climb-v0", scenes="one-room", sensors=())
        assert env.action_space.n == 3
        env.close()
    finally:
        del gym.registry["Climb-v0"]


def test_choosing():
    assert choose_task("flee") == Flee()
    assert choose_task("pointnav", 0.5) == PointNav(success_distance=0.5)
    assert choose_task("batchsim.tasks.explore:Explore") == Explore()
    assert choose_task("imagenav", 1.0) == ImageNav(success_distance=1.0)
    own = Explore(cell_reward=1.0)
    assert choose_task(own) is own


def test_fields_follow_the_name():
    wanted = ObjectNav(categories=("bed", "sofa"), success_reward=5.0)
    assert choose_task("objectnav?categories=bed,sofa&success_reward=5") == wanted
    assert choose_task("multi_objectnav?num_goals=2") == MultiObjectNav(num_goals=2)
    assert choose_task("imagenav?success_distance=0.5", 1.0).success_distance == 1.0
    assert choose_task("batchsim.tasks.explore:Explore?cell_reward=2") == Explore(cell_reward=2.0)


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("swim", r"'swim'.*pointnav, flee, explore.*module:Class"),
        ("no_such_module:Swim", "no_such_module"),
        ("batchsim.tasks.flee:Swim", "Swim"),
        ("batchsim.tasks.flee:dataclass", "subclass of batchsim.tasks.Task"),
        (3, "expected one of"),
        ("imagenav?colour=red", r"no field 'colour'; expected some of success_distance, success_reward"),
        ("objectnav?table=bed", "no field 'table'"),
        ("imagenav?success_distance=near", r"success_distance='near': expected a value such as 0.2"),
        ("imagenav?success_distance=-1", "success_distance=-1"),
        ("imagenav?", "expected fields and values"),
        ("imagenav?success_distance", "expected fields and values"),
        ("imagenav?slack_reward=1&slack_reward=2", "expected fields and values"),
    ],
)
def test_what_is_no_task_is_named(task, told):
    with pytest.raises(OptionError, match=told):
        choose_task(task)


def test_a_success_distance_without_a_goal_is_refused(one_room):
    with pytest.raises(OptionError, match="success_distance"):
        NavVectorEnv(1, one_room, task="flee", success_distance=0.3, sensors=())
