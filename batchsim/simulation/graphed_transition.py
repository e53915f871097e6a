"""The transition as one CUDA graph, recorded anew whenever something has changed that a graph cannot follow."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from batchsim.cuda_graph import CudaGraph, Graph, Graphed, copy_all, sync_debug
from batchsim.simulation.transition import StepResult, Transition, Which

_MOST_IN_A_ROW = 4
"""Steps in a row that may find something changed; then a graph is of no use."""

_log = logging.getLogger(__name__)


class GraphedTransition:
    """Does what `transition` does, by a graph.

    A recorded step writes the state where it lay when it was recorded. `State` holds those tensors from then on; what
    else is assigned to it meanwhile, as by a reset, is copied there before the next step. Recorded anew it is where
    scenes need more room, where the task's numbers change, and where tensors get other shapes.

    A step that makes the host wait cannot be recorded, nor can one that keeps anything of an environment outside of
    `State`: it gives something else when it is made again from the same state, which is tried. Then all steps are made
    as without a graph, and `refusal` says why.
    """

    def __init__(self, transition: Transition, make_graph: Callable[[torch.device], Graph] = CudaGraph) -> None:
        self.refusal = ""
        self._transition = transition
        self._make_graph = make_graph
        self._graphed: Graphed | None = None
        self._ended: Which | None = None
        self._places: dict[str, Tensor] = {}
        self._numbers: tuple[Any, ...] = ()
        self._held: list[Any] = []
        self._in_a_row = 0

    def __call__(
        self, action: Tensor, episode_start: Tensor | None, autoreset: bool
    ) -> tuple[StepResult, Which | None]:
        """As `Transition` does; tensors of the result are left alone by later calls."""
        if self.refusal:
            return self._transition(action, episode_start, autoreset)
        as_before = self._is_as_before(episode_start, autoreset)
        if as_before and self._graphed is not None and self._settle():
            self._in_a_row = 0
            return self._replay(action, episode_start), self._ended
        self._graphed = None
        self._in_a_row += 1
        if self._in_a_row > _MOST_IN_A_ROW:
            self._refuse("something about it changes in every step")
        if as_before and not self.refusal:
            return self._step_and_record(action, episode_start, autoreset)
        # A step that is the first of its kind may make the host wait: it compiles, and fills caches.
        return self._transition(action, episode_start, autoreset)

    def _is_as_before(self, episode_start: Tensor | None, autoreset: bool) -> bool:
        """Whether this step takes the same from the host as the last one did."""
        numbers, objects = (episode_start is None, autoreset, self._transition.scenes.layout), self._objects()
        same = numbers == self._numbers and len(objects) == len(self._held)
        same = same and all(map(operator.is_, objects, self._held))
        self._numbers, self._held = numbers, objects
        return same

    def _objects(self) -> list[Any]:
        """What of Python's a step may take numbers and tensors from: the task, and what it holds."""
        task, episodes = self._transition.task, self._transition.episodes
        own = getattr(task, "__dict__", {})
        return [task, episodes, *own, *own.values()]

    def _settle(self) -> bool:
        """Have the state lie where the graph expects it; False where it is of other shapes."""
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
        """`values`, nested in any way, with copies of those that lie in a place which is about to be written."""
        places = {place.untyped_storage().data_ptr() for place in self._places.values()}
        return tree_map(lambda x: x.clone() if x.untyped_storage().data_ptr() in places else x, values)

    def _replay(self, action: Tensor, episode_start: Tensor | None) -> StepResult:
        return StepResult(**self._graphed(*((action,) if episode_start is None else (action, episode_start))))

    def _step_and_record(
        self, action: Tensor, episode_start: Tensor | None, autoreset: bool
    ) -> tuple[StepResult, Which | None]:
        """Make the step, then once more from the same state, recorded: the two must be equal."""
        state = self._transition.state
        before = {name: value.clone() for name, value in state.tensors().items()}
        graph = self._make_graph(action.device)
        try:
            result, self._ended = graph.rehearse(lambda: self._transition(action, episode_start, autoreset))
        except Exception as error:  # whatever a task raises, it raises again below
            state.assign(before)
            self._refuse(_first_line(error))
            return self._transition(action, episode_start, autoreset)
        after = state.tensors()
        if not _fits(before, after):  # the next step may go on as it began
            return result, self._ended
        after = {name: value.clone() for name, value in after.items()}
        state.assign(before)
        self._places = before
        self._graphed = Graphed(
            lambda *given: self._in_place(autoreset, *given), warm_ups=0, make_graph=lambda _: graph
        )
        try:
            found = self._replay(action, episode_start)
            if _equal(vars(found), vars(result)) and _equal(state.tensors(), after):
                return found, self._ended
            reason = "made again from the same state, it gives something else"
        except Exception as error:
            reason = _first_line(error)
        self._refuse(reason)
        state.assign(after)
        return result, self._ended

    def _in_place(self, autoreset: bool, action: Tensor, episode_start: Tensor | None = None) -> dict[str, Any]:
        """The step that is recorded: the next state comes to lie where the last one lay."""
        result, _ = self._transition(action, episode_start, autoreset)
        outputs = self._apart(vars(result))
        self._settle()
        return outputs

    def _refuse(self, reason: str) -> None:
        self.refusal = f"The step cannot be replayed as a CUDA graph, and is slower without: {reason}"
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
    """Whether all numbers are the same; not-a-numbers are the same as each other. The host waits for the answer."""
    same = [((x == y) | ((x != x) & (y != y))).all() for x, y in zip(tree_leaves(a), tree_leaves(b), strict=True)]
    with sync_debug("default"):
        return bool(torch.stack(same).all())
