"""Pretend CUDA graphs: they keep the operations of a capture, undo what these did, and run them when replayed."""

from __future__ import annotations

import contextlib

import torch
from torch.utils._pytree import tree_leaves

from tests.helpers.pretend_gpu.state import address, deliver, state
from tests.helpers.pretend_gpu.tensors import is_view


class PretendGraph:
    """Stands in for `torch.cuda.CUDAGraph`."""

    def __init__(self, keep_graph=False):
        self._operations = []
        self._created = set()
        self._before = {}
        self._results = []

    def before(self, func, args, kwargs):
        """Keeps the contents of what an operation is about to write."""
        for place, argument in zip(func._schema.arguments, args, strict=False):
            if place.alias_info is not None and place.alias_info.is_write:
                self._keep(argument)
        for place in func._schema.arguments:
            if place.name in kwargs and place.alias_info is not None and place.alias_info.is_write:
                self._keep(kwargs[place.name])

    def _keep(self, argument):
        for tensor in argument if isinstance(argument, (list, tuple)) else [argument]:
            key = address(tensor)
            if key not in self._created and key not in self._before:
                whole = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
                self._before[key] = whole, whole.clone()

    def after(self, func, args, kwargs, result):
        """Keeps an operation."""
        given = {address(x) for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)}
        made = [x if isinstance(x, torch.Tensor) and address(x) not in given else None for x in tree_leaves(result)]
        self._created |= {address(x) for x in made if x is not None}
        self._results.append(result)
        self._operations.append((func, args, kwargs, made))

    def capture_begin(self, *arguments, **named):
        state.graph = self

    def capture_end(self):
        """Undoes what the captured operations did, since a real capture does not run them."""
        state.graph = None
        for whole, contents in self._before.values():
            whole.copy_(contents)
        for result in self._results:
            for x in tree_leaves(result):
                if isinstance(x, torch.Tensor) and address(x) in self._created:
                    torch.empty(0, dtype=torch.uint8).set_(x.untyped_storage()).fill_(
                        1 if x.dtype == torch.bool else 171
                    )

    def replay(self):
        """Runs the captured operations with the current contents of their inputs."""
        for func, args, kwargs, made in self._operations:
            for x in tree_leaves((args, kwargs)):
                owner = isinstance(x, torch.Tensor) and state.owned_by_gl.get(address(x))
                if owner and not is_view(func):
                    raise RuntimeError(f"a graph touches {owner} while OpenGL owns it")
            for new, old in zip(tree_leaves(func(*args, **kwargs)), made, strict=True):
                if old is not None:
                    old.copy_(new)

    def reset(self):
        self._operations = []

    def pool(self):
        return (0, 0)


@contextlib.contextmanager
def pretend_capture(graph, pool=None, stream=None, capture_error_mode="global"):
    """Stands in for `torch.cuda.graph`."""
    deliver()
    if state.graph is not None:
        raise RuntimeError("a capture within a capture")
    before, state.stream = state.stream, stream
    graph.capture_begin()
    try:
        yield
    finally:
        graph.capture_end()
        state.stream = before
