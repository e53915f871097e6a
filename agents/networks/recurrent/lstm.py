"""Long short-term memory (Hochreiter and Schmidhuber, 1997), plain and with fixed time scales."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from batchsim.agents.networks.recurrent.core import RecurrentCore, keep_mask


class LSTM(RecurrentCore):
    """`layers` layers of `hidden` units; gates in torch's order: input, forget, cell, output.

    The state `[N, 2 layers hidden]` holds output and cell of the first layer, then of the next.
    """

    def __init__(self, inputs: int, hidden: int, layers: int = 2) -> None:
        super().__init__()
        self.hidden = hidden
        self.state_size = 2 * layers * hidden
        self.layers = nn.ModuleList(self._layer(inputs if k == 0 else hidden, hidden) for k in range(layers))
        self._cell = _cell

    def _layer(self, inputs: int, hidden: int) -> nn.Module:
        return _Layer(inputs, hidden)

    def step(self, features: Tensor, episode_start: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """As in `RecurrentCore`."""
        parts = (state * keep_mask(episode_start, state)).split(self.hidden, -1)
        following = []
        for layer, output, cell in zip(self.layers, parts[0::2], parts[1::2], strict=True):
            features, cell = self._cell(layer.input_gates(features), layer.state_gates(output), cell)
            following += [features, cell]
        return features, torch.cat(following, -1)

    def sequence(self, features: Tensor, episode_start: Tensor, state: Tensor) -> Tensor:
        """As in `RecurrentCore`."""
        keep = keep_mask(episode_start, state)
        parts = state.split(self.hidden, -1)
        for layer, output, cell in zip(self.layers, parts[0::2], parts[1::2], strict=True):
            features = self._run(layer, layer.input_gates(features), keep, output, cell)
        return features

    def _run(self, layer: nn.Module, gates: Tensor, keep: Tensor, output: Tensor, cell: Tensor) -> Tensor:
        """One layer's outputs `[T, N, hidden]`."""
        outputs = []
        # Unbound at once: going back through gates[t], each step would write gradients for all steps.
        for now, kept in zip(gates.unbind(), keep.unbind(), strict=True):
            output, cell = self._cell(now, layer.state_gates(output * kept), cell * kept)
            outputs.append(output)
        return torch.stack(outputs)

    def compile_cell(self) -> None:
        """As in `RecurrentCore`."""
        self._cell: Callable[..., tuple[Tensor, Tensor]] = torch.compile(_cell)


class MultiTimescaleLSTM(LSTM):
    """An LSTM each of whose units forgets at its own fixed pace (Mahto et al., ICLR 2021).

    Without input a unit's cell decays as exp(-t / T). T, in steps, is drawn from an inverse-gamma distribution, whose
    long tail gives a power law of memory; shape 0.56 and scale 1 are the paper's. The forget gate's bias
    -log(exp(1 / T) - 1) gives that decay, the input gate's is its negative; both are kept, not learned.
    """

    def _layer(self, inputs: int, hidden: int) -> nn.Module:
        return _FixedTimescaleLayer(inputs, hidden)


SHAPE, SCALE = 0.56, 1.0


class _Layer(nn.Module):
    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.from_input = nn.Linear(inputs, 4 * hidden)
        self.from_state = nn.Linear(hidden, 4 * hidden)
        for layer in (self.from_input, self.from_state):
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def input_gates(self, features: Tensor) -> Tensor:
        """The inputs' share of the gates, `[..., 4 hidden]`."""
        return self.from_input(features)

    def state_gates(self, output: Tensor) -> Tensor:
        """The last output's share of the gates, `[..., 4 hidden]`."""
        return self.from_state(output)


class _FixedTimescaleLayer(nn.Module):
    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.from_input = nn.Linear(inputs, 4 * hidden, bias=False)
        self.from_state = nn.Linear(hidden, 4 * hidden, bias=False)
        self.bias = nn.Parameter(torch.zeros(2 * hidden))  # of the cell's candidate and the output gate
        timescale = SCALE / torch.distributions.Gamma(SHAPE, 1.0).sample((hidden,))
        forget = forget_bias(timescale)
        self.register_buffer("fixed_bias", torch.cat([-forget, forget]))
        for layer in (self.from_input, self.from_state):
            nn.init.orthogonal_(layer.weight)

    def input_gates(self, features: Tensor) -> Tensor:
        return functional.linear(features, self.from_input.weight, torch.cat([self.fixed_bias, self.bias]))

    def state_gates(self, output: Tensor) -> Tensor:
        return self.from_state(output)


def forget_bias(timescale: Tensor) -> Tensor:
    """The forget gate's bias that alone makes a cell decay as exp(-t / timescale): -log(exp(1 / timescale) - 1)."""
    return -torch.log(torch.expm1(1 / timescale))


def _cell(from_input: Tensor, from_state: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Output and cell `[N, hidden]` from the two shares of the gates, `[N, 4 hidden]` each."""
    # The cell keeps its precision where autocast has made the gates coarser.
    gates = from_input.to(cell.dtype) + from_state.to(cell.dtype)
    enter, forget, candidate, leave = gates.chunk(4, -1)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
    return torch.sigmoid(leave) * torch.tanh(cell), cell
