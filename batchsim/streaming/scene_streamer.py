"""K resident scenes that give way to the others of a larger set, one at a time, while episodes go on.

A slot goes round like this: *active*, new episodes begin in it; *leaving*, its environments leave it one by one as
their episodes end; *free*, nobody is left in it; *arriving*, the next scene is copied into it, a slice in each step;
and active again.

All of that happens at steps that follow from the seed and the episodes alone. Where loading is late, the step waits.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial

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

LOOK_EVERY = 8
"""Steps from one look at which slots are in use to the next, which then acts on what the one before saw. That has long
been computed: on a GPU nothing waits for it."""

ARRIVAL_STEPS = 16
"""Steps in which a scene is copied. A fixed number, for how much there is to copy depends on what came before."""

_SLICE = 4 << 20  # bytes a step: larger scenes than 64 MiB make the last step longer
_ALL = 1 << 62

_log = logging.getLogger(__name__)


@dataclass
class _State:
    """How far the streamer is; whole numbers, and lists of them.

    - `seed`: of the order. `step`: steps made. `taken`: scenes asked of the loader. `changes`: arrivals until now.
    - `content`: number of the scene in each slot, the arriving one where one arrives.
    - `active`, `leaving`, `free`: slots, those that have waited longest first; `arriving`: the slot, or -1; its scene
      is active from step `arrives` on.
    - `seen_leaving`: the slots that were leaving at the last look. `is_over`: 1 where no other scene can be had.
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
    seen_leaving: list[int] = field(default_factory=list)
    is_over: int = 0


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What is copied of a scene: worked out by the loader's threads."""

    packed: NavigationData
    drawn: GpuSceneArrays | None


