"""Proximal policy optimisation (Schulman et al., 2017) of a recurrent policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from batchsim.agents.distributed.ranks import SINGLE_PROCESS, Ranks
from batchsim.agents.errors import AgentError
from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.lamb import Lamb, lamb_groups
from batchsim.agents.ppo.rollout_buffer import Batch, Rollout


@dataclass(frozen=True)
class PPOConfig:
    """Constants of the algorithm."""

    gamma: float = 0.99
    """Discount of a reward one step later."""
    gae_lambda: float = 0.95
    """Decay of the generalised advantage estimate."""
    clip: float = 0.2
    """How far the probability of an action may move, as a ratio, before its gain no longer counts."""
    value_coefficient: float = 0.5
    """Weight of the value loss."""
    entropy_coefficient: float = 0.01
    """Weight of the entropy bonus."""
    max_gradient_norm: float = 1.0
    """Gradients longer than this are shortened to it."""
    epochs: int = 2
    """How often each rollout is learned from."""
    minibatches: int = 4
    """Parts that a rollout is learned in, split by environment."""
    learning_rate: float = 1e-3
    """The optimiser's step size before any scaling and decay."""
    optimizer: Literal["adam", "lamb"] = "adam"
    """adam; lamb for large batches."""
    fused_optimizer: bool = True
    """Let the optimiser work on all weights at once; without, on one tensor after the other."""
    normalize_advantage: bool = True
    """Scale each minibatch's advantages to mean 0 and deviation 1."""

    def check(self) -> None:
        """Raise `AgentError` for values that nothing can be learned with."""
        for name in ("clip", "max_gradient_norm", "epochs", "minibatches", "learning_rate"):
            if not getattr(self, name) > 0:
                raise AgentError(f"{name} is {getattr(self, name)}; expected more than 0.")
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise AgentError(f"{name} is {getattr(self, name)}; expected 0 to 1.")


class PPO:
    """Improves `policy` from rollouts: from those of all `ranks` together."""

    def __init__(self, policy: Policy, config: PPOConfig, ranks: Ranks = SINGLE_PROCESS) -> None:
        self.policy = policy
        self.config = config
        self.ranks = ranks
        self._sequence = ranks.learner(policy)
        self.optimizer = make_optimizer(policy, config)

    def update(self, rollout: Rollout, generator: torch.Generator) -> dict[str, float]:
        """Learn from `rollout`; returns the means of the losses and diagnostics."""
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
        """Use `rate` from the next update on."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate


def make_optimizer(policy: nn.Module, config: PPOConfig) -> torch.optim.Optimizer:
    """The optimiser of `config` over all parameters of `policy`."""
    rate, fused = config.learning_rate, config.fused_optimizer
    if config.optimizer == "lamb":
        return Lamb(lamb_groups(policy), lr=rate, foreach=fused)
    return torch.optim.Adam(policy.parameters(), lr=rate, eps=1e-5, fused=fused, foreach=False)


def check_finite(terms: dict[str, Tensor]) -> None:
    """Raise `AgentError` that names the terms, scalars all, that are infinite or not a number."""
    finite = torch.stack([value.isfinite() for value in terms.values()]).tolist()
    bad = [name for name, good in zip(terms, finite, strict=True) if not good]
    if bad:
        raise AgentError(
            f"Training broke down: {', '.join(bad)} not finite. The weights were left as they were; the last "
            "checkpoint is good. A lower --learning-rate may help."
        )


@torch.no_grad()
def explained_variance(values: Tensor, returns: Tensor) -> Tensor:
    """1 - Var(returns - values) / Var(returns), a scalar: 1 for a perfect critic, 0 for a constant."""
    return 1 - (returns - values).var() / returns.var().clamp(min=1e-8)


def ppo_loss(
    logits: Tensor, values: Tensor, batch: Batch, config: PPOConfig, ranks: Ranks = SINGLE_PROCESS
) -> dict[str, Tensor]:
    """The clipped surrogate loss and its parts, each a scalar.

    `logits` `[T, M, A]` and `values` `[T, M]` are the present policy's for the steps of `batch`.
    """
    log_probs = torch.log_softmax(logits, -1)
    log_prob = log_probs.gather(-1, batch.actions.unsqueeze(-1)).squeeze(-1)
    advantages = batch.advantages
    if config.normalize_advantage:
        advantages = ranks.standardized(advantages)
    log_ratio = log_prob - batch.log_probs
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
    policy_loss = -torch.minimum(ratio * advantages, clipped * advantages).mean()
    value_loss = 0.5 * (values - batch.returns).square().mean()
    entropy = -(log_probs.exp() * log_probs).sum(-1).mean()
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
