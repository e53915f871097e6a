"""Chooses the device to compute on, and explains why a device cannot be used."""

from __future__ import annotations

import logging
from functools import cache

import torch

from batchsim.errors import OptionError, RenderError
from batchsim.render.opengl.context import create_context, release_context
from batchsim.render.opengl.gl_errors import checked
from batchsim.render.opengl.shared_tensor import SharedTensor

_log = logging.getLogger(__name__)


def choose_device(device: str | torch.device) -> torch.device:
    """Returns the device that `device` names; CUDA devices get an index.

    Args:
        device: "cpu", "cuda", "cuda:1", a `torch.device`, or "auto": CUDA's current device if torch finds one and
            OpenGL can draw there into torch's memory, else the CPU; a warning is logged with the reason.

    Raises:
        OptionError: The device is unknown or does not exist.
    """
    if not isinstance(device, str | torch.device):
        raise OptionError(f"device is of type {type(device).__name__}; expected 'auto', 'cpu', 'cuda' or 'cuda:1'.")
    if device == "auto":
        return _best()
    try:
        chosen = torch.device(device)
    except (RuntimeError, ValueError) as error:
        raise OptionError(f"device={device!r}: expected 'auto', 'cpu', 'cuda' or 'cuda:1'.") from error
    if chosen.type == "cuda":
        return _with_index(chosen)
    if chosen.type != "cpu":
        raise OptionError(f"device={str(device)!r}: expected 'auto', 'cpu', 'cuda' or 'cuda:1'.")
    return chosen


def _best() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    best = torch.device("cuda", torch.cuda.current_device())
    reason = why_not_drawable(best)
    if reason:
        _log.warning("device='auto' uses the CPU although torch sees %s: %s", best, reason)
        return torch.device("cpu")
    return best


@cache
def why_not_drawable(device: torch.device) -> str:
    """Returns why OpenGL cannot draw into torch's memory on the CUDA device `device`; "" if it can."""
    try:
        context = create_context(device)
        try:
            with checked(context, f"trying {device}"):
                SharedTensor(context, (4,), torch.float32, device).release()
        finally:
            release_context(context)
    except RenderError as error:
        return str(error)
    return ""


def _with_index(device: torch.device) -> torch.device:
    if not torch.cuda.is_available():
        raise OptionError(f"device={str(device)!r}: torch sees no CUDA device; use 'auto' or 'cpu'.")
    index = torch.cuda.current_device() if device.index is None else device.index
    if index >= torch.cuda.device_count():
        raise OptionError(
            f"device={str(device)!r}: torch sees {torch.cuda.device_count()} CUDA devices, numbered from cuda:0."
        )
    return torch.device("cuda", index)
