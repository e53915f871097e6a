"""`SceneStreamer`: swaps the scenes in memory with others of a larger set while episodes run.

A slot goes through these states: *active* (new episodes start in it), *leaving* (its environments leave as their
episodes end), *free* (no environment is in it), *arriving* (the next scene is copied into it, one slice per step), and
active again.

All transitions happen at steps that depend only on the seed and the episodes. If loading is late, the step waits.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.piecewise_copy import PiecewiseCopy
from batchsim.render.batch_renderer import BatchRenderer
from batchsim.render.scene_data.gpu_arrays import GpuSceneArrays
from batchsim.scenes import Scene
from batchsim.streaming.initial_scenes import LOAD_ERRORS, InitialScenes
from batchsim.streaming.scene_loader import SceneLoader
from batchsim.world.navigation_data import NavigationData, prepare_navigation
from batchsim.world.resident_scenes import ResidentScenes

POLL_INTERVAL = 8
"""Steps between two polls of which slots are in use. Each poll acts on the result of the one before, which is finished
by then: the host never waits for the GPU."""

ARRIVAL_STEPS = 16
"""Steps during which a scene is copied: a fixed number, whatever the scene's size, so that runs repeat exactly."""

_SLICE = 4 << 20  # bytes per step; the last step copies what is left of scenes larger than 64 MiB
_UNLIMITED = 1 << 62

_log = logging.getLogger(__name__)


