"""What adapters need: an installed library, and an environment with the right options."""

from __future__ import annotations

from gymnasium.vector import AutoresetMode

from batchsim import NavVectorEnv
from batchsim.agents.errors import AgentError


class MissingLibraryError(AgentError, ImportError):
    """The library of an adapter is not installed; the message names the extra that installs it."""

    def __init__(self, adapter: str, library: str, extra: str) -> None:
        super().__init__(f'{adapter} needs {library}: pip install "batchsim[{extra}]"')


def check_env(env: NavVectorEnv, adapter: str) -> NavVectorEnv:
    """Returns `env` if an adapter can use it.

    Args:
        env: The environment, which must have the default `output`, `autoreset_mode` and `reuse_buffers`: libraries keep
            observations for longer than a step.
        adapter: Name of the adapter, for the message.

    Raises:
        AgentError: If an option is different; the message says which.
    """
    if not isinstance(env, NavVectorEnv):
        raise AgentError(f"{adapter}: expected a batchsim.NavVectorEnv; got {type(env).__name__}.")
    found = {
        "output": (env.output, "torch"),
        "autoreset_mode": (env.autoreset_mode, AutoresetMode.SAME_STEP),
        "reuse_buffers": (env.simulator.options.reuse_buffers, False),
    }
    for name, (value, expected) in found.items():
        if value != expected:
            raise AgentError(f"{adapter}: expected an environment with {name}={expected!r}; got {value!r}.")
    return env
