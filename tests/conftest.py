"""What all tests share: baked scenes, seeds, and a watch over OpenGL's errors."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Read when torch and numpy are loaded, after this file. Tests work on small arrays, where threads only wait for each
# other, and sums come out the same on every machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("batchsim", deadline=None, derandomize=True, database=None)
settings.load_profile("batchsim")

NUM_GOALS = 8


def pytest_collection_modifyitems(items):
    """Skip tests marked `gpu` where CUDA is not to be had."""
    marked = [item for item in items if "gpu" in item.keywords]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU with CUDA"))


@pytest.fixture(scope="session", autouse=True)
def cache_of_this_session(tmp_path_factory):
    """Scenes are baked into a folder of this session, so that no test depends on what the user's cache holds.

    Workers of pytest-xdist share it.
    """
    before = os.environ.get("BATCHSIM_CACHE")
    worker = "PYTEST_XDIST_WORKER" in os.environ
    folder = tmp_path_factory.getbasetemp().parent / "cache" if worker else tmp_path_factory.mktemp("cache")
    os.environ["BATCHSIM_CACHE"] = str(folder)
    yield
    if before is None:
        del os.environ["BATCHSIM_CACHE"]
    else:
        os.environ["BATCHSIM_CACHE"] = before


@pytest.fixture(scope="session")
def one_room(cache_of_this_session):
    """Empty, 10 x 10 m around the origin."""
    from batchsim import scenes

    return scenes.load("one-room", num_goals=NUM_GOALS)


@pytest.fixture(scope="session")
def four_rooms(cache_of_this_session):
    """Four rooms of 6 x 6 m, joined in a ring."""
    from batchsim import scenes

    return scenes.load("four-rooms", num_goals=NUM_GOALS)


@pytest.fixture(scope="session")
def homes(cache_of_this_session):
    """Three generated homes; the second has two storeys."""
    from batchsim import scenes

    return [scenes.load(f"homes:train/{i}", num_goals=NUM_GOALS) for i in range(3)]


@pytest.fixture
def seeded():
    """Torch's global generator, which new networks draw their weights from, at a known place."""
    import torch

    torch.manual_seed(0)


@pytest.fixture
def gl_watched(monkeypatch):
    """Either half of every `BatchRenderer.render` must find and leave OpenGL without an error."""
    from batchsim import BatchRenderer

    def watched(half):
        def call(self, *arguments, **named):
            assert _gl_error(self) == "GL_NO_ERROR"
            result = half(self, *arguments, **named)
            assert _gl_error(self) == "GL_NO_ERROR"
            return result

        return call

    for half in ("render_async", "render_wait"):
        monkeypatch.setattr(BatchRenderer, half, watched(getattr(BatchRenderer, half)))


def _gl_error(renderer):
    with renderer.context:
        return renderer.context.error


@pytest.fixture
def make_renderer(gl_watched):
    """Makes `BatchRenderer`s, and closes them after the test."""
    from batchsim import BatchRenderer

    made = []

    def make(*arguments, **options):
        made.append(BatchRenderer(*arguments, **options))
        return made[-1]

    yield make
    for renderer in made:
        renderer.close()


@pytest.fixture
def make_env(gl_watched):
    """Makes `NavVectorEnv`s, and closes them after the test."""
    from batchsim import NavVectorEnv

    made = []

    def make(num_envs, scenes, **options):
        made.append(NavVectorEnv(num_envs, scenes, **options))
        return made[-1]

    yield make
    for env in made:
        env.close()
