"""The LAMB optimiser: Adam with a trust ratio for each tensor, for large batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Lamb(Optimizer):
    """Layer-wise adaptive moments (You et al., ICLR 2020), with the constants of Large Batch Simulation (2021).

    Scales Adam's step with bias correction plus `weight_decay` times the weights, tensor by tensor, by the trust ratio
    min(|w|, 10) / |step|, clamped to [0.01, 100]. Tensors of groups with `adapt=False` take Adam's plain step, without
    decay. Moments and weights are float32. Nothing waits for the device.

    Args:
        groups: Parameter groups, see `lamb_groups`.
        lr: The learning rate.
        betas: The decay rates of the two moments.
        eps: Added to the root of the second moment.
        weight_decay: The weight decay of groups with `adapt`.
        foreach: Update all tensors together (`torch._foreach_*`) instead of one after the other.
    """

    def __init__(
        self,
        groups: Iterable[dict],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-5,
        weight_decay: float = 1e-2,
        foreach: bool = True,
    ) -> None:
        self._foreach = foreach
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "adapt": True})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure is called
        """Updates all weights that have a gradient."""
        for group in self.param_groups:
            weights = [w for w in group["params"] if w.grad is not None]
            for together in [weights] if self._foreach else [[w] for w in weights]:
                self._step_group(together, group)

    def _step_group(self, weights: list[Tensor], group: dict) -> None:
        if not weights:
            return
        gradients = [w.grad for w in weights if w.grad is not None]
        first, second, count = self._moments(weights)
        beta_1, beta_2 = group["betas"]
        torch._foreach_lerp_(first, gradients, 1 - beta_1)
        torch._foreach_mul_(second, beta_2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - beta_2)

        deviation = torch._foreach_div(second, 1 - beta_2**count)
        torch._foreach_sqrt_(deviation)
        torch._foreach_add_(deviation, group["eps"])
        steps = torch._foreach_div(first, 1 - beta_1**count)
        torch._foreach_div_(steps, deviation)
        if group["adapt"]:
            torch._foreach_add_(steps, weights, alpha=group["weight_decay"])
            torch._foreach_mul_(steps, _trust_ratios(weights, steps))  # type: ignore[arg-type]
        torch._foreach_add_(weights, steps, alpha=-group["lr"])

    def _moments(self, weights: list[Tensor]) -> tuple[list[Tensor], list[Tensor], float]:
        """Returns both moments of each weight, and the number of steps including this one."""
        for weight in weights:
            state = self.state[weight]
            if not state:
                state["step"] = torch.zeros(())  # on the CPU, where reading it costs nothing
                state["exp_avg"] = torch.zeros_like(weight)
                state["exp_avg_sq"] = torch.zeros_like(weight)
            state["step"] += 1
        states = [self.state[weight] for weight in weights]
        return [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states], float(states[0]["step"])


def _trust_ratios(weights: list[Tensor], steps: tuple[Tensor, ...]) -> Sequence[Tensor]:
    """Returns min(|w|, 10) / |step| within [0.01, 100] for each tensor, as scalars on the device."""
    ratios = torch._foreach_norm(weights)
    torch._foreach_clamp_max_(ratios, 10.0)
    lengths = torch._foreach_norm(steps)
    torch._foreach_clamp_min_(lengths, torch.finfo(torch.float32).tiny)
    torch._foreach_div_(ratios, lengths)
    torch._foreach_clamp_min_(ratios, 0.01)
    torch._foreach_clamp_max_(ratios, 100.0)
    return ratios


def lamb_groups(module: nn.Module) -> list[dict]:
    """Returns the parameters of `module` in two groups: matrices and kernels; biases, norms and Fixup's scalars."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "adapt": True},
        {"params": [p for p in parameters if p.ndim < 2], "adapt": False},
    ]