class SceneStreamer:
    """Rotates `scenes`, and `renderer` with them, through all of `supply`, of which the loaded ones are resident.

    `visited`: numbers of the scenes in which episodes could begin since the last `restart`.
    """

    def __init__(self, scenes: ResidentScenes, renderer: BatchRenderer | None, supply: InitialScenes) -> None:
        slots = len(scenes)
        if slots < 2:
            raise OptionError("Only one scene is resident: expected at least 2 where scenes take turns.")
        self._scenes = scenes
        self._renderer = renderer
        self._first = list(supply.resident)
        self._at_once = max(1, slots // 4)
        self._on_gpu = scenes.device.type == "cuda"
        # The loader's threads must not keep the renderer alive where it is forgotten instead of closed.
        drawn_by = None if renderer is None else weakref.ref(renderer)
        prepare = partial(_prepare, pinned=self._on_gpu, drawn_by=drawn_by)
        self.loader = SceneLoader(supply, prepare, ahead=max(2, self._at_once))
        self._in_use = torch.zeros(slots, dtype=torch.bool, pin_memory=self._on_gpu)
        self._looked = torch.cuda.Event() if self._on_gpu else None
        self._slots = torch.arange(slots, device=scenes.device)
        self._resident = list(self._first)  # -1 for a slot that holds a part of one
        self._uploads: list[PiecewiseCopy] = []
        self._state = _State(0, list(self._first), list(range(slots)))
        self.visited = set(self._first)

    @property
    def failed_scenes(self) -> dict[str, str]:
        """What is wrong with the scenes that cannot be had, by name."""
        return {self.loader.sources[number].name: reason for number, reason in self.loader.failed.items()}

    @property
    def changes(self) -> int:
        """How many scenes have taken another's place since the last `restart`."""
        return self._state.changes

    def restart(self, seed: int) -> None:
        """Begin with the first scenes again, and visit the others in the order that `seed` gives."""
        self.visited = set(self._first)
        self._go_on_from(_State(seed, list(self._first), list(range(len(self._first)))))

    def advance(self, scene: Tensor) -> None:
        """One step's share of the work; `scene` int64 `[N]`: the slots in which the environments are now."""
        state = self._state
        state.step += 1
        if state.step % LOOK_EVERY == 0:
            self._look(scene)
        if state.arriving >= 0:
            self._go_on_arriving()
        elif state.free:
            self._begin_arrival()
        if not state.is_over and self._waiting < self._at_once:
            state.leaving.append(state.active.pop(0))
            self._scenes.draw_among(state.active)

    @property
    def _waiting(self) -> int:
        """Slots in which no episodes begin."""
        return len(self._slots) - len(self._state.active)

    def _look(self, scene: Tensor) -> None:
        """Free the slots that were seen to be left the last time, and look again."""
        state = self._state
        self._wait_for_look()
        left = [slot for slot in state.seen_leaving if not self._in_use[slot]]
        state.free += left
        state.leaving = [slot for slot in state.leaving if slot not in left]
        state.seen_leaving = list(state.leaving)
        self._in_use.copy_((scene == self._slots.unsqueeze(-1)).any(-1), non_blocking=True)
        if self._looked is not None:
            self._looked.record()

    def _wait_for_look(self) -> None:
        if self._looked is not None:
            self._looked.synchronize()

    def _begin_arrival(self) -> None:
        state = self._state
        loaded = self.loader.next(leave_out=self._resident)
        state.taken = self.loader.taken
        if loaded is None:
            self._stay()
            return
        number, prepared = loaded
        slot = state.free.pop(0)
        try:
            self._uploads = self._begin_uploads(slot, prepared)
        except LOAD_ERRORS as error:
            self.loader.give_up(number, error)
            state.free.insert(0, slot)
            return
        state.content[slot] = number
        state.arriving, state.arrives = slot, state.step + ARRIVAL_STEPS

    def _stay(self) -> None:
        """There is no other scene: go on with those that are here."""
        state = self._state
        state.is_over = 1
        state.active += state.leaving + [slot for slot in state.free if self._resident[slot] >= 0]
        state.leaving, state.seen_leaving, state.free = [], [], []
        self._scenes.draw_among(state.active)
        _log.warning("No other scene can be loaded; the %d resident ones stay.", len(state.active))

    def _begin_uploads(self, slot: int, prepared: _Prepared) -> list[PiecewiseCopy]:
        self._resident[slot] = -1
        uploads: list[PiecewiseCopy] = [PiecewiseCopy(self._scenes.replace(slot, prepared.packed))]
        if self._renderer is not None:
            uploads.append(self._renderer.replace_scene(slot, prepared.drawn))
        return uploads

    def _go_on_arriving(self) -> None:
        """Copy a slice; at the end of the time that an arrival takes, all that is left."""
        state = self._state
        if self._uploads and self._uploads[0].advance(_SLICE):
            self._uploads.pop(0)
        if state.step < state.arrives:
            return
        self._finish(state.arriving, state.content[state.arriving])
        state.active.append(state.arriving)
        state.arriving = -1
        state.changes += 1
        self._scenes.draw_among(state.active)
        self.visited.add(state.content[state.active[-1]])

    def _finish(self, slot: int, number: int) -> None:
        for upload in self._uploads:
            upload.advance(_ALL)
        self._uploads = []
        self._resident[slot] = number

    def _go_on_from(self, state: _State) -> None:
        """Put the scenes of `state` into their slots, now."""
        for slot, number in enumerate(state.content):
            if self._resident[slot] != number:
                self._uploads = self._begin_uploads(slot, self.loader.load(number))
                self._finish(slot, number)
        self._uploads = []
        self._state = state
        self._scenes.draw_among(state.active)
        self.loader.start(state.seed, state.taken)

    def state_dict(self) -> dict[str, Tensor]:
        """All that decides how the streamer goes on, int64 and bool."""
        self._wait_for_look()
        whole = {name: torch.tensor(value, dtype=torch.int64) for name, value in asdict(self._state).items()}
        return whole | {"visited": torch.tensor(sorted(self.visited)), "in_use": self._in_use.clone()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave, of a streamer through the same set with as many slots."""
        self._wait_for_look()
        values = {name: tensor.tolist() for name, tensor in tensors.items()}
        self.visited = set(values.pop("visited"))
        self._in_use.copy_(torch.tensor(values.pop("in_use")))
        self._go_on_from(_State(**values))

    def close(self) -> None:
        """End the loading."""
        self.loader.close()


def _prepare(scene: Scene, pinned: bool, drawn_by: weakref.ref[BatchRenderer] | None) -> _Prepared:
    renderer = drawn_by and drawn_by()
    return _Prepared(prepare_navigation(scene, pinned), renderer and renderer.prepare(scene))
