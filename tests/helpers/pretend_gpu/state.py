"""What the pretend GPU keeps track of."""

from __future__ import annotations

import threading
import traceback
import warnings
from collections import Counter

import torch


class State:
    """Everything that changes while tests run."""

    def __init__(self):
        self.lock = threading.RLock()
        self.device_count = 1
        self.reset()

    def reset(self):
        self.sync_mode = 0  # 0: waits are counted, 1: warned of, 2: they raise
        self.waits = Counter()  # by what waited and where
        self.graph = None  # the graph that is being captured
        self.pending = []  # (number, target, value): copies to the host that have not arrived
        self.copies = 0
        self.owned_by_gl = {}  # by address of the storage, the name of the buffer
        self.device = 0
        self.stream = None
        self.pinned = set()  # addresses of storages


state = State()


class SyncError(RuntimeError):
    """The host waits for the device, which `torch.cuda.set_sync_debug_mode("error")` forbids."""


def where(limit=2):
    """Returns the innermost lines of the project that are being executed."""
    frames = []
    for frame in reversed(traceback.extract_stack()):
        path = frame.filename.replace("\\", "/")
        if "/pretend_gpu/" not in path and any(part in path for part in ("/batchsim/", "/agents/", "/tests/")):
            frames.append(f"{'/'.join(path.split('/')[-2:])}:{frame.lineno}")
            if len(frames) == limit:
                break
    return " < ".join(frames)


def wait(what):
    """The host waits for the device: raises if that is forbidden, counts it, and lets all copies arrive."""
    if state.graph is not None:
        raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({what}) at {where(3)}")
    state.waits[f"{what} at {where()}"] += 1
    if state.sync_mode == 1:
        warnings.warn(f"called a synchronizing CUDA operation: {what} at {where(3)}", stacklevel=2)
    if state.sync_mode == 2:
        raise SyncError(f"called a synchronizing CUDA operation: {what} at {where(3)}")
    deliver()


def deliver(until=None):
    """Lets copies to the host arrive, up to the one numbered `until`."""
    late = []
    for number, target, value in state.pending:
        if until is None or number <= until:
            target.copy_(value)
        else:
            late.append((number, target, value))
    state.pending = late


def poison(tensor):
    """Fills a host tensor with values that no correct result has."""
    if tensor.is_floating_point():
        tensor.fill_(float("nan"))
    elif tensor.dtype == torch.bool:
        tensor.logical_not_()
    else:
        tensor.fill_(177 if tensor.dtype == torch.uint8 else -77)


def address(tensor):
    """Returns the address of a host tensor's storage."""
    return tensor.untyped_storage().data_ptr()
