"""A recorded step gives bit for bit what the step gives, over episodes, resets and scenes that come and go."""

import time

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from batchsim.scenes import sample_episodes
from batchsim.simulation.graphed_transition import GraphedTransition
from batchsim.tasks import Flee, PointNav
from tests.helpers.recorded_graph import RecordedGraph
from tests.helpers.rooms import make_room, room_sources

SMALL = {"sensors": (), "device": "cpu", "max_episode_steps": 25}


@pytest.fixture
def both(make_env):
    """Makes two environments alike, of which the second steps through recorded graphs."""

    def make(num_envs, scenes, task="pointnav", **options):
        def one():
            here = scenes() if callable(scenes) else scenes
            return make_env(num_envs, here, task=task() if callable(task) else task, **SMALL | options)

        plain, graphed = one(), one()
        for env in (plain, graphed):
            env.simulator.transition.counts_ended = False
        graphed.simulator._advance = GraphedTransition(graphed.simulator.transition, RecordedGraph)
        RecordedGraph.made.clear()
        return plain, graphed

    return make


def actions_for(env, steps, seed=0):
    shares = torch.tensor([0.03, 0.6, 0.2, 0.17] if env.single_action_space.n == 4 else [0.6, 0.2, 0.2])
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(shares, steps * env.num_envs, True, generator=generator).reshape(steps, env.num_envs)


def flat(value):
    if isinstance(value, dict):
        return {f"{key}/{name}": x for key, item in value.items() for name, x in flat(item).items()}
    if isinstance(value, tuple):
        return flat(dict(enumerate(value)))
    return {"": value}


def assert_same(a, b):
    a, b = flat(a), flat(b)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def play_alike(plain, graphed, steps, seed=0):
    """Steps both and compares all they give; returns how many episodes ended, and checks what was handed out last."""
    handed, ended = [], 0
    for action in actions_for(plain, steps, seed):
        expected, found = plain.step(action), graphed.step(action)
        assert_same(expected, found)
        handed.append((found, {name: value.clone() for name, value in flat(found).items()}))
        ended += int((expected[2] | expected[3]).sum())
    for found, copy in handed:  # what was handed out is left alone by later steps
        assert_same(flat(found), copy)
    assert_same(plain.state_dict(), graphed.state_dict())
    return ended


def recorded(env):
    assert env.simulator._advance.refusal == ""
    return len([graph for graph in RecordedGraph.made if graph.replays])


@pytest.mark.parametrize("task", ["pointnav", "flee", "explore"])
@pytest.mark.parametrize("mode", ["SAME_STEP", "NEXT_STEP"])
def test_tasks(homes, both, task, mode):
    plain, graphed = both(8, homes, task=task, autoreset_mode=mode)
    for env in (plain, graphed):
        env.reset(seed=5)
    assert play_alike(plain, graphed, 120) > 30
    assert recorded(graphed) == 1
    assert RecordedGraph.made[0].replays == 119  # the first is made as it is


def test_images(homes, both):
    plain, graphed = both(6, homes, sensors=("depth",), width=12, height=8, renderer="raycast")
    for env in (plain, graphed):
        env.reset(seed=5)
    for action in actions_for(plain, 60):
        expected, found = plain.step(action), graphed.step(action)
        assert_same(expected, found)


def test_fixed_episodes(homes, both):
    episodes = sample_episodes(homes, 20, seed=0)
    plain, graphed = both(8, homes, episodes=episodes)
    for env in (plain, graphed):
        env.reset(seed=0)
    assert play_alike(plain, graphed, 150) > 40
    assert recorded(graphed) == 1


