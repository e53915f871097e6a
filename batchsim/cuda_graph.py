"""Work of many short kernels as one CUDA graph: the host asks for all at once, since one by one it is too slow."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

T = TypeVar("T")

_capture_streams: dict[torch.device, torch.cuda.Stream] = {}  # torch's own would be of whatever device came first


class Graph(Protocol):
    """Something that keeps what a function asks of the device, to have it done again."""

    def rehearse(self, function: Callable[[], T]) -> T:
        """Call `function`; raises where it makes the host wait for the device, which cannot be recorded."""

    def record(self, function: Callable[[], T], warm_ups: int) -> T:
        """Keep what `function` asks for, without doing it; its tensors are filled by `replay`.

        Before that it is called `warm_ups` times.
        """

    def replay(self) -> None:
        """Do what was recorded, with what now stands in the tensors that it read."""


class CudaGraph:
    """`torch.cuda.CUDAGraph` of work on `device`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._graph = torch.cuda.CUDAGraph()

    def rehearse(self, function: Callable[[], T]) -> T:
        """See `Graph`."""
        with sync_debug("error"):
            return function()

    def record(self, function: Callable[[], T], warm_ups: int) -> T:
        """See `Graph`."""
        with torch.cuda.device(self._device):
            current = torch.cuda.current_stream()
            # Off the default stream, as capture asks for, and off the one of captures, whose memory graphs keep.
            side = torch.cuda.Stream()
            side.wait_stream(current)
            with torch.cuda.stream(side):
                for _ in range(warm_ups):
                    function()
            current.wait_stream(side)
            stream = _capture_streams.setdefault(self._device, torch.cuda.Stream())
            try:
                # Other threads, which load scenes or watch NCCL, may use the device meanwhile.
                with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
                    return function()
            finally:
                torch.cuda.set_stream(current)  # where capture fails, torch would stay on the other

    def replay(self) -> None:
        """See `Graph`."""
        self._graph.replay()


class Graphed:
    """`function`, recorded at its first call and replayed for arguments of the same shapes; others go to `function`.

    Arguments and result are tensors, or nested dicts, lists and tuples of them. Whatever else `function` reads or
    writes must stay where it is, as weights do, which optimisers and `load_state_dict` write in place; numbers of
    Python's are what they were when it was recorded. Must be called without gradients.

    - `warm_ups`: calls before that, in which libraries choose their kernels and take their memory.
    - `make_graph`: what records.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        warm_ups: int = 3,
        make_graph: Callable[[torch.device], Graph] = CudaGraph,
    ) -> None:
        self._function = function
        self._warm_ups = warm_ups
        self._make_graph = make_graph
        self._graph: Graph | None = None
        self._inputs: list[Tensor] = []
        self._given: TreeSpec | None = None
        self._outputs: list[Tensor] = []
        self._gives: TreeSpec | None = None

    def __call__(self, *arguments: Any) -> Any:
        """What `function` gives, in tensors that later calls leave alone."""
        inputs, given = tree_flatten(arguments)
        if self._graph is None:
            self._record(inputs, given)
        elif given != self._given or any(map(_differ, inputs, self._inputs)):
            return self._function(*arguments)
        copy_all(inputs, self._inputs)
        self._graph.replay()
        outputs = [torch.empty_like(output) for output in self._outputs]
        copy_all(self._outputs, outputs)
        return tree_unflatten(outputs, self._gives)

    def _record(self, inputs: Sequence[Tensor], given: TreeSpec) -> None:
        self._given, self._inputs = given, [x.clone() for x in inputs]
        arguments = tree_unflatten(self._inputs, given)
        graph = self._make_graph(self._inputs[0].device)
        result = graph.record(lambda: self._function(*arguments), self._warm_ups)
        self._outputs, self._gives = tree_flatten(result)
        self._graph = graph


@contextmanager
def sync_debug(mode: str) -> Iterator[None]:
    """What torch does where the host waits for a GPU: raise ("error"), or nothing ("default")."""
    if not torch.cuda.is_initialized():
        yield
        return
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first time, torch says that it does not find everything that waits
        torch.cuda.set_sync_debug_mode(mode)
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def copy_all(sources: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    """Write each of `sources` into its target, in one launch for each type of numbers."""
    by_type: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = defaultdict(lambda: ([], []))
    for source, target in zip(sources, targets, strict=True):
        if source is not target:
            by_type[target.dtype][0].append(source)
            by_type[target.dtype][1].append(target)
    for some_sources, some_targets in by_type.values():
        torch._foreach_copy_(some_targets, some_sources)


def _differ(a: Tensor, b: Tensor) -> bool:
    return a.shape != b.shape or a.dtype != b.dtype
