"""The order in which scenes are visited, what is loaded when, and what happens to those that cannot be."""

import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from batchsim.errors import OptionError
from batchsim.scenes import LABELS, SceneError, resolve
from batchsim.streaming.initial_scenes import InitialScenes, joint_table
from batchsim.streaming.scene_loader import SceneLoader, visiting_order
from tests.helpers.rooms import RoomSource, make_room, room_sources


@pytest.fixture(scope="module")
def rooms():
    return [make_room(k) for k in range(8)]


@pytest.fixture
def make_loader():
    made = []

    def make(sources, wanted=2, **options):
        made.append(SceneLoader(InitialScenes.load(sources, wanted), lambda scene: scene.name, **options))
        return made[-1]

    yield make
    for loader in made:
        loader.close()


def test_each_scene_comes_once_a_round():
    order = list(islice(visiting_order(20, {3, 4, 5}, seed=7), 17 + 20 + 20))
    assert sorted(order[:17]) == [k for k in range(20) if k not in (3, 4, 5)]
    assert sorted(order[17:37]) == sorted(order[37:]) == list(range(20))
    assert order[17:37] != order[37:]
    assert order == list(islice(visiting_order(20, {3, 4, 5}, seed=7), 57))
    assert order != list(islice(visiting_order(20, {3, 4, 5}, seed=8), 57))


def test_scenes_come_in_order_however_long_each_takes(rooms, make_loader):
    hasty = make_loader(room_sources(rooms))
    slow = make_loader(room_sources(rooms, delay=lambda: time.sleep(random.random() / 30)))
    for loader in (hasty, slow):
        loader.start(seed=3)
    found = [[loader.next() for _ in range(14)] for loader in (hasty, slow)]
    assert found[0] == found[1]
    assert [number for number, _ in found[0]] == list(islice(visiting_order(8, {0, 1}, 3), 14))
    assert all(name == f"room-{number}" for number, name in found[0])


def test_a_loader_goes_on_where_another_was(rooms, make_loader):
    first, second = make_loader(room_sources(rooms)), make_loader(room_sources(rooms))
    first.start(seed=3)
    for _ in range(5):
        first.next()
    second.start(seed=3, taken=first.taken)
    assert [first.next() for _ in range(9)] == [second.next() for _ in range(9)]


def test_scenes_are_loaded_ahead_but_not_far(rooms, make_loader):
    sources = room_sources(rooms)
    loader = make_loader(sources, ahead=3)
    before = Counter(name for source in sources for name in source.loaded)
    loader.start(seed=0)
    loader.next()
    deadline = time.monotonic() + 10
    while sum(len(source.loaded) for source in sources) < before.total() + 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert sum(len(source.loaded) for source in sources) == before.total() + 4


def test_a_scene_that_is_not_there_yet_is_waited_for_and_said_so(rooms, make_loader, caplog):
    loader = make_loader(room_sources(rooms, delay=lambda: time.sleep(0.05)))
    with caplog.at_level(logging.INFO):
        loader.start(seed=0)
        number, _ = loader.next()
    assert f"for room-{number} to load" in caplog.text


def test_scenes_that_cannot_be_had_are_named_and_left_out(rooms, make_loader, caplog):
    loader = make_loader(room_sources(rooms, broken=(4, 6)))
    loader.start(seed=1)
    found = [loader.next()[0] for _ in range(20)]
    assert set(found) == {0, 1, 2, 3, 5, 7}
    assert loader.failed == {4: "room-4: cut off.", 6: "room-6: cut off."}
    assert caplog.text.count("Skipping room-4") == 1


def test_scenes_to_leave_out(rooms, make_loader):
    loader = make_loader(room_sources(rooms))
    loader.start(seed=1)
    assert {loader.next(leave_out=range(6))[0] for _ in range(10)} == {6, 7}
    assert loader.next(leave_out=range(8)) is None
    assert loader.next() is not None


def test_a_programming_error_is_not_taken_for_a_broken_scene(rooms, make_loader):
    sources = room_sources(rooms)
    loader = make_loader([*sources[:2], RoomSource(ZeroDivisionError(), "bug")])
    loader.start(seed=0)
    with pytest.raises(ZeroDivisionError):
        loader.next()


