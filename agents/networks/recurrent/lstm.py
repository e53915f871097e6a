"""Long short-term memory (Hochreiter and Schmidhuber, 1997), plain and with fixed timescales."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import cast

import numpy as np
import scipy.special
import torch
from torch import Tensor, nn

from batchsim.agents.networks.recurrent.core import RecurrentCore, keep_mask


class LSTM(RecurrentCore):
    """`layers` layers of `hidden` units, with the gates in torch's order: input, forget, cell, output.

    The state `[N, 2 layers hidden]` holds output and cell of the first layer, then of the second, and so on.
    """

    def __init__(self, inputs: int, hidden: int, layers: int = 2) -> None:
        super().__init__()
        self.hidden = hidden
        self.state_size = 2 * layers * hidden
        self.layers = nn.ModuleList(self._layer(inputs if k == 0 else hidden, hidden) for k in range(layers))
        self._cell: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] = _cell

    def _layer(self, inputs: int, hidden: int) -> GateLayer:
        return _Layer(inputs, hidden)

    def _gate_layers(self) -> list[GateLayer]:
        return cast("list[GateLayer]", list(self.layers))

    def step(self, features: Tensor, episode_start: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `RecurrentCore`."""
        parts = (state * keep_mask(episode_start, state)).split(self.hidden, -1)
        following = []
        for layer, output, cell in zip(self._gate_layers(), parts[0::2], parts[1::2], strict=True):
            features, cell = self._cell(layer.input_gates(features), layer.state_gates(output), cell)
            following += [features, cell]
        return features, torch.cat(following, -1)

    def sequence(self, features: Tensor, episode_start: Tensor, state: Tensor) -> Tensor:
        """See `RecurrentCore`."""
        keep = keep_mask(episode_start, state)
        parts = state.split(self.hidden, -1)
        for layer, output, cell in zip(self._gate_layers(), parts[0::2], parts[1::2], strict=True):
            features = self._run(layer, layer.input_gates(features), keep, output, cell)
        return features

    def _run(self, layer: GateLayer, gates: Tensor, keep: Tensor, output: Tensor, cell: Tensor) -> Tensor:
        """Returns one layer's outputs `[T, N, hidden]`."""
        outputs = []
        # Unbound at once: the backward pass of gates[t] would write gradients of all steps in every step.
        for now, kept in zip(gates.unbind(), keep.unbind(), strict=True):
            output, cell = self._cell(now, layer.state_gates(output * kept), cell * kept)
            outputs.append(output)
        return torch.stack(outputs)

    def compile_cell(self) -> None:
        """See `RecurrentCore`."""
        self._cell = torch.compile(_cell)


class MultiTimescaleLSTM(LSTM):
    """An LSTM whose units forget with fixed timescales, each its own (Mahto et al., ICLR 2021).

    Without input a unit's cell decays as exp(-t / T). T, in steps, follows an inverse-gamma distribution (see
    `timescales`), so that the mean over the units decays as the power law (1 + t)^-0.56. The forget gate's bias
    -log(exp(1 / T) - 1) gives that decay, and the input gate's is its negative; both are constant. All layers have the
    same timescales; the paper leaves the last of three free, and gives the first only short ones.
    """

    def _layer(self, inputs: int, hidden: int) -> GateLayer:
        return _FixedTimescaleLayer(inputs, hidden)


SHAPE, SCALE = 0.56, 1.0  # of the inverse-gamma distribution, as in the paper
LONGEST_EPISODE = 500.0  # steps, of evaluations


class GateLayer(nn.Module, ABC):
    """One layer's weights, split into the inputs' and the state's parts of the gates."""

    @abstractmethod
    def input_gates(self, features: Tensor) -> Tensor:
        """Returns the inputs' part of the gates, `[..., 4 hidden]`."""

    @abstractmethod
    def state_gates(self, output: Tensor) -> Tensor:
        """Returns the previous output's part of the gates, `[..., 4 hidden]`."""


class _Layer(GateLayer):
    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.from_input = nn.Linear(inputs, 4 * hidden)
        self.from_state = nn.Linear(hidden, 4 * hidden)
        for layer in (self.from_input, self.from_state):
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def input_gates(self, features: Tensor) -> Tensor:
        return self.from_input(features)

    def state_gates(self, output: Tensor) -> Tensor:
        return self.from_state(output)


class _FixedTimescaleLayer(GateLayer):
    fixed_bias: Tensor

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.from_input = nn.Linear(inputs, 4 * hidden, bias=False)
        self.from_state = nn.Linear(hidden, 4 * hidden, bias=False)
        self.bias = nn.Parameter(torch.zeros(2 * hidden))  # of the cell candidate and the output gate
        forget = forget_bias(timescales(hidden))
        self.register_buffer("fixed_bias", torch.cat([-forget, forget]))
        for layer in (self.from_input, self.from_state):
            nn.init.orthogonal_(layer.weight)

    def input_gates(self, features: Tensor) -> Tensor:
        gates = self.from_input(features)
        return gates + torch.cat([self.fixed_bias, self.bias]).to(gates.dtype)

    def state_gates(self, output: Tensor) -> Tensor:
        return self.from_state(output)


def timescales(count: int) -> Tensor:
    """Returns quantiles of the inverse-gamma distribution `[count]`, steps, that reach the length of an episode.

    They are in the middle of `count` equal shares of the distribution. Of few units, whose largest quantile would be
    less than 500 steps, the shares are stretched to reach that.
    """
    reached = scipy.special.gammaincc(SHAPE, SCALE / LONGEST_EPISODE)
    last = max(1 - 0.5 / count, reached)
    shares = np.linspace(min(0.5 / count, last), last, count)
    return torch.tensor(SCALE / scipy.special.gammainccinv(SHAPE, shares), dtype=torch.float32)


def forget_bias(timescale: Tensor) -> Tensor:
    """Returns -log(exp(1 / timescale) - 1), the forget gate's bias that makes a cell decay as exp(-t / timescale)."""
    return -torch.log(torch.expm1(1 / timescale))


def _cell(from_input: Tensor, from_state: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Returns output and cell `[N, hidden]` from the two parts of the gates, `[N, 4 hidden]` each."""
    # The cell stays float32 where autocast computes the gates in half precision.
    gates = from_input.to(cell.dtype) + from_state.to(cell.dtype)
    enter, forget, candidate, leave = gates.chunk(4, -1)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
    return torch.sigmoid(leave) * torch.tanh(cell), cell
