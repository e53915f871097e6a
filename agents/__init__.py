"""Agents that learn in batches: policy networks, PPO, training, evaluation and reports.

The public names are loaded when first used:

- `TrainConfig`: the options of a training run; `TrainConfig.load` reads those of a run folder.
- `load_policy`: the trained network of a run folder.
- `PolicyAgent`: a policy that acts in environments and keeps its recurrent state.
- `evaluate`: runs an agent through a fixed set of episodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsim.scenes.startup.lazy_names import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
