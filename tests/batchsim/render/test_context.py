"""OpenGL contexts: which version is asked for, who may use them, and what stays current."""

import gc
import os
import subprocess
import sys
import threading
import time

import moderngl
import pytest
import torch

from batchsim import BatchRenderer, RenderError
from batchsim.render.opengl import context as context_module
from batchsim.render.opengl.context import activated, create_context, release_context
from batchsim.render.opengl.gl_errors import checked

FORWARD = torch.tensor([[0.0, 1.25, 0, 0, 0, 0, 1]])
SCENE = torch.zeros(1, dtype=torch.int64)
CREATE = "from batchsim.render.opengl.context import create_context; print(create_context().version_code)"


def run(code, seconds=60, **environment):
    """Runs Python code in a process of its own; a hang fails."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=seconds)


def test_the_version_that_is_needed_is_asked_for(monkeypatch):
    """NVIDIA's driver makes a context of exactly the version asked for."""
    asked = []
    real = moderngl.create_context
    monkeypatch.setattr(moderngl, "create_context", lambda **options: (asked.append(options), real(**options))[1])
    release_context(create_context())
    assert [options["require"] for options in asked] == [430]


@pytest.mark.parametrize(("version", "accepted"), [("3.3", False), ("4.2", False), ("4.3", True), ("4.5", True)])
def test_drivers_of_other_versions(version, accepted):
    result = run(CREATE, MESA_GL_VERSION_OVERRIDE=version)
    if accepted:
        assert result.stdout.strip() == version.replace(".", "") + "0"
    else:
        assert result.returncode == 1
        assert f"OpenGL {version} is too old: batchsim needs 4.3" in result.stderr


def test_errors_of_queries_are_not_reported_as_ours(monkeypatch):
    def leave_errors(self):
        for _ in range(3):
            self.enable_direct(0xFFFF)  # nothing that OpenGL knows
        return {"GL_RENDERER": "fake"}

    monkeypatch.setattr(moderngl.Context, "info", property(leave_errors))
    context = create_context()
    with checked(context, "doing nothing"):
        pass
    release_context(context)


def is_current(context):
    """Whether GL calls reach `context`."""
    buffer = context.buffer(b"own ")
    try:
        return buffer.read() == b"own " and context.error == "GL_NO_ERROR"
    finally:
        buffer.release()


@pytest.mark.parametrize("action", ["use", "make", "close", "forget"])
def test_what_is_current_stays_current(one_room, action):
    outer = create_context()
    other = None if action == "make" else BatchRenderer([one_room], 1, 8, 8, backend="raycast")
    with activated(outer):
        if action == "use":
            other.render(FORWARD, SCENE)
        elif action == "make":
            other = BatchRenderer([one_room], 1, 8, 8, backend="raster")
        elif action == "close":
            other.close()
        else:
            other = None
            gc.collect()
        assert is_current(outer)
    if other is not None:
        other.close()
    release_context(outer)


def test_a_block_within_a_block_of_the_same_context():
    context = create_context()
    with activated(context):
        with activated(context):
            assert is_current(context)
        assert is_current(context)
    release_context(context)


def test_threads_at_the_same_time_are_refused_and_named(one_room):
    renderer = BatchRenderer([one_room], 1, 8, 8, backend="raycast")
    reached, leave, errors = threading.Event(), threading.Event(), []

    def hold():
        with activated(renderer.context):
            reached.set()
            leave.wait(10)

    def intrude():
        try:
            renderer.render(FORWARD, SCENE)
        except RenderError as error:
            errors.append(str(error))

    holder = threading.Thread(target=hold, name="first")
    holder.start()
    reached.wait(10)
    others = [threading.Thread(target=intrude, name=name) for name in ("second", "third")]
    for thread in others:
        thread.start()
        thread.join(10)
    leave.set()
    holder.join(10)
    assert len(errors) == 2
    assert "Thread 'second' uses a renderer that thread 'first' is using" in errors[0]
    assert all("one thread at a time" in error and "driver" not in error for error in errors)
    assert float(renderer.render(FORWARD, SCENE)["depth"][0, 4, 4, 0]) == pytest.approx(5, abs=1e-3)
    renderer.close()


def test_threads_one_after_another_may_share_a_renderer(one_room):
    renderer = BatchRenderer([one_room], 1, 8, 8, backend="raycast")
    depths = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: depths.append(renderer.render(FORWARD, SCENE)["depth"].clone()))
        thread.start()
        thread.join(10)
    assert len(depths) == 3
    assert all(torch.equal(depth, depths[0]) for depth in depths)
    renderer.close()


FORK = """
import os, sys, time
from batchsim import BatchRenderer, NavVectorEnv, RenderError, scenes
import torch
room = scenes.load("one-room", num_goals=2)
renderer = BatchRenderer([room], 1, 8, 8, backend="raycast")
view = torch.tensor([[0.0, 1.25, 0, 0, 0, 0, 1]]), torch.zeros(1, dtype=torch.int64)
renderer.render(*view)
if {closed}: renderer.close()
if os.fork() == 0:
    for use in (lambda: BatchRenderer([room], 1, 8, 8), lambda: NavVectorEnv(1, room), lambda: renderer.render(*view)):
        try:
            use()
        except RenderError as error:
            print(error)
    renderer.close()
    del renderer
    sys.stdout.flush()
    os._exit(0)
pid, status = os.wait()
assert status == 0
if not {closed}: assert renderer.render(*view)["depth"].any()
"""


@pytest.mark.parametrize("closed", [False, True])
def test_a_forked_child_is_refused_at_once(closed):
    result = run(FORK.format(closed=closed))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert all('context="spawn"' in line for line in lines)


ASYNC = """
import gymnasium, batchsim
def main(context):
    make = lambda: gymnasium.make("batchsim/PointNav-v0", scenes="one-room", width=8, height=8)
    envs = gymnasium.vector.AsyncVectorEnv([make], context=context)
    envs.reset(seed=0)
    print(envs.step([1])[0]["depth"].shape)
    envs.close()
if __name__ == "__main__":
    import sys
    main(sys.argv[1])
"""


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_async_vector_environments(tmp_path, context):
    script = tmp_path / "use.py"
    script.write_text(ASYNC)
    command = [sys.executable, str(script), context]
    start = time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if context == "spawn":
        assert result.stdout.strip() == "(1, 8, 8, 1)", result.stderr
    else:
        assert result.returncode != 0
        assert "RenderError" in result.stderr
        assert 'context="spawn"' in result.stderr
        assert time.monotonic() - start < 60


def test_a_context_of_the_parent_is_left_alone(monkeypatch):
    context = create_context()
    monkeypatch.setattr(context_module.os, "getpid", lambda: -1)
    with pytest.raises(RenderError, match='context="spawn"'), checked(context, "drawing"):
        pass
    release_context(context)  # does nothing here
    monkeypatch.undo()
    with activated(context):
        assert is_current(context)
    release_context(context)
