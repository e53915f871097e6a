"""The memory of a policy: a gated recurrent unit whose state is wiped where an episode begins."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class RecurrentCore(nn.Module):
    """A GRU (Cho et al., 2014) over `[T, N, inputs]`, with episode starts anywhere inside."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.state_size = hidden
        self.from_input = nn.Linear(inputs, 3 * hidden)
        self.from_state = nn.Linear(hidden, 3 * hidden)
        nn.init.orthogonal_(self.from_input.weight)
        nn.init.orthogonal_(self.from_state.weight)
        nn.init.zeros_(self.from_input.bias)
        nn.init.zeros_(self.from_state.bias)

    def step(self, features: Tensor, begun: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Features `[N, inputs]` and state `[N, S]` to output `[N, hidden]` and next state."""
        state = self._cell(self.from_input(features), state * (~begun).unsqueeze(-1))
        return state, state

    def sequence(self, features: Tensor, begun: Tensor, state: Tensor) -> Tensor:
        """Features `[T, N, inputs]` to outputs `[T, N, hidden]`; the inputs' share of the gates is one product."""
        gates = self.from_input(features)
        keep = (~begun).unsqueeze(-1).to(state.dtype)
        outputs = []
        for t in range(len(features)):
            state = self._cell(gates[t], state * keep[t])
            outputs.append(state)
        return torch.stack(outputs)

    def _cell(self, gates: Tensor, state: Tensor) -> Tensor:
        hidden = self.state_size
        recurrent = functional.linear(state, self.from_state.weight, self.from_state.bias)
        reset, update = torch.sigmoid(gates[:, : 2 * hidden] + recurrent[:, : 2 * hidden]).chunk(2, -1)
        candidate = torch.tanh(gates[:, 2 * hidden :] + reset * recurrent[:, 2 * hidden :])
        return torch.lerp(candidate, state, update)
