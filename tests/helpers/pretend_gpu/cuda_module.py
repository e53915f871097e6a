"""Stands in for the parts of `torch.cuda` that the project uses."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import time
import types
import uuid

import torch

from tests.helpers.pretend_gpu.graphs import PretendGraph, pretend_capture
from tests.helpers.pretend_gpu.state import address, deliver, state

_NAME = "Pretend GPU"
_handles = itertools.count(4096, 16)


class PretendStream:
    """Work of all streams is done at once, in the order in which it is launched."""

    def __init__(self, device=None, priority=0, handle=None):
        self.cuda_stream = next(_handles) if handle is None else handle
        self.device = torch.device("cuda", PretendDevice(device).index)

    def wait_stream(self, other):
        pass

    def wait_event(self, event):
        pass

    def record_event(self, event=None):
        event = event or PretendEvent()
        event.record(self)
        return event

    def synchronize(self):
        deliver()

    def query(self):
        return True

    def __eq__(self, other):
        return isinstance(other, PretendStream) and other.cuda_stream == self.cuda_stream

    def __hash__(self):
        return self.cuda_stream


class PretendEvent:
    """Remembers which copies were asked for before it."""

    def __init__(self, enable_timing=False, blocking=False):
        self._copies, self._time, self.stream = None, None, None

    def record(self, stream):
        """`stream` must be given: the current device's stream need not be the one of the work."""
        self._copies, self._time, self.stream = state.copies, time.perf_counter(), stream

    def synchronize(self):
        if state.graph is not None:
            raise RuntimeError("an event is waited for in a capture")
        if self._copies is not None:
            deliver(self._copies)

    def wait(self, stream=None):
        pass

    def query(self):
        return True

    def elapsed_time(self, other):
        return 1000 * (other._time - self._time)


class PretendDevice:
    """Stands in for `torch.cuda.device`."""

    def __init__(self, device):
        found = device if isinstance(device, int) else None if device is None else torch.device(device).index
        self.index = state.device if found is None else found

    def __enter__(self):
        self._before, state.device = state.device, self.index

    def __exit__(self, *_):
        state.device = self._before


@contextlib.contextmanager
def _stream_context(stream):
    before, state.stream = state.stream, stream
    try:
        yield
    finally:
        state.stream = before


def _synchronize(device=None):
    if state.graph is not None:
        raise RuntimeError("synchronize in a capture")
    deliver()


def _pin_memory(tensor, device=None):
    pinned = tensor.clone()
    state.pinned.add(address(pinned))
    return pinned


def install():
    """Replaces functions of `torch.cuda` for the rest of the process."""
    importlib.import_module("torch._dynamo")  # they look at torch.cuda when imported
    importlib.import_module("torch._inductor")
    torch._C._set_only_lift_cpu_tensors(True)
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    default = PretendStream(0, handle=0)
    properties = types.SimpleNamespace(
        name=_NAME, uuid=uuid.UUID(int=1), multi_processor_count=132, major=9, minor=0, total_memory=80 << 30
    )
    for name, function in {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: state.device_count,
        "current_device": lambda: state.device,
        "set_device": lambda device: setattr(state, "device", PretendDevice(device).index),
        "current_stream": lambda device=None: state.stream or default,
        "default_stream": lambda device=None: default,
        "set_stream": lambda stream: setattr(state, "stream", None if stream == default else stream),
        "Stream": PretendStream,
        "Event": PretendEvent,
        "stream": _stream_context,
        "device": PretendDevice,
        "CUDAGraph": PretendGraph,
        "graph": pretend_capture,
        "synchronize": _synchronize,
        "empty_cache": lambda: None,
        "get_sync_debug_mode": lambda: state.sync_mode,
        "set_sync_debug_mode": lambda mode: setattr(
            state, "sync_mode", {"default": 0, "warn": 1, "error": 2}.get(mode, mode)
        ),
        "mem_get_info": lambda device=None: (70 << 30, 80 << 30),
        "max_memory_allocated": lambda device=None: 1 << 30,
        "memory_allocated": lambda device=None: 1 << 30,
        "get_device_name": lambda device=None: _NAME,
        "get_device_capability": lambda device=None: (9, 0),
        "is_bf16_supported": lambda including_emulation=True: True,
        "get_device_properties": lambda device=None: properties,
        "get_rng_state": lambda device="cuda": torch.zeros(16, dtype=torch.uint8),
        "set_rng_state": lambda new_state, device="cuda": None,
        "manual_seed_all": lambda seed: None,
        "manual_seed": lambda seed: None,
    }.items():
        setattr(torch.cuda, name, function)
    amp = importlib.import_module("torch.cuda.amp.common")
    amp.amp_definitely_not_available = lambda: False
    torch.Tensor.pin_memory = _pin_memory
    torch.Tensor.is_pinned = lambda tensor, device=None: address(tensor) in state.pinned
