"""A stand-in for a CUDA graph on the CPU: what torch is asked for is kept, and asked for again.

It is as strict as CUDA: recording does nothing that lasts, replaying reads and writes the very tensors that were there
at recording, whatever Python holds by then, and what makes the host wait raises.
"""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.helpers.step_counts import WAITING

# Numbers of Python's that become tensors: on a GPU a copy from memory that is not pinned, for which the host waits.
_REFUSED = {*WAITING, "lift_fresh"}


class RecordedGraph:
    """As `batchsim.cuda_graph.CudaGraph`; `made` lists all of them."""

    made: list[RecordedGraph] = []  # noqa: RUF012  (emptied by tests)

    def __init__(self, device):
        assert device.type == "cpu"
        self.ops = []
        self.replays = 0
        RecordedGraph.made.append(self)

    def rehearse(self, function):
        with _Strict():
            return function()

    def record(self, function, warm_ups):
        for _ in range(warm_ups):
            function()
        recorder = _Recorder(self.ops)
        with recorder:
            result = function()
        recorder.undo()
        for leaf in tree_leaves(result):
            if _storage(leaf) in recorder.created:
                _bytes(leaf).fill_(1)  # not there before the first replay
        return result

    def replay(self):
        self.replays += 1
        for function, args, kwargs, outputs in self.ops:
            for new, recorded in zip(tree_leaves(function(*args, **kwargs)), outputs, strict=True):
                if recorded is not None:
                    recorded.copy_(new)


class _Strict(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        # Those a mask points at are counted first.
        masked = name.startswith("index") and any(_is_mask(x) for x in tree_leaves(args[1:2]))
        if name in _REFUSED or masked:
            raise RuntimeError(f"{function} makes the host wait")
        return function(*args, **(kwargs or {}))


class _Recorder(_Strict):
    def __init__(self, ops):
        super().__init__()
        self._ops = ops
        self.created = set()
        self._before = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for place, argument in zip(function._schema.arguments, args, strict=False):
            if place.alias_info is not None and place.alias_info.is_write:
                self._keep(argument)
        assert not any(a.alias_info and a.alias_info.is_write and a.name in kwargs for a in function._schema.arguments)
        result = super().__torch_dispatch__(function, types, args, kwargs)
        given = {_storage(x) for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)}
        outputs = [None if x is None or _storage(x) in given else x for x in tree_leaves(result)]
        self.created |= {_storage(x) for x in outputs if x is not None}
        self._ops.append((function, args, kwargs, outputs))
        return result

    def _keep(self, argument):
        """What stands in memory that is about to be written, unless it was made here."""
        for tensor in argument if isinstance(argument, (list, tuple)) else [argument]:
            key = _storage(tensor)
            if key not in self.created and key not in self._before:
                whole = _bytes(tensor)
                self._before[key] = whole, whole.clone()

    def undo(self):
        for whole, content in self._before.values():
            whole.copy_(content)


def _storage(tensor):
    return tensor.untyped_storage().data_ptr()


def _bytes(tensor):
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())


def _is_mask(x):
    return isinstance(x, torch.Tensor) and x.dtype in (torch.bool, torch.uint8)