def test_closing_ends_the_threads(rooms):
    before = threading.active_count()
    loader = SceneLoader(InitialScenes.load(room_sources(rooms), 2), str)
    loader.start(seed=0)
    loader.next()
    loader.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_what_is_not_baked_is_baked_by_processes_that_end_with_the_program(tmp_path):
    """Also where the program forgets to close the loader."""
    script = (
        "from batchsim.streaming.scene_loader import SceneLoader\n"
        "from batchsim.streaming.initial_scenes import InitialScenes\n"
        "from batchsim.scenes import resolve\n"
        "supply = InitialScenes.load(resolve(['one-room', 'four-rooms', 'maze'], None, 2), 2)\n"
        "loader = SceneLoader(supply, lambda scene: scene.name)\n"
        "loader.start(0)\nprint(loader.next())\n"
    )
    environment = os.environ | {"BATCHSIM_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, env=environment)
    assert (done.stdout, done.returncode) == ("(2, 'maze')\n", 0), done.stderr
    assert not list(tmp_path.glob("*.part"))


def test_how_many_are_resident(rooms):
    many = [RoomSource(rooms[0], str(k)) for k in range(129)]
    assert len(InitialScenes.load(many).resident) == 32
    assert len(InitialScenes.load(many[:128]).resident) == 128
    supply = InitialScenes.load(many, 5)
    assert (len(supply.resident), supply.has_more) == (5, True)
    assert not InitialScenes.load(many[:4], 5).has_more
    for wrong in (0, -1, 2.5, 1):
        with pytest.raises(OptionError, match=r"num_resident_scenes(=.*expected| must be at least 2)"):
            InitialScenes.load(many, wrong)
    with pytest.raises(OptionError, match="needs all 129 scenes"):
        InitialScenes.load_all(many, 5)


def test_the_first_that_can_be_had(rooms, caplog):
    supply = InitialScenes.load(room_sources(rooms, broken=(0, 2)), 3)
    assert list(supply.resident) == [1, 3, 4]
    assert supply.failed_names == {"room-0": "room-0: cut off.", "room-2": "room-2: cut off."}
    assert "Skipping room-2: room-2: cut off." in caplog.text
    few = InitialScenes.load(room_sources(rooms, broken=range(7)), 3)
    assert (list(few.resident), few.has_more) == ([7], False)


def test_none_can_be_had(rooms):
    with pytest.raises(SceneError, match=r"None of 8 scenes can be loaded. room-0: cut off"):
        InitialScenes.load(room_sources(rooms, broken=range(8)), 3)
    with pytest.raises(SceneError, match=r"^room-0: cut off"):
        InitialScenes.load(room_sources(rooms, broken=[0])[:1])


def test_labels(rooms, one_room):
    generated = resolve("homes:train?count=200")
    assert InitialScenes(generated, {0: one_room}, {}).num_labels == len(LABELS)
    assert InitialScenes([generated[0], *room_sources(rooms)], {0: one_room}, {}).num_labels is None
    assert InitialScenes(room_sources(rooms)[:1], {0: one_room}, {}).num_labels == len(LABELS)


def test_one_table_of_labels_for_all_scenes(rooms, make_env):
    def named(room, *names):
        labels = np.arange(len(room.triangles), dtype=np.int32) % len(names) + len(LABELS)
        return replace(room, labels=labels, label_names=(*LABELS, *names))

    mine = [named(rooms[1], "robot", "vase"), named(rooms[2], "vase"), rooms[4]]
    env = make_env(3, room_sources(mine), sensors=("semantic",), height=8, width=8)
    assert env.label_names == (*LABELS, "robot", "vase")
    assert env.single_observation_space["semantic"].high.max() == len(LABELS) + 1
    for before, scene in zip(mine, env.simulator.scenes.scenes, strict=True):
        names = [before.label_names[k] for k in before.labels]
        assert [env.label_names[k] for k in scene.labels] == names
    replaceable = make_env(2, room_sources(mine), sensors=(), num_resident_scenes=2)
    assert replaceable.label_names is None


def test_joint_tables_by_hand():
    assert joint_table([LABELS, LABELS]) is LABELS
    assert joint_table([(*LABELS, "b"), LABELS, (*LABELS, "c", "a")]) == (*LABELS, "a", "b", "c")
    assert joint_table([("nothing", "z"), ("nothing", "a")]) == ("nothing", "a", "z")
