"""Long random walks while scenes are swapped: nothing grows, observations stay in their spaces, agents on the floor."""

import mmap
import os
import threading

import pytest
import torch

from batchsim import NavVectorEnv
from tests.helpers.rooms import make_room
from tests.helpers.soak import Soak, main, outside_space

BACKENDS = ("raycast", "raster")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of ten small scenes, so that swapping opens files."""
    made = tmp_path_factory.mktemp("rooms")
    for number in range(10):
        make_room(number).save(made / f"room-{number}.scene")
    return made


@pytest.fixture
def make(make_env, folder):
    """Makes environments of the scenes of the folder."""

    def made(num_envs, renderer="raycast", resident=None):
        options = {"sensors": ("depth", "rgb"), "width": 8, "height": 8, "max_episode_steps": 20, "device": "cpu"}
        return make_env(num_envs, str(folder), num_resident_scenes=resident, renderer=renderer, **options)

    return made


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_grows_and_everything_is_in_bounds(make, backend):
    figures = Soak(make(64, backend, resident=4), warm_up=100, steps=400, samples=5).run()
    assert figures["faults"] == {}
    assert figures["scenes_visited"] == 10
    assert figures["scene_changes"] >= 8
    assert figures["episodes"] > 500
    assert figures["gl_objects"]["Buffer"] >= 4
    assert figures["gl_objects"]["Program"] >= 2


class _Leaking:
    """An environment that spoils something at every step."""

    def __init__(self, env: NavVectorEnv, spoil) -> None:
        self._env, self._spoil = env, spoil

    def __getattr__(self, name):
        return getattr(self._env, name)

    def step(self, actions):
        step = self._env.step(actions)
        self._spoil(self._env, step)
        return step


def _leave(value):
    _LEFT.append(value)


_LEFT = []


def _start_thread():
    ended = threading.Event()
    threading.Thread(target=ended.wait, daemon=True).start()
    return ended


def _gl_buffer(env):
    with env.simulator.renderer.context as context:
        return context.buffer(reserve=16)


def _off_the_floor(env):
    env.simulator.state.position[3, 0] += 20


def _new_pages(size):
    """Memory that is surely not yet in use; malloc may hand out what earlier tests of the process freed."""
    pages = mmap.mmap(-1, size)
    pages.write(b"\1" * size)
    return pages


SPOILERS = {
    "file_handles": lambda env, step: _leave(os.open("/dev/null", os.O_RDONLY)),
    "python_threads": lambda env, step: _leave(_start_thread()),
    "Buffer": lambda env, step: _gl_buffer(env),  # not released: moderngl does not do it by itself
    "memory grew": lambda env, step: _leave(_new_pages(4 << 20)),
    "depth: values outside": lambda env, step: step[0]["depth"][2, 1, 1].fill_(torch.nan),
    "pointgoal_with_gps_compass": lambda env, step: step[0].pop("pointgoal_with_gps_compass"),
    "rewards that are not finite": lambda env, step: step[1][0].fill_(torch.inf),
    "positions off the floor": lambda env, step: _off_the_floor(env),
    "ends of steps off the floor": lambda env, step: step[4]["position"][0, 1].add_(5),
}


@pytest.mark.parametrize("named", SPOILERS)
def test_each_fault_is_found(make, named):
    try:
        figures = Soak(_Leaking(make(8), SPOILERS[named]), warm_up=2, steps=30, samples=2).run()
    finally:
        for left in _LEFT:
            if isinstance(left, int):
                os.close(left)
            elif isinstance(left, threading.Event):
                left.set()
        _LEFT.clear()
    assert not figures["ok"]
    assert any(fault.startswith(named) for fault in figures["faults"]), figures["faults"]


def test_values_below_above_and_of_another_type_are_outside(make):
    env = make(2)
    space, (good, _) = env.single_observation_space, env.reset(seed=0)
    assert outside_space(good, space, 2) == []
    for changed in (good["depth"] + 1.5, good["depth"] - 2, good["depth"].double(), good["depth"][:1]):
        (wrong,) = outside_space(good | {"depth": changed}, space, 2)
        assert wrong.startswith("depth")


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_million_steps(cache_of_this_session, capsys, backend):
    code = main(["--steps", "2000000", "--backend", backend])
    figures = capsys.readouterr().out
    assert code == 0, figures
    print(figures)