@dataclass
class _State:
    """The streamer's progress, in integers and lists of integers.

    Attributes:
        seed: Seed of the visiting order.
        content: Number of the scene in each slot (of the arriving scene, if one arrives).
        active: Active slots, oldest first.
        step: Steps so far.
        taken: Scenes taken from the loader.
        changes: Scenes that have arrived.
        leaving: Leaving slots, oldest first.
        free: Free slots, oldest first.
        arriving: The slot in which a scene arrives, or -1.
        arrives: Step at which the arriving slot becomes active.
        polled_leaving: The slots that were leaving at the last poll.
        exhausted: 1 if no other scene can be loaded.
    """

    seed: int
    content: list[int]
    active: list[int]
    step: int = 0
    taken: int = 0
    changes: int = 0
    leaving: list[int] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    arriving: int = -1
    arrives: int = 0
    polled_leaving: list[int] = field(default_factory=list)
    exhausted: int = 0


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A scene's data, prepared for upload by the loader's threads; `render` is None without a renderer."""

    navigation: NavigationData
    render: GpuSceneArrays | None


class SceneStreamer:
    """Swaps the scenes in `scenes` and `renderer` with the others of a set.

    Args:
        scenes: The resident scenes.
        renderer: The renderer of the same scenes, if any.
        initial: The set; its resident scenes are those of `scenes`.

    Attributes:
        loader: Loads the scenes.
        visited: Numbers of the scenes in which episodes could start since the last `restart`.
    """

    def __init__(self, scenes: ResidentScenes, renderer: BatchRenderer | None, initial: InitialScenes) -> None:
        slots = len(scenes)
        if slots < 2:
            raise OptionError(f"num_resident_scenes must be at least 2 when scenes are swapped; got {slots}.")
        self._scenes = scenes
        self._renderer = renderer
        self._first = list(initial.resident)
        self._max_inactive = max(1, slots // 4)
        self._on_gpu = scenes.device.type == "cuda"
        # A weak reference: the loader's threads must not keep a renderer alive that was dropped without close().
        renderer_ref = None if renderer is None else weakref.ref(renderer)
        prepare = partial(_prepare, pinned=self._on_gpu, renderer_ref=renderer_ref, with_objects=scenes.with_objects)
        self.loader = SceneLoader(initial, prepare, ahead=max(2, self._max_inactive))
        self._in_use = torch.zeros(slots, dtype=torch.bool, pin_memory=self._on_gpu)
        self._polled = torch.cuda.Event() if self._on_gpu else None
        self._slots = torch.arange(slots, device=scenes.device)
        self._resident = list(self._first)  # -1 while a slot is being overwritten
        self._uploads: list[PiecewiseCopy] = []
        self._state = _State(0, list(self._first), list(range(slots)))
        self.visited = set(self._first)

    @property
    def failed_scenes(self) -> dict[str, str]:
        """Why scenes could not be loaded, by name."""
        return {self.loader.sources[number].name: reason for number, reason in self.loader.failed.items()}

    @property
    def changes(self) -> int:
        """Number of scenes swapped in since the last `restart`."""
        return self._state.changes

    def restart(self, seed: int) -> None:
        """Returns to the initial scenes and visit the others in the order given by `seed`."""
        self.visited = set(self._first)
        self._restore(_State(seed, list(self._first), list(range(len(self._first)))))

    def readmit(self, slots: Sequence[int]) -> None:
        """Keeps the scenes in `slots` in memory, because saved environments return to them.

        Raises:
            OptionError: If the scene of a slot is about to be replaced, or is being replaced.
        """
        state = self._state
        gone = [slot for slot in slots if slot in state.free or slot == state.arriving]
        if gone:
            names = ", ".join(self._scenes.scenes[slot].name for slot in gone)
            raise OptionError(f"The scenes of saved rows are no longer in memory: {names}.")
        state.polled_leaving = [slot for slot in state.polled_leaving if slot not in slots]

    def advance(self, scene: Tensor) -> None:
        """Does one step's share of the work; `scene` (int64 `[N]`) is each environment's current slot."""
        state = self._state
        state.step += 1
        if state.step % POLL_INTERVAL == 0:
            self._poll(scene)
        if state.arriving >= 0:
            self._continue_arrival()
        elif state.free:
            self._start_arrival()
        if not state.exhausted and self._num_inactive < self._max_inactive:
            state.leaving.append(state.active.pop(0))
            self._scenes.set_start_slots(state.active)

    @property
    def _num_inactive(self) -> int:
        """Number of slots in which no episodes start."""
        return len(self._slots) - len(self._state.active)

    def _poll(self, scene: Tensor) -> None:
        """Frees the slots that were empty at the last poll, then start the next poll."""
        state = self._state
        self._wait_for_poll()
        empty = [slot for slot in state.polled_leaving if not self._in_use[slot]]
        state.free += empty
        state.leaving = [slot for slot in state.leaving if slot not in empty]
        state.polled_leaving = list(state.leaving)
        self._in_use.copy_((scene == self._slots.unsqueeze(-1)).any(-1), non_blocking=True)
        if self._polled is not None:
            self._polled.record(torch.cuda.current_stream(self._scenes.device))

    def _wait_for_poll(self) -> None:
        if self._polled is not None:
            self._polled.synchronize()

    def _start_arrival(self) -> None:
        state = self._state
        loaded = self.loader.next(leave_out=self._resident)
        state.taken = self.loader.taken
        if loaded is None:
            self._stop_swapping()
            return
        number, prepared = loaded
        slot = state.free.pop(0)
        try:
            self._uploads = self._start_uploads(slot, prepared)
        except LOAD_ERRORS as error:
            self.loader.mark_failed(number, error)
            state.free.insert(0, slot)
            return
        state.content[slot] = number
        state.arriving, state.arrives = slot, state.step + ARRIVAL_STEPS

    def _stop_swapping(self) -> None:
        """Continues with the resident scenes: no other scene can be loaded."""
        state = self._state
        state.exhausted = 1
        state.active += state.leaving + [slot for slot in state.free if self._resident[slot] >= 0]
        state.leaving, state.polled_leaving, state.free = [], [], []
        self._scenes.set_start_slots(state.active)
        _log.warning("No other scene can be loaded; the %d resident scenes stay.", len(state.active))

    def _start_uploads(self, slot: int, prepared: _Prepared) -> list[PiecewiseCopy]:
        self._resident[slot] = -1
        uploads: list[PiecewiseCopy] = [PiecewiseCopy(self._scenes.replace(slot, prepared.navigation))]
        if self._renderer is not None and prepared.render is not None:
            uploads.append(self._renderer.replace_scene(slot, prepared.render))
        return uploads

    def _continue_arrival(self) -> None:
        """Copies a slice of the arriving scene; in its last step, copy the rest and activate the slot."""
        state = self._state
        if self._uploads and self._uploads[0].advance(_SLICE):
            self._uploads.pop(0)
        if state.step < state.arrives:
            return
        self._finish(state.arriving, state.content[state.arriving])
        state.active.append(state.arriving)
        state.arriving = -1
        state.changes += 1
        self._scenes.set_start_slots(state.active)
        self.visited.add(state.content[state.active[-1]])

    def _finish(self, slot: int, number: int) -> None:
        for upload in self._uploads:
            upload.advance(_UNLIMITED)
        self._uploads = []
        self._resident[slot] = number

    def _restore(self, state: _State) -> None:
        """Loads the scenes of `state` into their slots at once and continue from there."""
        for slot, number in enumerate(state.content):
            if self._resident[slot] != number:
                self._uploads = self._start_uploads(slot, self.loader.load(number))
                self._finish(slot, number)
        self._uploads = []
        self._state = state
        self._scenes.set_start_slots(state.active)
        self.loader.start(state.seed, state.taken)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns everything that determines the streamer's future, as int64 and bool tensors."""
        self._wait_for_poll()
        progress = {name: torch.tensor(value, dtype=torch.int64) for name, value in asdict(self._state).items()}
        return progress | {"visited": torch.tensor(sorted(self.visited)), "in_use": self._in_use.clone()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores the result of `state_dict` of a streamer of the same set with the same number of slots."""
        self._wait_for_poll()
        values: dict[str, Any] = {name: tensor.tolist() for name, tensor in tensors.items()}
        self.visited = set(values.pop("visited"))
        self._in_use.copy_(torch.tensor(values.pop("in_use")))
        self._restore(_State(**values))

    def close(self) -> None:
        """Stops loading scenes."""
        self.loader.close()


def _prepare(
    scene: Scene, pinned: bool, renderer_ref: weakref.ref[BatchRenderer] | None, with_objects: bool = False
) -> _Prepared:
    renderer = None if renderer_ref is None else renderer_ref()
    data = prepare_navigation(scene, pinned, with_objects)
    return _Prepared(data, None if renderer is None else renderer.prepare(scene))
