"""What adapters refuse: missing libraries and environments with other options, each in one line."""

import sys
from pathlib import Path

import pytest
from gymnasium.vector import AutoresetMode

from batchsim import NavEnv
from batchsim.agents import adapters
from batchsim.agents.adapters import CleanRLVectorEnv
from batchsim.agents.errors import AgentError

PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"
LIBRARIES = {
    "SB3VecEnv": ("sb3", "stable_baselines3.common.vec_env", "stable-baselines3", "sb3"),
    "TorchRLEnv": ("torchrl", "tensordict", "torchrl", "torchrl"),
    "RslRlVecEnv": ("rsl_rl", "rsl_rl.env", "rsl-rl-lib", "rsl-rl"),
    "SkrlEnv": ("skrl", "skrl.envs.wrappers.torch", "skrl", "skrl"),
    "PufferNavEnv": ("pufferlib", "pufferlib", "pufferlib", "pufferlib"),
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_library_is_named_with_its_extra(monkeypatch, name):
    module, imported, library, extra = LIBRARIES[name]
    monkeypatch.setitem(sys.modules, imported, None)
    monkeypatch.delitem(sys.modules, f"batchsim.agents.adapters.{module}", raising=False)
    monkeypatch.delitem(vars(adapters), name, raising=False)
    message = rf'^{name} needs {library}: pip install "batchsim\[{extra}\]"$'
    with pytest.raises(ImportError, match=message) as caught:
        getattr(adapters, name)
    assert isinstance(caught.value, AgentError)


def test_extras_are_those_of_the_package():
    lines = PYPROJECT.read_text("utf-8").splitlines()
    for *_, library, extra in LIBRARIES.values():
        assert any(line.startswith(f'{extra} = ["{library}>=') for line in lines), extra


def test_names():
    assert set(adapters.__all__) == {*LIBRARIES, "CleanRLVectorEnv"}
    assert set(adapters.__all__) <= set(dir(adapters))
    with pytest.raises(AttributeError, match="NoSuchEnv"):
        adapters.NoSuchEnv  # noqa: B018


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "numpy"}, "output='torch'; got 'numpy'"),
        ({"reuse_buffers": True}, "reuse_buffers=False; got True"),
        ({"autoreset_mode": AutoresetMode.DISABLED}, "autoreset_mode=<AutoresetMode.SAME_STEP.*DISABLED"),
    ],
)
def test_environments_with_other_options(make_pair, options, message):
    with pytest.raises(AgentError, match=f"^CleanRLVectorEnv: expected an environment with {message}"):
        CleanRLVectorEnv(make_pair(**options)[0])


def test_other_environments(one_room):
    single = NavEnv(one_room, sensors=(), device="cpu")
    with pytest.raises(AgentError, match=r"expected a batchsim\.NavVectorEnv; got NavEnv"):
        CleanRLVectorEnv(single)
    single.close()
