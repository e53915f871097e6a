"""The protocol that baselines and trained policies share."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


class Agent(Protocol):
    """Chooses actions for N environments at once, independently for each environment."""

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Choose the next actions.

        Args:
            observation: The environments' observation, tensors `[N, ...]` by sensor.
            episode_start: Bool `[N]`, set for the first observation of an episode.
            uniform: Float32 `[N]` in [0, 1), one random number per environment. It is the agent's only source of
                randomness, so that an episode does not depend on the other environments in the batch.

        Returns:
            Actions, int64 `[N]`.
        """


@runtime_checkable
class MeasuredAgent(Agent, Protocol):
    """An agent that measures what it does itself."""

    def measures(self) -> dict[str, Tensor]:
        """Returns measures of the running episodes, `[N]` each, as they are after the last action."""
