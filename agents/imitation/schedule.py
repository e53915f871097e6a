"""The options of imitation, and what they mean at each moment of training."""

from __future__ import annotations

from dataclasses import dataclass

from batchsim.agents.errors import require_between


@dataclass(frozen=True)
class Imitation:
    """What imitation does at one moment of training.

    Attributes:
        weight: Weight of the imitation loss.
        expert_share: Share of the steps in which the expert's action is taken.
        learns_reward: Whether the policy also follows the reward (PPO's policy loss).
        stop_weight: Weight of the steps where the expert ends the episode.
    """

    weight: float = 0.0
    expert_share: float = 0.0
    learns_reward: bool = True
    stop_weight: float = 1.0

    @property
    def needs_labels(self) -> bool:
        """Whether the expert's actions are used at all."""
        return self.weight > 0 or self.expert_share > 0


@dataclass(frozen=True)
class ImitationConfig:
    """Options of imitation. Fractions are of the whole training."""

    imitation: bool = False
    """Learn from an expert that knows the map as well as from the reward: a cross-entropy to its best action is added
    to the loss. The task needs an expert, and numbered actions."""
    imitation_weight: float = 0.5
    """Weight of the imitation loss at the start."""
    final_imitation_weight: float = 0.0
    """Weight of the imitation loss at the end of its decay, and from then on."""
    imitation_end: float = 0.75
    """Fraction of training at which the linear decay of the imitation loss ends."""
    pure_imitation: float = 0.0
    """Fraction of training, at the start, in which the policy learns from the expert alone."""
    expert_share: float = 0.0
    """Share of the steps in which the expert's action is taken at the start, as in DAgger. 1 is behaviour cloning:
    the expert always acts, and the policy learns from it alone."""
    expert_share_end: float = 0.5
    """Fraction of training at which the linear decay of expert_share to 0 ends."""
    stop_weight: float = 1.0
    """Weight, in the imitation loss, of the steps where the expert ends the episode."""

    def check(self) -> None:
        """Raises `AgentError` if a value cannot be used."""
        for name in ("imitation_weight", "final_imitation_weight", "stop_weight"):
            require_between(self, name, 0, 1e6)
        for name in ("imitation_end", "pure_imitation", "expert_share", "expert_share_end"):
            require_between(self, name, 0, 1)

    def at(self, share: float) -> Imitation:
        """Returns what imitation does when the fraction `share` of training is done."""
        if not self.imitation:
            return Imitation()
        if self.expert_share == 1:
            return Imitation(self.imitation_weight, 1.0, False, self.stop_weight)
        left = 1 - _done(share, self.imitation_end)
        weight = self.final_imitation_weight + (self.imitation_weight - self.final_imitation_weight) * left
        expert_share = self.expert_share * (1 - _done(share, self.expert_share_end))
        return Imitation(weight, expert_share, share >= self.pure_imitation, self.stop_weight)


def _done(share: float, end: float) -> float:
    """Returns which fraction of a decay is done that ends at the fraction `end` of training."""
    return min(1.0, share / end) if end > 0 else 1.0
