"""Proximal policy optimisation (Schulman et al., 2017) of a recurrent policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from batchsim.agents.distributed.ranks import SINGLE_PROCESS, Ranks
from batchsim.agents.errors import AgentError, require_between, require_positive
from batchsim.agents.gradients.codecs import make_codec
from batchsim.agents.gradients.neural import on_neural_gradients
from batchsim.agents.imitation.loss import imitation_terms
from batchsim.agents.imitation.schedule import Imitation
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
    neural_gradients: Literal["full", "pruned", "fp6"] = "full"
    """Gradients with respect to the outputs of layers: full, stochastically pruned, or floats of 6 bits. Emulated: this
    shows what learning loses, and nothing becomes faster."""
    neural_gradient_pruning: float = 0.85
    """Share of the neural gradients that "pruned" makes zero."""

    def check(self) -> None:
        """Raises `AgentError` if a value cannot be used."""
        for name in ("clip", "max_gradient_norm", "epochs", "minibatches", "learning_rate"):
            require_positive(self, name, 1e6)
        for name in ("value_coefficient", "entropy_coefficient"):
            require_between(self, name, 0, 1e6)
        for name in ("gamma", "gae_lambda"):
            require_between(self, name, 0, 1)
        require_between(self, "neural_gradient_pruning", 0.01, 0.99)


class PPO:
    """Improves `policy` from the rollouts of all `ranks`.

    Attributes:
        imitation: What imitation adds to the next updates.
    """

    def __init__(self, policy: Policy, config: PPOConfig, ranks: Ranks = SINGLE_PROCESS) -> None:
        self.policy = policy
        self.config = config
        self.ranks = ranks
        self.imitation = Imitation()
        self._codecs = dict(ranks.codecs)
        if config.neural_gradients != "full":
            codec = make_codec(config.neural_gradients, config.neural_gradient_pruning)
            self._codecs["neural_gradient_bytes"] = codec
            on_neural_gradients(policy, lambda _, gradient: codec(gradient).to(gradient.dtype))
        self._sequence = ranks.learner(policy)
        self.optimizer = make_optimizer(policy, config)

    def update(self, rollout: RolloutBuffer, generator: torch.Generator) -> dict[str, float]:
        """Learns from `rollout`; returns the means of the losses and diagnostics.

        The host reads them once, at the end, so that a GPU is never waited for in between.

        Raises:
            AgentError: If one of them is not finite. The weights are then those from before the update.
        """
        before = _snapshot(self.policy, self.optimizer)
        for codec in self._codecs.values():
            codec.seed(int(torch.randint(2**31, (1,), generator=generator)) + self.ranks.rank)
        learned = [
            self._learn(batch)
            for _ in range(self.config.epochs)
            for batch in rollout.minibatches(self.config.minibatches, generator)
        ]
        filled = slice(rollout.length)
        variance = explained_variance(rollout.values[filled], rollout.returns[filled])
        names = tuple(learned[0])
        others = {"explained_variance": variance} | {name: c.bytes_share() for name, c in self._codecs.items()}
        terms = [*(terms[name] for terms in learned for name in names), *others.values()]
        numbers = torch.stack([term.to(variance.device) for term in terms]).tolist()
        found = dict(zip(others, numbers[-len(others) :], strict=True))
        del numbers[-len(others) :]
        rows = [numbers[i : i + len(names)] for i in range(0, len(numbers), len(names))]
        try:
            for row in rows:
                check_finite(dict(zip(names, row, strict=True)))
        except AgentError:
            _restore(self.policy, self.optimizer, before)
            raise
        means = {name: sum(column) / len(rows) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
        return means | found

    def _learn(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        logits, values = self._sequence(batch.observations, batch.previous_actions, batch.episode_start, batch.state)
        terms = ppo_loss(logits, values, batch, config, self.ranks)
        if self.imitation.needs_labels and batch.labels is not None:
            terms |= self._imitate(logits, batch.labels, terms)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), config.max_gradient_norm)
        self.optimizer.step()
        return {name: value.detach() for name, value in terms.items()} | {"gradient_norm": norm.detach()}

    def _imitate(self, logits: Tensor, labels: Tensor, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the loss with imitation, and the terms of imitation."""
        now = self.imitation
        own = imitation_terms(logits, labels, self.policy.config.stop_action, now)
        loss = terms["loss"] if now.learns_reward else terms["loss"] - terms["policy_loss"]
        return own | {"loss": loss + now.weight * own["imitation_loss"]}

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


_Snapshot = tuple[list[Tensor], list[dict[str, Tensor]]]


def _snapshot(policy: nn.Module, optimizer: torch.optim.Optimizer) -> _Snapshot:
    """Returns copies of all weights, and of what the optimiser keeps of each weight."""
    weights = [weight.detach().clone() for weight in policy.parameters()]
    states = [optimizer.state.get(weight, {}) for weight in policy.parameters()]
    return weights, [{name: value.clone() for name, value in state.items()} for state in states]


@torch.no_grad()
def _restore(policy: nn.Module, optimizer: torch.optim.Optimizer, snapshot: _Snapshot) -> None:
    for weight, before, state in zip(policy.parameters(), *snapshot, strict=True):
        weight.copy_(before)
        optimizer.state[weight] = state


def check_finite(terms: Mapping[str, float | Tensor]) -> None:
    """Raises `AgentError` if one of the terms of an update is infinite or not a number."""
    bad = [name for name, value in terms.items() if not math.isfinite(value)]
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
    policy_loss = -_mean_of_own(torch.minimum(ratio * advantages, clipped * advantages), batch)
    value_loss = 0.5 * (values - batch.returns).square().mean()
    entropy = entropies.mean()
    loss = policy_loss + config.value_coefficient * value_loss - config.entropy_coefficient * entropy
    with torch.no_grad():
        # The k3 estimate of the Kullback-Leibler divergence (Schulman, "Approximating KL divergence", 2020).
        approx_kl = _mean_of_own(ratio - 1 - log_ratio, batch)
        clip_fraction = _mean_of_own(((ratio - 1).abs() > config.clip).float(), batch)
    return {
        "loss": loss,
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "approx_kl": approx_kl,
        "clip_fraction": clip_fraction,
    }


def _mean_of_own(values: Tensor, batch: Batch) -> Tensor:
    """Returns the mean of `values` `[T, M]` over the steps in which the policy, not the expert, acted."""
    if batch.by_expert is None:
        return values.mean()
    own = (~batch.by_expert).float()
    return (values * own).sum() / own.sum().clamp(min=1.0)
