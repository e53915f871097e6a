"""Preemption of stragglers: a rank whose rollout is late stops collecting, so that the others need not wait.

As in Wijmans et al., "DD-PPO" (ICLR 2020): once 60% of the ranks have finished their rollout, the others learn from the
part they have, if that is at least a quarter of a rollout.
"""

from __future__ import annotations

import math

from batchsim.agents.distributed.ranks import DistributedConfig, Ranks


class Preemption:
    """Counts the ranks that have finished their rollout, through torch.distributed's store.

    Args:
        ranks: The processes that train together; at least two.
        config: The fractions of ranks and steps.
        steps: The steps of a whole rollout.
    """

    def __init__(self, ranks: Ranks, config: DistributedConfig, steps: int) -> None:
        if ranks.store is None:
            raise ValueError("Preemption needs several ranks.")
        self._store = ranks.store
        self._is_first = ranks.is_first
        self._enough = math.ceil(config.preemption_ranks * ranks.size)
        self._least_steps = max(1, math.ceil(config.preemption_steps * steps))
        self._rollout = 0

    def is_late(self, steps_done: int) -> bool:
        """Returns whether to stop now, with `steps_done` steps of the rollout collected."""
        return steps_done >= self._least_steps and self._store.add(self._key(self._rollout), 0) >= self._enough

    def finish(self) -> None:
        """Announces that this rank has finished its rollout. All ranks learn together before the next begins."""
        self._store.add(self._key(self._rollout), 1)
        self._rollout += 1
        if self._is_first and self._rollout >= 2:
            # All ranks have learned from the rollout before the last, so its key is not read again.
            self._store.delete_key(self._key(self._rollout - 2))

    @staticmethod
    def _key(rollout: int) -> str:
        return f"finished/{rollout}"
