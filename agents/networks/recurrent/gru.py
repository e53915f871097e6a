"""A gated recurrent unit (Cho et al., 2014)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from batchsim.agents.networks.recurrent.core import RecurrentCore, keep_mask
from batchsim.agents.networks.recurrent.gru_sequence import GRUSequence


class GRU(RecurrentCore):
    """One layer of `hidden` units, whose state is its output."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.state_size = hidden
        self.from_input = nn.Linear(inputs, 3 * hidden)
        self.from_state = nn.Linear(hidden, 3 * hidden)
        self._cell = _cell
        self._compiled = False
        for layer in (self.from_input, self.from_state):
            nn.init.orthogonal_(layer.weight)
        for layer in (self.from_input, self.from_state):
            nn.init.zeros_(layer.bias)

    def step(self, features: Tensor, episode_start: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `RecurrentCore`."""
        state = self._next(self.from_input(features), state * keep_mask(episode_start, state))
        return state, state

    def sequence(self, features: Tensor, episode_start: Tensor, state: Tensor) -> Tensor:
        """See `RecurrentCore`."""
        gates, keep = self.from_input(features), keep_mask(episode_start, state)
        # Hooks of from_state see its gradients, which GRUSequence computes within.
        if not self._compiled and not self.from_state._forward_hooks:
            return GRUSequence.apply(gates, self.from_state.weight, self.from_state.bias, keep, state)
        # Unbound at once: the backward pass of gates[t] would write gradients of all steps in every step.
        outputs = []
        for now, kept in zip(gates.unbind(), keep.unbind(), strict=True):
            state = self._next(now, state * kept)
            outputs.append(state)
        return torch.stack(outputs)

    def compile_cell(self) -> None:
        """See `RecurrentCore`."""
        self._cell = torch.compile(_cell)
        self._compiled = True

    def _next(self, gates: Tensor, state: Tensor) -> Tensor:
        return self._cell(gates, self.from_state(state), state)


def _cell(gates: Tensor, recurrent: Tensor, state: Tensor) -> Tensor:
    """Returns the next state from the inputs' and the state's parts of the gates, `[N, 3 hidden]` each."""
    # The state stays float32 where autocast computes the gates in half precision.
    gates, recurrent = gates.to(state.dtype), recurrent.to(state.dtype)
    hidden = state.shape[-1]
    reset, update = torch.sigmoid(gates[:, : 2 * hidden] + recurrent[:, : 2 * hidden]).chunk(2, -1)
    candidate = torch.tanh(gates[:, 2 * hidden :] + reset * recurrent[:, 2 * hidden :])
    return torch.lerp(candidate, state, update)
