"""Recurrent cores: the memory of a policy, wiped where an episode begins."""

from __future__ import annotations

from torch import Tensor, nn

from agents.errors import AgentError


class RecurrentCore(nn.Module):
    """What every core does. Its whole memory is one tensor `[N, state_size]`, so that any core fits any caller."""

    state_size: int
    """Numbers of memory an environment has."""

    def step(self, features: Tensor, begun: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step: features `[N, inputs]`, `begun` bool `[N]` and state `[N, S]` to `[N, hidden]` and next state."""
        raise NotImplementedError

    def sequence(self, features: Tensor, begun: Tensor, state: Tensor) -> Tensor:
        """T steps with episode starts anywhere inside: features `[T, N, inputs]`, `begun` `[T, N]` to `[T, N, hidden]`.

        Without a look at `begun` from the host, which packing the episodes for cuDNN's LSTM would need: the inputs'
        share of the gates is one product over all steps, and what is left in the loop is small beside the encoder.
        """
        raise NotImplementedError

    def compile_cell(self) -> None:
        """Fuse what a cell does element by element, by `torch.compile`."""
        raise NotImplementedError


def keep_mask(begun: Tensor, like: Tensor) -> Tensor:
    """1 where the memory goes on and 0 where an episode begins: bool `[..., N]` to `[..., N, 1]`."""
    return (~begun).unsqueeze(-1).to(like.dtype)


def make_core(name: str, inputs: int, hidden: int, layers: int = 1) -> RecurrentCore:
    """The core called `name`: "gru", "lstm" or "mt_lstm"; raises `AgentError` for another."""
    from agents.networks.gru import GRU
    from agents.networks.lstm import LSTM, MultiTimescaleLSTM

    if name == "gru":
        if layers != 1:
            raise AgentError(f"core_layers is {layers}; the core gru has one layer. Choose lstm for more.")
        return GRU(inputs, hidden)
    cores = {"lstm": LSTM, "mt_lstm": MultiTimescaleLSTM}
    if name not in cores:
        raise AgentError(f"There is no core {name!r}; there are: {', '.join(['gru', *cores])}.")
    return cores[name](inputs, hidden, layers)
