"""Proximal policy optimisation (Schulman et al., 2017) of a recurrent policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from batchsim.agents.distributed.ranks import SINGLE_PROCESS, Ranks
from batchsim.agents.errors import AgentError, require_between, require_positive
from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.action_distribution import log_prob_and_entropy
from batchsim.agents.ppo.lamb import Lamb, lamb_groups
from batchsim.agents.ppo.rollout_buffer import Batch, RolloutBuffer


@dataclass(frozen=True)
class PPOConfig:
    """Constants of the algorithm."""

    gamma: float = 0.99
    """Discount factor per step."""
    gae_lambda: float = 0.95
    """Decay of the generalised advantage estimate."""
    clip: float = 0.2
    """Clipping range of the probability ratio."""
    value_coefficient: float = 0.5
    """Weight of the value loss."""
    entropy_coefficient: float = 0.01
    """Weight of the entropy bonus."""
    max_gradient_norm: float = 1.0
    """Maximum norm of the gradient; longer ones are scaled down."""
    epochs: int = 2
    """Passes over each rollout."""
    minibatches: int = 4
    """Minibatches per pass; a rollout is split by environment."""
    learning_rate: float = 1e-3
    """Learning rate before scaling and decay."""
    optimizer: Literal["adam", "lamb"] = "adam"
    """Optimiser: adam, or lamb for large batches."""
    fused_optimizer: bool = True
    """Let the optimiser update all tensors at once instead of one after the other."""
    normalize_advantage: bool = True
    """Normalise the advantages of each minibatch to mean 0 and standard deviation 1."""

    def check(self) -> None:
        """Raises `AgentError` if a value cannot be used."""
        for name in ("clip", "max_gradient_norm", "epochs", "minibatches", "learning_rate"):
            require_positive(self, name, 1e6)
        for name in ("value_coefficient", "entropy_coefficient"):
            require_between(self, name, 0, 1e6)
        for name in ("gamma", "gae_lambda"):
            require_between(self, name, 0, 1)


class PPO:
    """Improves `policy` from the rollouts of all `ranks`."""

    def __init__(self, policy: Policy, config: PPOConfig, ranks: Ranks = SINGLE_PROCESS) -> None:
        self.policy = policy
        self.config = config
        self.ranks = ranks
        self._sequence = ranks.learner(policy)
        self.optimizer = make_optimizer(policy, config)

    def update(self, rollout: RolloutBuffer, generator: torch.Generator) -> dict[str, float]:
        """Learns from `rollout`; returns the means of the losses and diagnostics."""
        sums: dict[str, Tensor] = {}
        count = 0
        for _ in range(self.config.epochs):
            for batch in rollout.minibatches(self.config.minibatches, generator):
                terms = self._learn(batch)
                count += 1
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + value
        means = {name: float(value) / count for name, value in sums.items()}
        filled = slice(rollout.length)
        return means | {
            "explained_variance": float(explained_variance(rollout.values[filled], rollout.returns[filled]))
        }

    def _learn(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        logits, values = self._sequence(batch.observations, batch.previous_actions, batch.episode_start, batch.state)
        terms = ppo_loss(logits, values, batch, config, self.ranks)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), config.max_gradient_norm)
        terms = {name: value.detach() for name, value in terms.items()} | {"gradient_norm": norm.detach()}
        check_finite(terms)
        self.optimizer.step()
        return terms

    def set_learning_rate(self, rate: float) -> None:
        """Sets the learning rate of the next updates."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate


def make_optimizer(policy: nn.Module, config: PPOConfig) -> torch.optim.Optimizer:
    """Returns the optimiser that `config` names, for all parameters of `policy`."""
    rate, fused = config.learning_rate, config.fused_optimizer
    if config.optimizer == "lamb":
        return Lamb(lamb_groups(policy), lr=rate, foreach=fused)
    return torch.optim.Adam(policy.parameters(), lr=rate, eps=1e-5, fused=fused, foreach=False)


def check_finite(terms: dict[str, Tensor]) -> None:
    """Raises `AgentError` if one of the terms, which are scalars, is infinite or not a number."""
    finite = torch.stack([value.isfinite() for value in terms.values()]).tolist()
    bad = [name for name, good in zip(terms, finite, strict=True) if not good]
    if bad:
        raise AgentError(
            f"Training diverged: {', '.join(bad)} not finite. The weights were not changed, and the last checkpoint "
            "is good. A lower --learning-rate may help."
        )


@torch.no_grad()
def explained_variance(values: Tensor, returns: Tensor) -> Tensor:
    """Returns 1 - Var(returns - values) / Var(returns), a scalar: 1 for a perfect critic, 0 for a constant one."""
    return 1 - (returns - values).var() / returns.var().clamp(min=1e-8)


def ppo_loss(
    logits: Tensor, values: Tensor, batch: Batch, config: PPOConfig, ranks: Ranks = SINGLE_PROCESS
) -> dict[str, Tensor]:
    """Returns the clipped surrogate loss and its parts, each a scalar.

    Args:
        logits: The current policy's logits for the steps of `batch`, `[T, M, A]`.
        values: Its values, `[T, M]`.
        batch: The minibatch.
        config: The coefficients.
        ranks: The processes over which advantages are normalised.
    """
    log_prob, entropies = log_prob_and_entropy(logits, batch.actions)
    advantages = batch.advantages
    if config.normalize_advantage:
        advantages = ranks.standardized(advantages)
    log_ratio = log_prob - batch.log_probs
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
    policy_loss = -torch.minimum(ratio * advantages, clipped * advantages).mean()
    value_loss = 0.5 * (values - batch.returns).square().mean()
    entropy = entropies.mean()
    loss = policy_loss + config.value_coefficient * value_loss - config.entropy_coefficient * entropy
    with torch.no_grad():
        # The k3 estimate of the Kullback-Leibler divergence (Schulman, "Approximating KL divergence", 2020).
        approx_kl = (ratio - 1 - log_ratio).mean()
        clip_fraction = ((ratio - 1).abs() > config.clip).float().mean()
    return {
        "loss": loss,
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "approx_kl": approx_kl,
        "clip_fraction": clip_fraction,
    }
