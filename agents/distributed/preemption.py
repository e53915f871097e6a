"""Stragglers: a rank whose rollout is late stops collecting, so that the others need not wait for it.

As in Wijmans et al., "DD-PPO" (ICLR 2020): once 60% of the ranks have their rollout, the rest learns from what it has,
if that is at least a quarter of a rollout.
"""

from __future__ import annotations

import math

from batchsim.agents.distributed.ranks import DistributedConfig, Ranks


class Preemption:
    """Counts the ranks that have finished their rollout, through the store in which they met."""

    def __init__(self, ranks: Ranks, config: DistributedConfig, steps: int) -> None:
        self._ranks = ranks
        self._enough = math.ceil(config.preemption_ranks * ranks.size)
        self._least_steps = max(1, math.ceil(config.preemption_steps * steps))
        self._rollout = 0

    def is_late(self, steps_done: int) -> bool:
        """Whether to stop now, with `steps_done` steps of the rollout collected."""
        return steps_done >= self._least_steps and self._ranks.store.add(self._key(self._rollout), 0) >= self._enough

    def finish(self) -> None:
        """Tell the others that this rank has its rollout. All ranks learn together before the next begins."""
        self._ranks.store.add(self._key(self._rollout), 1)
        self._rollout += 1
        if self._ranks.is_first and self._rollout >= 2:
            # Nobody looks at the one before the last any more: all have learned from it.
            self._ranks.store.delete_key(self._key(self._rollout - 2))

    @staticmethod
    def _key(rollout: int) -> str:
        return f"finished/{rollout}"
