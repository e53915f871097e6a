"""Scenes that take turns, against what each room is and where it lies."""

import gc
import random
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from batchsim import NavEnv, OptionError
from batchsim.cuda_graph import sync_debug
from batchsim.scenes import SceneError, bake_many, resolve
from batchsim.streaming.initial_scenes import InitialScenes
from batchsim.streaming.scene_streamer import ARRIVAL_STEPS, POLL_INTERVAL, SceneStreamer
from batchsim.world.navigation_data import prepare_navigation
from batchsim.world.resident_scenes import ResidentScenes
from tests.helpers.rooms import make_room, room_of, room_sources

BLIND = {"sensors": (), "device": "cpu", "max_episode_steps": 10}
SEEING = {"sensors": ("depth", "rgb", "semantic"), "width": 16, "height": 16, "renderer": "raycast"}


@pytest.fixture(scope="module")
def rooms():
    return [make_room(k) for k in range(10)]


def walk(env, steps, seed=0):
    """Random steps, with what came of each."""
    generator = torch.Generator().manual_seed(seed)
    chances = torch.tensor([0.02, 0.6, 0.2, 0.18]).expand(env.num_envs, -1)
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(
            torch.multinomial(chances, 1, generator=generator).squeeze(-1)
        )
        state = env.simulator.state
        seen = {name: value.clone() for name, value in observation.items()}
        yield seen | {
            "reward": reward,
            "done": terminated | truncated,
            "position": state.position.clone(),
            "scene": state.scene.clone(),
            "went": info["position"],
        }


def same(walks, others):
    return all(
        a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        for a, b in zip(walks, others, strict=True)
    )


def make_streaming(make_env, rooms, num_envs=12, resident=4, delay=None, broken=(), **options):
    return make_env(num_envs, room_sources(rooms, delay, broken), num_resident_scenes=resident, **(BLIND | options))


def test_every_scene_is_visited_and_bodies_stand_in_the_scene_of_their_slot(make_env, rooms):
    env = make_streaming(make_env, rooms)
    env.reset(seed=0)
    scenes, state, streamer = env.simulator.scenes, env.simulator.state, env.simulator.streamer
    started = Counter()
    while streamer.changes < 16:
        (moment,) = walk(env, 1, seed=streamer.changes)
        names = [scenes.scenes[k].name for k in state.scene.tolist()]
        assert names == [f"room-{k}" for k in room_of(state.position.numpy())]
        assert (scenes.locate(state.scene, state.position) >= 0).all()
        assert state.task["distance"].isfinite().all()
        assert state.step.max() < 10
        started.update(name for name, done in zip(names, moment["done"].tolist(), strict=True) if done)
    assert len(streamer.visited) == 10
    assert set(started) == {room.name for room in rooms}


def test_new_episodes_avoid_the_slots_that_others_leave(make_env, rooms):
    env = make_streaming(make_env, rooms)
    env.reset(seed=1)
    scenes, started = env.simulator.scenes, 0
    for _ in range(150):
        drawn = set(scenes.sample_slot(torch.linspace(0, 0.999, 50)).tolist())
        (moment,) = walk(env, 1, seed=started)
        assert set(moment["scene"][moment["done"]].tolist()) <= drawn
        started += int(moment["done"].sum())
    assert started > 100
    assert env.simulator.streamer.changes > 2
    assert len(drawn) == 3


def test_all_resident_is_as_before(make_env, rooms):
    """The same sources without a streamer give what `Scene` objects give."""
    plain, sources = make_env(6, rooms, **BLIND), make_streaming(make_env, rooms, 6, resident=None)
    assert sources.simulator.streamer is None
    for env in (plain, sources):
        env.reset(seed=4)
    assert same(walk(plain, 60), walk(sources, 60))


def test_the_time_that_loading_takes_changes_nothing(make_env, rooms):
    hasty = make_streaming(make_env, rooms)
    slow = make_streaming(make_env, rooms, delay=lambda: time.sleep(random.random() / 20))
    for env in (hasty, slow):
        env.reset(seed=5)
    assert same(walk(hasty, 300), walk(slow, 300))
    assert hasty.simulator.streamer.changes == slow.simulator.streamer.changes > 5


def test_a_seed_begins_everything_anew(make_env, rooms):
    env = make_streaming(make_env, rooms)
    env.reset(seed=5)
    first = list(walk(env, 200))
    assert env.simulator.streamer.changes > 3
    env.reset(seed=5)
    assert env.simulator.streamer.changes == 0
    assert same(walk(env, 200), first)
    env.reset(seed=6)
    assert not same(walk(env, 200), first)


