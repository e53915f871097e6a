"""Which device to compute on: what "auto" means, and clear errors for what cannot be had."""

from __future__ import annotations

import logging

import torch

from batchsim.errors import OptionError, RenderError
from batchsim.render.opengl.cuda_buffer import require_cuda_core
from batchsim.render.opengl.egl_device import egl_index_for_cuda

_log = logging.getLogger(__name__)


def choose_device(device: str | torch.device) -> torch.device:
    """The device that `device` stands for: "auto", "cpu", "cuda", "cuda:1" or a `torch.device`.

    "auto" is CUDA's current device where torch sees one that OpenGL can draw on too, else the CPU; the log says why.
    CUDA devices come back with their number. Raises `OptionError` for devices that are unknown or not there.
    """
    if device == "auto":
        return _best()
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise OptionError(f"device={device!r}: expected 'auto', 'cpu', 'cuda' or 'cuda:1'.") from error
    if chosen.type == "cuda":
        return _numbered(chosen)
    if chosen.type != "cpu":
        raise OptionError(f"device={str(device)!r}: expected 'auto', 'cpu', 'cuda' or 'cuda:1'.")
    return chosen


def _best() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    best = torch.device("cuda", torch.cuda.current_device())
    try:
        egl_index_for_cuda(best.index)
        require_cuda_core()
    except RenderError as error:
        _log.warning("device='auto' takes the CPU, although torch sees %s: %s", best, error)
        return torch.device("cpu")
    return best


def _numbered(device: torch.device) -> torch.device:
    if not torch.cuda.is_available():
        raise OptionError(f"device={str(device)!r}: torch sees no CUDA device; use 'auto' or 'cpu'.")
    index = torch.cuda.current_device() if device.index is None else device.index
    if index >= torch.cuda.device_count():
        raise OptionError(
            f"device={str(device)!r}: torch sees {torch.cuda.device_count()} CUDA devices, from cuda:0 on."
        )
    return torch.device("cuda", index)
