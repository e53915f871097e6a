"""Agents that learn in batches: policy networks, PPO, training, evaluation and reports.

The public names are loaded when first used:

- `TrainConfig`: the options of a training run; `TrainConfig.load` reads those of a run folder.
- `load_policy`: the trained network of a run folder.
- `PolicyAgent`: a policy that acts in environments and keeps its recurrent state.
- `evaluate`: runs an agent through a fixed set of episodes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchsim.agents.config import TrainConfig
    from batchsim.agents.evaluation.evaluate import evaluate
    from batchsim.agents.evaluation.policy_agent import PolicyAgent
    from batchsim.agents.runs.checkpoint import load_policy

__all__ = ["PolicyAgent", "TrainConfig", "evaluate", "load_policy"]

_MODULES = {
    "PolicyAgent": "batchsim.agents.evaluation.policy_agent",
    "TrainConfig": "batchsim.agents.config",
    "evaluate": "batchsim.agents.evaluation.evaluate",
    "load_policy": "batchsim.agents.runs.checkpoint",
}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
