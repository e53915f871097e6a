"""Recurrent cores by name."""

from __future__ import annotations

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.recurrent.core import RecurrentCore
from batchsim.agents.networks.recurrent.gru import GRU
from batchsim.agents.networks.recurrent.lstm import LSTM, MultiTimescaleLSTM


def make_core(name: str, inputs: int, hidden: int, layers: int = 1) -> RecurrentCore:
    """Returns a new core; `name` is "gru", "lstm" or "mt_lstm", else `AgentError` is raised."""
    if name == "gru":
        if layers != 1:
            raise AgentError(f"core_layers is {layers}; the core gru has exactly one layer; choose lstm for more.")
        return GRU(inputs, hidden)
    cores = {"lstm": LSTM, "mt_lstm": MultiTimescaleLSTM}
    if name not in cores:
        raise AgentError(f"There is no core {name!r}; there are: {', '.join(['gru', *cores])}.")
    return cores[name](inputs, hidden, layers)
