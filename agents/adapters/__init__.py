"""Adapters that give a `NavVectorEnv` to other trainers; each is loaded when first used.

- `SB3VecEnv`: Stable-Baselines3 and sb3-contrib (extra `sb3`).
- `TorchRLEnv`: TorchRL (extra `torchrl`).
- `RslRlVecEnv`: RSL-RL (extra `rsl-rl`).
- `SkrlEnv`: skrl (extra `skrl`).
- `CleanRLVectorEnv`: scripts in the style of CleanRL.
- `PufferNavEnv`: PufferLib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchsim.agents.adapters.cleanrl import CleanRLVectorEnv
    from batchsim.agents.adapters.pufferlib import PufferNavEnv
    from batchsim.agents.adapters.rsl_rl import RslRlVecEnv
    from batchsim.agents.adapters.sb3 import SB3VecEnv
    from batchsim.agents.adapters.skrl import SkrlEnv
    from batchsim.agents.adapters.torchrl import TorchRLEnv

__all__ = ["CleanRLVectorEnv", "PufferNavEnv", "RslRlVecEnv", "SB3VecEnv", "SkrlEnv", "TorchRLEnv"]

_MODULES = {
    "CleanRLVectorEnv": "cleanrl",
    "PufferNavEnv": "pufferlib",
    "RslRlVecEnv": "rsl_rl",
    "SB3VecEnv": "sb3",
    "SkrlEnv": "skrl",
    "TorchRLEnv": "torchrl",
}


def __getattr__(name: str) -> Any:
    """Loads an adapter when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