def test_resets_and_loaded_states_go_where_the_graph_looks(homes, both):
    plain, graphed = both(8, homes, autoreset_mode=AutoresetMode.DISABLED)
    some = np.arange(8) % 3 == 0
    saved = []
    for env in (plain, graphed):
        env.reset(seed=1)
    play_alike(plain, graphed, 10)
    for env in (plain, graphed):
        env.reset(options={"reset_mask": some, "elapsed_steps": np.full(8, 20)})
        saved.append(env.state_dict())
    play_alike(plain, graphed, 10, seed=1)
    for env, state in zip((plain, graphed), saved, strict=True):
        env.load_state_dict(state)
    play_alike(plain, graphed, 10, seed=2)
    for env in (plain, graphed):
        env.reset(seed=9)
    play_alike(plain, graphed, 10, seed=3)
    assert recorded(graphed) == 1


@pytest.mark.parametrize("task", ["pointnav", "explore"])
def test_scenes_that_come_and_go(make_env, both, task):
    rooms = [make_room(k) for k in (1, 4, 7, 10, 2, 5, 0, 3)]  # larger ones later
    plain, graphed = both(12, lambda: room_sources(rooms), task=task, num_resident_scenes=4, max_episode_steps=10)
    for env in (plain, graphed):
        env.reset(seed=2)
    assert play_alike(plain, graphed, 300) > 100
    assert plain.simulator.streamer.changes > 5
    # Rooms of other sizes: where there is no room for one, the graph is recorded anew, and only then.
    assert 1 < recorded(graphed) < 12
    assert sum(graph.replays for graph in RecordedGraph.made) > 280


class Swaps(PointNav):
    """What it keeps changes places, so that each tensor comes to stand where another is looked for."""

    def begin(self, scenes, state, mask, episode):
        super().begin(scenes, state, mask, episode)
        zero = torch.zeros_like(state.heading)
        kept = state.task
        kept["a"], kept["b"] = kept.get("b", zero), kept.get("a", zero) + 1

    def step(self, scenes, state, action):
        reward, terminated = super().step(scenes, state, action)
        kept = state.task
        kept["a"], kept["b"] = kept["b"], kept["a"]
        return reward + kept["a"], terminated

    def measures(self, scenes, state):
        return super().measures(scenes, state) | {"a": state.task["a"]}


def test_tensors_that_change_places(one_room, both):
    plain, graphed = both(4, one_room, task=Swaps, autoreset_mode=AutoresetMode.DISABLED)
    for seed in range(3):
        for env in (plain, graphed):
            for _ in range(1 + seed):
                env.reset(seed=seed)
        play_alike(plain, graphed, 5, seed)
    assert recorded(graphed) == 1


class Asks(PointNav):
    def step(self, scenes, state, action):
        reward, terminated = super().step(scenes, state, action)
        return (reward + 1 if terminated.any() else reward), terminated


class Counts(PointNav):
    def __init__(self):
        super().__init__()
        self.count = [0]

    def step(self, scenes, state, action):
        self.count[0] += 1
        reward, terminated = super().step(scenes, state, action)
        return reward + self.count[0], terminated


class Remembers(Flee):
    last = None

    def step(self, scenes, state, action):
        reward, terminated = super().step(scenes, state, action)
        self.last, before = reward, self.last
        return (reward if before is None else reward - before), terminated


class Schedules(PointNav):
    steps = 0

    def step(self, scenes, state, action):
        self.steps += 1
        return super().step(scenes, state, action)


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (Asks, "makes the host wait"),
        (Counts, "another result"),
        (Remembers, "every step"),
        (Schedules, "every step"),
    ],
)
def test_tasks_that_cannot_be_recorded_go_without(one_room, both, caplog, task, reason):
    plain, graphed = both(8, one_room, task=task)
    for env in (plain, graphed):
        env.reset(seed=5)
    for action in actions_for(plain, 12):
        expected, found = plain.step(action), graphed.step(action)
        if task in (Asks, Schedules):  # the others have counted the attempts
            assert_same(expected, found)
    assert reason in graphed.simulator._advance.refusal
    assert caplog.text.count("CUDA graph") == 1


class Pays(PointNav):
    bonus = 0.0

    def step(self, scenes, state, action):
        reward, terminated = super().step(scenes, state, action)
        return reward + self.bonus * terminated, terminated


