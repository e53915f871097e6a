"""Changes or measures neural gradients, those with respect to the outputs of layers, in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from batchsim.agents.gradients.lognormal import LogNormal, fit, ks_distance

_LAYERS = (nn.Linear, nn.Conv2d)


def on_neural_gradients(network: nn.Module, change: Callable[[str, Tensor], Tensor | None]) -> Callable[[], None]:
    """Calls `change` with the name and the gradient of the output of each linear layer and convolution of `network`.

    What it returns goes backward instead of the gradient, into the layer's weights and into the layers before. A layer
    that is called several times, as in a recurrent core, has as many gradients.

    Returns:
        A function that removes the hooks.
    """

    def watch(name: str) -> Callable[..., None]:
        def forward(module: nn.Module, inputs: object, output: Tensor) -> None:
            if output.requires_grad:
                output.register_hook(lambda gradient: change(name, gradient))

        return forward

    handles = [
        module.register_forward_hook(watch(name))
        for name, module in network.named_modules()
        if isinstance(module, _LAYERS)
    ]

    def remove() -> None:
        for handle in handles:
            handle.remove()

    return remove


@dataclass(frozen=True)
class GradientDistribution:
    """How the elements of a layer's neural gradients are distributed."""

    fitted: LogNormal
    distance: float
    """Kolmogorov-Smirnov distance from the fitted distribution."""
    elements: int
    """Number of elements that were collected."""
    zeros: float
    """Share of them that are zero, and left out of the fit."""


class NeuralGradientRecorder:
    """Collects the neural gradients of each layer during backward passes, to see how they are distributed."""

    def __init__(self, network: nn.Module, most: int = 1_000_000) -> None:
        self._gradients: dict[str, list[Tensor]] = {}
        self._most = most
        self.remove = on_neural_gradients(network, self._add)

    def _add(self, name: str, gradient: Tensor) -> None:
        parts = self._gradients.setdefault(name, [])
        if sum(part.numel() for part in parts) < self._most:
            parts.append(gradient.detach().flatten().clone())

    def distributions(self) -> dict[str, GradientDistribution]:
        """Returns the distribution of what was collected, by layer."""
        found = {}
        for name, parts in self._gradients.items():
            gradient = torch.cat(parts)
            fitted = fit(gradient)
            zeros = float((gradient == 0).float().mean())
            found[name] = GradientDistribution(fitted, ks_distance(gradient, fitted), gradient.numel(), zeros)
        return found
