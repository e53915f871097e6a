"""Records many short kernels as one CUDA graph, since launching them one by one from Python is slow."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

T = TypeVar("T")

_capture_streams: dict[torch.device, torch.cuda.Stream] = {}  # torch's own one belongs to the first device used


class Graph(Protocol):
    """Records the device work of a function and replays it."""

    def rehearse(self, function: Callable[[], T]) -> T:
        """Calls `function`. Raises if it makes the host wait for the device, which cannot be recorded."""

    def record(self, function: Callable[[], T], warm_ups: int) -> T:
        """Calls `function` `warm_ups` times, then records it. The returned tensors are filled by `replay`."""

    def replay(self) -> None:
        """Runs what was recorded with the current contents of the tensors that it reads."""


class CudaGraph:
    """A `Graph` made by `torch.cuda.CUDAGraph` on `device`."""

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
            # Neither on the default stream, which capture forbids, nor on the capture stream, whose memory graphs keep.
            side = torch.cuda.Stream()
            side.wait_stream(current)
            with torch.cuda.stream(side):
                for _ in range(warm_ups):
                    function()
            current.wait_stream(side)
            stream = _capture_streams.setdefault(self._device, torch.cuda.Stream())
            try:
                # Other threads (scene loading, NCCL's watchdog) may use the device meanwhile.
                with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
                    return function()
            finally:
                torch.cuda.set_stream(current)  # a failed capture leaves its own stream current

    def replay(self) -> None:
        """See `Graph`."""
        self._graph.replay()


@dataclass
class _Recording:
    graph: Graph
    inputs: list[Tensor]
    input_structure: TreeSpec
    outputs: list[Tensor]
    output_structure: TreeSpec


class Graphed:
    """Records `function` at its first call and replays it for arguments of the same shapes.

    Calls with other shapes go to `function`. Whatever else `function` reads or writes must stay at its address, like
    weights, which optimisers and `load_state_dict` write in place; Python numbers keep their value of the recording.
    Must be called without gradients.

    Args:
        function: Its arguments and its result are tensors, or nested dicts, lists and tuples of tensors.
        warm_ups: Calls before the recording, in which libraries choose kernels and allocate memory.
        make_graph: Makes what records.
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
        self._recording: _Recording | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Returns what `function` returns, in tensors that later calls do not overwrite."""
        inputs, structure = tree_flatten(arguments)
        if self._recording is None:
            self._recording = self._record(inputs, structure)
        recording = self._recording
        if structure != recording.input_structure or any(map(_differ, inputs, recording.inputs)):
            return self._function(*arguments)
        copy_all(inputs, recording.inputs)
        recording.graph.replay()
        outputs = [torch.empty_like(output) for output in recording.outputs]
        copy_all(recording.outputs, outputs)
        return tree_unflatten(outputs, recording.output_structure)

    def _record(self, inputs: Sequence[Tensor], structure: TreeSpec) -> _Recording:
        kept = [x.clone() for x in inputs]
        arguments = tree_unflatten(kept, structure)
        graph = self._make_graph(kept[0].device)
        outputs, output_structure = tree_flatten(graph.record(lambda: self._function(*arguments), self._warm_ups))
        return _Recording(graph, kept, structure, outputs, output_structure)


@contextmanager
def sync_debug(mode: str) -> Iterator[None]:
    """Sets what torch does in a block if the host waits for a GPU: raise ("error") or nothing ("default")."""
    if not torch.cuda.is_initialized():
        yield
        return
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns once that it does not detect every wait
        torch.cuda.set_sync_debug_mode(mode)
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def copy_all(sources: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    """Copies each of `sources` into its target, with one launch per dtype."""
    by_type: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = defaultdict(lambda: ([], []))
    for source, target in zip(sources, targets, strict=True):
        if source is not target:
            by_type[target.dtype][0].append(source)
            by_type[target.dtype][1].append(target)
    for some_sources, some_targets in by_type.values():
        torch._foreach_copy_(some_targets, some_sources)


def _differ(a: Tensor, b: Tensor) -> bool:
    return a.shape != b.shape or a.dtype != b.dtype