@pytest.mark.parametrize("steps", [1, POLL_INTERVAL + 1, 50, 60, 70, 80])
def test_going_on_in_another_environment(make_env, rooms, steps):
    env = make_streaming(make_env, rooms)
    env.reset(seed=7)
    for _ in walk(env, steps):
        pass
    saved = env.state_dict()
    expected = list(walk(env, 80, seed=1))
    other = make_streaming(make_env, rooms)
    other.load_state_dict({name: value.clone() for name, value in saved.items()})
    assert same(walk(other, 80, seed=1), expected)
    assert other.simulator.streamer.visited == env.simulator.streamer.visited
    assert other.simulator.streamer.changes == env.simulator.streamer.changes


def test_a_state_of_another_set_is_refused(make_env, rooms):
    env, other = make_streaming(make_env, rooms), make_streaming(make_env, rooms[:-1])
    env.reset(seed=0)
    with pytest.raises(OptionError, match="other scenes"):
        other.load_state_dict(env.state_dict())


def test_scenes_that_cannot_be_loaded_are_left_out(make_env, rooms, caplog):
    env = make_streaming(make_env, rooms, broken=(1, 5, 8))
    assert env.failed_scenes == {"room-1": "room-1: cut off."}
    env.reset(seed=0)
    while env.simulator.streamer.changes < 10:
        for _ in walk(env, 10):
            pass
    assert env.simulator.streamer.visited == {0, 2, 3, 4, 6, 7, 9}
    assert set(env.failed_scenes) == {"room-1", "room-5", "room-8"}
    assert "Skipping room-8: room-8: cut off." in caplog.text


def test_where_no_other_can_be_loaded_the_first_ones_stay(make_env, rooms, caplog):
    env = make_streaming(make_env, rooms, broken=range(4, 10))
    env.reset(seed=0)
    for _ in walk(env, 60):
        pass
    assert env.simulator.streamer.changes == 0
    assert "the 4 resident scenes stay" in caplog.text
    assert set(env.simulator.scenes.sample_slot(torch.linspace(0, 0.999, 50)).tolist()) == {0, 1, 2, 3}
    with pytest.raises(SceneError, match="None of 10"):
        make_streaming(make_env, rooms, broken=range(10))


def test_a_scene_without_goals_is_left_out(make_env, rooms):
    no_goals = replace(rooms[9], goals=rooms[9].goals[:0], goal_distances=rooms[9].goal_distances[:0])
    env = make_streaming(make_env, [*rooms[:5], no_goals])
    env.reset(seed=0)
    while env.simulator.streamer.changes < 6:
        for _ in walk(env, 10):
            pass
    assert list(env.failed_scenes) == ["room-9"]


def test_images_are_of_the_scene_that_has_come(make_env, make_renderer, rooms):
    env = make_streaming(make_env, rooms, num_envs=6, **SEEING)
    env.reset(seed=2)
    renderer = make_renderer(rooms, 12, 16, 16, sensors=SEEING["sensors"], backend="raycast")
    for moment in walk(env, 160):
        rooms_of = torch.as_tensor(room_of(moment["position"].numpy()))
        expected = renderer.render(env.simulator.transition.poses[:6], rooms_of)
        assert torch.equal(moment["rgb"], expected["rgb"])
        assert torch.equal(moment["semantic"], expected["semantic"])
        assert torch.allclose(moment["depth"], expected["depth"].clamp(max=10) / 10)
    assert len(env.simulator.streamer.visited) > 5


@pytest.fixture
def empty_streamer(rooms):
    """A streamer in whose scenes nobody stands."""
    supply = InitialScenes.load(room_sources(rooms), 4)
    streamer = SceneStreamer(ResidentScenes(list(supply.resident.values()), torch.device("cpu"), True), None, supply)
    streamer.restart(seed=0)
    yield streamer
    streamer.close()


def advance_to(streamer, changes):
    nobody = torch.zeros(0, dtype=torch.int64)
    while streamer.changes < changes:
        streamer.advance(nobody)


def test_scenes_come_round_evenly(empty_streamer):
    come = Counter()
    for changes in range(1, 61):
        advance_to(empty_streamer, changes)
        come[empty_streamer._scenes.scenes[empty_streamer._state.active[-1]].name] += 1
    assert len(come) == 10
    # 6 times each, but for those that were still there when their turn came.
    assert max(come.values()) <= 2 * min(come.values())


