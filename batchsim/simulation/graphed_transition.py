"""`GraphedTransition`: a step as one CUDA graph, recorded again when something changes that a graph cannot follow."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable
from typing import Any

import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from batchsim.cuda_graph import CudaGraph, Graph, Graphed, copy_all, sync_debug
from batchsim.simulation.transition import EnvIndex, StepResult, Transition

_MAX_CHANGES_IN_A_ROW = 4
"""Consecutive steps that may find something changed before graphs are given up."""

_log = logging.getLogger(__name__)


class GraphedTransition:
    """Runs a `Transition` as a CUDA graph.

    A recorded step writes the state to the tensors that held it during recording, and `State` refers to those from then
    on. Tensors assigned to the state in between, such as by a reset, are copied there before the next step. The step is
    recorded again when scenes need more room, when an attribute of the task changes, or when shapes change.

    A step cannot be recorded if it makes the host wait for the device, or if the task keeps data of environments
    outside `State` (detected by repeating a step from the same state and comparing). Then all steps run without a
    graph, and `refusal` says why.

    Args:
        transition: The step to record.
        make_graph: Creates a graph for a device.

    Attributes:
        refusal: Why the step cannot be recorded; empty if it can.
    """

    def __init__(self, transition: Transition, make_graph: Callable[[torch.device], Graph] = CudaGraph) -> None:
        self.refusal = ""
        self._transition = transition
        self._make_graph = make_graph
        self._graphed: Graphed | None = None
        self._ended: EnvIndex | None = None
        self._places: dict[str, Tensor] = {}
        self._numbers: tuple[Any, ...] = ()
        self._held: list[Any] = []
        self._in_a_row = 0

    def __call__(
        self, action: Tensor, mode: AutoresetMode, waiting: Tensor | None
    ) -> tuple[StepResult, EnvIndex | None]:
        """Makes one step like `Transition`; later calls do not overwrite the tensors of the result."""
        if self.refusal:
            return self._transition(action, mode, waiting)
        unchanged = self._is_unchanged(mode, waiting)
        if unchanged and self._graphed is not None and self._settle():
            self._in_a_row = 0
            return self._replay(self._graphed, action, waiting), self._ended
        self._graphed = None
        self._in_a_row += 1
        if self._in_a_row > _MAX_CHANGES_IN_A_ROW:
            self._refuse("something changes in every step")
        if unchanged and not self.refusal:
            return self._step_and_record(action, mode, waiting)
        # The first step of its kind may make the host wait, because it compiles and fills caches.
        return self._transition(action, mode, waiting)

    def _is_unchanged(self, mode: AutoresetMode, waiting: Tensor | None) -> bool:
        """Returns whether this step reads the same numbers and objects from the host as the last one."""
        numbers, objects = (mode, waiting is None, self._transition.scenes.layout), self._objects()
        same = numbers == self._numbers and len(objects) == len(self._held)
        same = same and all(map(operator.is_, objects, self._held))
        self._numbers, self._held = numbers, objects
        return same

    def _objects(self) -> list[Any]:
        """Returns the Python objects from which a step may read numbers and tensors: the task, and its attributes."""
        task, episodes = self._transition.task, self._transition.episodes
        own = getattr(task, "__dict__", {})
        return [task, episodes, *own, *own.values()]

    def _settle(self) -> bool:
        """Copies the state to where the graph expects it; returns False if shapes differ."""
        state, places = self._transition.state, self._places
        tensors = state.tensors()
        moved = [name for name, value in tensors.items() if value is not places.get(name)]
        if not moved and len(tensors) == len(places):
            return True
        if not _fits(tensors, places):
            return False
        copy_all(self._apart([tensors[name] for name in moved]), [places[name] for name in moved])
        state.assign(places)
        return True

    def _apart(self, values: Any) -> Any:
        """Returns `values` (nested in any way) with copies of those tensors that are about to be overwritten."""
        places = {place.untyped_storage().data_ptr() for place in self._places.values()}
        return tree_map(lambda x: x.clone() if x.untyped_storage().data_ptr() in places else x, values)

    @staticmethod
    def _replay(graphed: Graphed, action: Tensor, waiting: Tensor | None) -> StepResult:
        return StepResult(**graphed(*((action,) if waiting is None else (action, waiting))))

    def _step_and_record(
        self, action: Tensor, mode: AutoresetMode, waiting: Tensor | None
    ) -> tuple[StepResult, EnvIndex | None]:
        """Makes the step, then records it and runs it again from the same state: the results must be equal."""
        state = self._transition.state
        before = {name: value.clone() for name, value in state.tensors().items()}
        graph = self._make_graph(action.device)
        try:
            result, self._ended = graph.rehearse(lambda: self._transition(action, mode, waiting))
        except Exception as error:  # if the task is at fault, the call below raises again
            state.assign(before)
            self._refuse(_first_line(error))
            return self._transition(action, mode, waiting)
        after = state.tensors()
        if not _fits(before, after):  # the shapes may settle in the next step
            return result, self._ended
        after = {name: value.clone() for name, value in after.items()}
        state.assign(before)
        self._places = before
        self._graphed = graphed = Graphed(
            lambda *arguments: self._in_place(mode, *arguments), warm_ups=0, make_graph=lambda _: graph
        )
        try:
            found = self._replay(graphed, action, waiting)
            if _equal(vars(found), vars(result)) and _equal(state.tensors(), after):
                return found, self._ended
            reason = "repeated from the same state, it gives another result"
        except Exception as error:
            reason = _first_line(error)
        self._refuse(reason)
        state.assign(after)
        return result, self._ended

    def _in_place(self, mode: AutoresetMode, action: Tensor, waiting: Tensor | None = None) -> dict[str, Any]:
        """Makes the step that is recorded, which writes the next state over the last one."""
        result, _ = self._transition(action, mode, waiting)
        outputs = self._apart(vars(result))
        self._settle()
        return outputs

    def _refuse(self, reason: str) -> None:
        self.refusal = f"The simulator's step runs without a CUDA graph, which is slower: {reason}"
        self._graphed = None
        _log.warning("%s", self.refusal)


def _fits(tensors: dict[str, Tensor], places: dict[str, Tensor]) -> bool:
    if tensors.keys() != places.keys():
        return False
    return all(
        value.shape == places[name].shape and value.dtype == places[name].dtype for name, value in tensors.items()
    )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _equal(a: Any, b: Any) -> bool:
    """Returns whether all values are equal, NaN being equal to itself. The host waits for the answer."""
    same = [((x == y) | ((x != x) & (y != y))).all() for x, y in zip(tree_leaves(a), tree_leaves(b), strict=True)]
    with sync_debug("default"):
        return bool(torch.stack(same).all())
