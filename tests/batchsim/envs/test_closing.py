"""What is closed, forgotten or interrupted gives back its memory, threads and processes, and says so when asked."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import gymnasium as gym
import pytest
import torch

from batchsim import BatchRenderer, NavVectorEnv, OptionError
from batchsim.render import batch_renderer
from tests.helpers.rooms import make_room, room_sources

FORWARD = torch.ones(4, dtype=torch.int64)


@pytest.fixture(scope="module")
def rooms():
    return [make_room(k) for k in range(6)]


def wait_until(is_so, seconds=10):
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    return is_so()


@pytest.mark.parametrize("backend", ["raycast", "raster"])
def test_a_forgotten_environment_gives_everything_back(rooms, monkeypatch, backend):
    threads, given_back = threading.active_count(), []
    whole = batch_renderer._release
    monkeypatch.setattr(batch_renderer, "_release", lambda *held: (whole(*held), given_back.append(backend)))
    options = {"sensors": ("depth", "rgb"), "width": 8, "height": 8, "renderer": backend}
    env = NavVectorEnv(4, room_sources(rooms), num_resident_scenes=3, device="cpu", **options)
    env.reset(seed=0)
    env.step(FORWARD)
    renderer = weakref.ref(env.simulator.renderer)
    del env
    assert wait_until(lambda: renderer() is None and threading.active_count() == threads)
    assert given_back == [backend]


@pytest.mark.parametrize("backend", ["raycast", "raster"])
def test_memory_does_not_grow_over_renderers_made_and_closed(homes, backend):
    views = torch.tensor([[0.0, 1.25, 0, 0, 0, 0, 1]]), torch.zeros(1, dtype=torch.int64)

    def made_and_closed(count):
        for _ in range(count):
            renderer = BatchRenderer(homes, 64, sensors=("depth", "rgb", "semantic"), backend=backend)
            renderer.render(*views)
            renderer.close()
        gc.collect()
        return resident_mib()

    before = made_and_closed(3)
    # One of them holds more than 10 MiB.
    assert made_and_closed(6) < before + 20


def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_a_closed_environment_and_its_loader_say_so(rooms):
    env = NavVectorEnv(4, room_sources(rooms), num_resident_scenes=3, sensors=(), device="cpu", max_episode_steps=3)
    env.reset(seed=0)
    env.close()
    for method in (lambda: env.step(FORWARD), env.reset, env.observe, env.render):
        with pytest.raises(gym.error.ClosedEnvironmentError, match="after close"):
            method()
    with pytest.raises(OptionError, match="closed"):
        env.simulator.streamer.loader.next()


def test_an_interrupted_command_ends_in_one_line_and_takes_its_workers_along(tmp_path):
    # Where tests run in the background of a script, Ctrl-C is ignored by all processes that do not say otherwise.
    heeding = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    script = "from batchsim import scenes_cli; sys.exit(scenes_cli.main(['generate', 'homes:train?count=400']))"
    command = [sys.executable, "-c", heeding + script]
    environment = os.environ | {"BATCHSIM_CACHE": str(tmp_path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A session of its own: as at a terminal, Ctrl-C goes to the workers as well.
    process = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)
    try:
        assert wait_until(lambda: any(tmp_path.iterdir()), 60)  # the workers are at work
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (out, err, process.returncode) == ("", "batchsim-scenes: interrupted\n", 130)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert not list(tmp_path.glob("*.part"))
