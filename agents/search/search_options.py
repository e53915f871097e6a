"""`SearchOptions`: how much a search may do before each action."""

from __future__ import annotations

from dataclasses import dataclass

from batchsim.agents.errors import AgentError, require_between


@dataclass(frozen=True)
class SearchOptions:
    """Options of the Monte-Carlo tree search.

    Args:
        simulations: Simulator steps for each action.
        workers: How many of them run at the same time in one tree. More workers use larger batches, but choose with
            less information.
        exploration: The constant of the exploration term.
        capacity: States that a tree holds; a full tree is dropped, and the next one starts from the current state.

    Raises:
        AgentError: If a value is out of range.
    """

    simulations: int = 16
    workers: int = 4
    exploration: float = 1.25
    capacity: int = 512

    def __post_init__(self) -> None:
        require_between(self, "simulations", 1, 4096)
        require_between(self, "workers", 1, 256)
        require_between(self, "exploration", 0, 1e6)
        if self.simulations % self.workers:
            raise AgentError(f"simulations is {self.simulations}; expected a multiple of workers = {self.workers}.")
        require_between(self, "capacity", self.simulations + 1, 1 << 20)

    @property
    def rounds(self) -> int:
        """How often all workers step before each action."""
        return self.simulations // self.workers