def test_what_is_kept_does_not_grow_over_many_rounds(empty_streamer):
    scenes = empty_streamer._scenes
    parts = (scenes._grid, scenes._cells, scenes._coverage_cells, scenes._goals, scenes._farthest, scenes._fields)
    sizes, in_all = [], []
    for changes in (20, 120):
        advance_to(empty_streamer, changes)
        gc.collect()
        tensors = [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]
        sizes.append([part.data.nbytes for part in parts])
        assert len(empty_streamer.loader._pending) <= empty_streamer.loader._ahead + 1
        in_all.append(sum(tensor.nbytes for tensor in tensors))
    assert sizes[0] == sizes[1]
    # More or fewer scenes lie ready at either time, but not as many as came in between.
    assert in_all[1] < in_all[0] + 20 * max(prepare_navigation(scene).index.nbytes for scene in scenes.scenes)


def test_an_arrival_takes_its_steps(make_env, rooms):
    env = make_streaming(make_env, rooms)
    env.reset(seed=0)
    streamer, started = env.simulator.streamer, None
    for step, _ in enumerate(walk(env, 200)):
        if started is None and streamer._state.arriving >= 0:
            started = step
        if streamer.changes:
            break
    assert step - started == ARRIVAL_STEPS


def test_one_environment_alone_changes_scenes_too(rooms):
    env = NavEnv(room_sources(rooms), num_resident_scenes=2, **BLIND)
    env.reset(seed=0)
    seen = set()
    for _ in range(120):
        *_, truncated, _ = env.step(1)
        seen.add(int(room_of(env.simulator.state.position.numpy())[0]))
        if truncated:
            env.reset()
    env.close()
    assert len(seen) > 2


def test_the_bound_of_labels(make_env, rooms, homes):
    env = make_streaming(make_env, rooms, **SEEING)
    assert env.single_observation_space["semantic"].high.max() == np.iinfo(np.int32).max - 1
    known = make_env(2, homes, num_resident_scenes=2, **(BLIND | SEEING))
    assert known.simulator.streamer is not None
    assert known.single_observation_space["semantic"].high.max() == len(homes[0].label_names) - 1


def test_options_that_make_no_sense(make_env, rooms, one_room):
    with pytest.raises(OptionError, match="num_resident_scenes must be at least 2"):
        make_streaming(make_env, rooms, resident=1)
    assert make_env(1, one_room, num_resident_scenes=1, **BLIND).simulator.streamer is None


@pytest.mark.slow
def test_changing_scenes_costs_little(make_env):
    """Processor time of steps in 8 resident homes out of 24 against 8 that stay: threads' and uploads' share included.

    Episodes are five times shorter than usual, and so scenes change five times as often.
    """
    options = {"sensors": ("depth",), "renderer": "raycast", "device": "cpu", "max_episode_steps": 100}
    fixed = make_env(128, "homes:train?count=8", **options)
    replaceable = make_env(128, "homes:train?count=24", num_resident_scenes=8, **options)
    bake_many(resolve("homes:train?count=24"))
    spent, single = {fixed: 0.0, replaceable: 0.0}, []
    for env in (fixed, replaceable):
        env.reset(seed=0)
    for block in range(9):
        for env in (fixed, replaceable):
            begin = time.process_time()
            for _ in range(40):
                before = time.thread_time()
                env.step(torch.randint(1, 4, (128,), generator=torch.Generator().manual_seed(block)))
                if block and env is replaceable:
                    single.append(time.thread_time() - before)
            spent[env] += time.process_time() - begin if block else 0
    assert replaceable.simulator.streamer.changes > 4
    assert spent[fixed] / spent[replaceable] > 0.9
    assert max(single) < 3 * np.median(single)


@pytest.mark.gpu
def test_nothing_waits_for_the_gpu(rooms):
    from batchsim import NavVectorEnv

    env = NavVectorEnv(12, room_sources(rooms), num_resident_scenes=4, **(BLIND | {"device": "cuda"}))
    env.reset(seed=0)
    actions = torch.ones(12, dtype=torch.int64, device="cuda")
    for _ in range(3):
        env.step(actions)
    with sync_debug("error"):
        while env.simulator.streamer.changes < 8:
            env.step(actions)
    names = [env.simulator.scenes.scenes[k].name for k in env.simulator.state.scene.tolist()]
    assert names == [f"room-{k}" for k in room_of(env.simulator.state.position.cpu().numpy())]
    env.close()
