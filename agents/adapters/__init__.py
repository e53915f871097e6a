"""Adapters that give a `NavVectorEnv` to other trainers; each is loaded when first used.

- `SB3VecEnv`: Stable-Baselines3 and sb3-contrib (extra `sb3`).
- `TorchRLEnv`: TorchRL (extra `torchrl`).
- `RslRlVecEnv`: RSL-RL (extra `rsl-rl`).
- `SkrlEnv`: skrl (extra `skrl`).
- `CleanRLVectorEnv`: scripts in the style of CleanRL.
- `PufferNavEnv`: PufferLib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsim.scenes.startup.lazy_names import lazy_names

if TYPE_CHECKING:
    from batchsim.agents.adapters.cleanrl import CleanRLVectorEnv
    from batchsim.agents.adapters.pufferlib import PufferNavEnv
    from batchsim.agents.adapters.rsl_rl import RslRlVecEnv
    from batchsim.agents.adapters.sb3 import SB3VecEnv
    from batchsim.agents.adapters.skrl import SkrlEnv
    from batchsim.agents.adapters.torchrl import TorchRLEnv

__all__ = ["CleanRLVectorEnv", "PufferNavEnv", "RslRlVecEnv", "SB3VecEnv", "SkrlEnv", "TorchRLEnv"]

_MODULES = {
    "CleanRLVectorEnv": "batchsim.agents.adapters.cleanrl",
    "PufferNavEnv": "batchsim.agents.adapters.pufferlib",
    "RslRlVecEnv": "batchsim.agents.adapters.rsl_rl",
    "SB3VecEnv": "batchsim.agents.adapters.sb3",
    "SkrlEnv": "batchsim.agents.adapters.skrl",
    "TorchRLEnv": "batchsim.agents.adapters.torchrl",
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
