"""What `import batchsim` provides, and what it does not import. Each check runs in a fresh interpreter."""

import importlib.metadata
import subprocess
import sys

import pytest

import batchsim


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("package", ["batchsim", "batchsim.scenes", "batchsim.scenes_cli"])
def test_light_packages_import_neither_torch_nor_opengl(package):
    heavy = run(f"import sys, {package}; print(*sys.modules.keys() & {{'torch', 'moderngl', 'matplotlib'}})")
    assert heavy == []


def test_import_registers_the_environments():
    code = "import gymnasium, batchsim; print(*(name for name in gymnasium.registry if name.startswith('batchsim/')))"
    assert run(code) == [
        "batchsim/PointNav-v0",
        "batchsim/Flee-v0",
        "batchsim/Explore-v0",
        "batchsim/ObjectNav-v0",
        "batchsim/ImageNav-v0",
        "batchsim/InstanceImageNav-v0",
        "batchsim/MultiObjectNav-v0",
    ]


def test_registered_step_limit_is_the_default():
    from inspect import signature

    from batchsim import NavVectorEnv, defaults

    assert signature(NavVectorEnv).parameters["max_episode_steps"].default == defaults.MAX_EPISODE_STEPS == 500


def test_public_names_are_loaded_on_demand():
    names = run(
        "import batchsim\n"
        "for name in (*batchsim.__all__, 'agents', 'scenes', 'tasks', 'poses', 'random_streams'):\n"
        "    assert name in dir(batchsim), name\n"
        "    print(getattr(batchsim, name).__name__)"
    )
    assert names[: len(batchsim.__all__)] == list(batchsim.__all__)
    assert names[len(batchsim.__all__) :] == [
        f"batchsim.{name}" for name in ("agents", "scenes", "tasks", "poses", "random_streams")
    ]


def test_version():
    assert run("import batchsim; print(batchsim.__version__)") == [importlib.metadata.version("batchsim")]


def test_unknown_names_raise():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        batchsim.nothing  # noqa: B018


def test_help_of_the_vector_environment_documents_every_argument():
    from inspect import signature

    text = batchsim.NavVectorEnv.__doc__
    arguments = text[text.index("Args:") : text.index("Attributes:")]
    missing = [name for name in signature(batchsim.NavVectorEnv).parameters if f"\n        {name}: " not in arguments]
    assert missing == []