def test_numbers_of_a_task_may_change(one_room, both):
    plain, graphed = both(8, one_room, task=Pays)
    for env in (plain, graphed):
        env.reset(seed=5)
    play_alike(plain, graphed, 20)
    plain.task.bonus = graphed.task.bonus = 5.0
    play_alike(plain, graphed, 40, seed=1)
    assert recorded(graphed) == 2


def test_errors_of_a_task_are_its_own(one_room, both):
    class Broken(PointNav):
        def step(self, scenes, state, action):
            return state.task["nothing"], action

    _, graphed = both(3, one_room, task=Broken)
    graphed.reset(seed=0)
    with pytest.raises(KeyError, match="nothing"):
        graphed.step([1, 1, 1])


@pytest.fixture
def on_gpu(make_env):
    """Makes two environments alike on the GPU, of which the second steps through graphs."""

    def make(num_envs, scenes, **options):
        options = {"width": 32, "height": 32, "renderer": "raycast"} | options | {"device": "cuda"}
        return [
            make_env(num_envs, scenes() if callable(scenes) else scenes, simulator_cuda_graph=graphed, **options)
            for graphed in (False, True)
        ]

    return make


@pytest.mark.gpu
@pytest.mark.parametrize("task", ["pointnav", "flee", "explore"])
@pytest.mark.parametrize("mode", ["SAME_STEP", "NEXT_STEP", "DISABLED"])
def test_gpu_tasks(homes, on_gpu, task, mode):
    plain, graphed = on_gpu(64, homes, task=task, autoreset_mode=mode, max_episode_steps=25)
    for env in (plain, graphed):
        env.reset(seed=5)
    for action in actions_for(plain, 100).cuda():
        expected, found = plain.step(action), graphed.step(action)
        assert_same(expected, found)
    assert_same(plain.state_dict(), graphed.state_dict())
    assert graphed.simulator._advance.refusal == ""


@pytest.mark.gpu
def test_gpu_scenes_that_come_and_go(on_gpu):
    rooms = [make_room(k) for k in (1, 4, 7, 10, 2, 5, 0, 3)]  # larger ones later
    options = {"task": "explore", "num_resident_scenes": 4, "max_episode_steps": 10}
    plain, graphed = on_gpu(12, lambda: room_sources(rooms), **options)
    for env in (plain, graphed):
        env.reset(seed=2)
    for action in actions_for(plain, 300).cuda():
        expected, found = plain.step(action), graphed.step(action)
        assert_same(expected, found)
    assert graphed.simulator.streamer.changes > 5
    assert graphed.simulator._advance.refusal == ""


@pytest.mark.gpu
def test_gpu_tasks_that_wait_go_without(one_room, on_gpu, caplog):
    plain, graphed = on_gpu(8, one_room, task=Asks())
    for env in (plain, graphed):
        env.reset(seed=5)
    for action in actions_for(plain, 20).cuda():
        assert_same(plain.step(action), graphed.step(action))
    assert graphed.simulator._advance.refusal in caplog.text


@pytest.mark.gpu
def test_gpu_a_replayed_step_is_asked_for_sooner(homes, on_gpu):
    """What the host takes for a step, without images: the device is waited for at the end alone."""
    envs = on_gpu(1024, homes, sensors=())
    seconds = []
    for env in envs:
        env.reset(seed=0)
        actions = actions_for(env, 50).cuda()
        for action in actions[:10]:
            env.step(action)
        torch.cuda.synchronize()
        start = time.perf_counter()
        for action in actions:
            env.step(action)
        torch.cuda.synchronize()
        seconds.append((time.perf_counter() - start) / len(actions))
    plain, graphed = (f"{1e6 * s:,.0f} us" for s in seconds)
    print(f"a step of 1024 environments without images: {plain}, as a graph {graphed}")
    assert seconds[1] < seconds[0]
