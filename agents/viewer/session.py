"""One person's session: the scene, who moves, and the frame to show next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import Candidate
from batchsim.agents.report.formatting import style_of
from batchsim.agents.viewer.display import Display, label_colors
from batchsim.agents.viewer.pilots import Person, Pilot, TrainedPolicy
from batchsim.defaults import CAMERA_HEIGHT
from batchsim.scenes import SceneSource

WALK, WATCH = "walk", "watch"
_HFOV = 90.0


class Session:
    """The state behind the page. All methods must be called from one thread.

    Args:
        sources: The scenes to choose from.
        candidate: A trained run to watch, if any.
        width: Pixels of each image.
        height: Pixels of each image.
        deterministic: Let the policy take its most likely actions.
    """

    def __init__(
        self,
        sources: Sequence[SceneSource],
        candidate: Candidate | None = None,
        width: int = 512,
        height: int = 384,
        deterministic: bool = False,
    ) -> None:
        self._sources = {source.name: source for source in sources}
        self._candidate = candidate
        self._size = width, height
        self._deterministic = deterministic
        self._seed = 0
        self._mode = WALK if candidate is None else WATCH
        self._display: Display | None = None
        self._pilot: Pilot | None = None
        self._trail: list[list[float]] = []
        self._times: deque[float] = deque(maxlen=30)
        self.open_scene(next(iter(self._sources)))

    def open_scene(self, name: str) -> None:
        """Shows another scene.

        Raises:
            AgentError: If the session has no scene of that name.
            SceneError: If the scene cannot be loaded; the page goes on showing the one before.
        """
        if name not in self._sources:
            raise AgentError(f"There is no scene {name!r} in this session.")
        scene = self._sources[name].load()
        options = self._candidate.env_options() if self._candidate else {}
        display = Display(scene, *self._size, float(options.get("hfov", _HFOV)), CAMERA_HEIGHT)
        if self._display is not None:
            self._display.close()
        self._display, self._name = display, name
        self._start()

    def set_mode(self, mode: str) -> None:
        """Lets the person ("walk") or the policy ("watch") move.

        Raises:
            AgentError: For another mode, or without a policy to watch.
        """
        if mode not in (WALK, WATCH) or (mode == WATCH and self._candidate is None):
            raise AgentError(f"The mode is {mode!r}; expected walk, or watch if the viewer was started with --policy.")
        if mode != self._mode:
            self._mode = mode
            self._start()

    def next_episode(self) -> None:
        """Starts at another place, or the policy's next episode."""
        self._seed += 1
        self._restart()

    def _start(self) -> None:
        assert self._display is not None
        if self._pilot is not None:
            self._pilot.close()
        if self._mode == WATCH and self._candidate is not None:
            self._pilot = TrainedPolicy(self._candidate, self._display.scene, self._deterministic)
        else:
            self._pilot = Person(self._display.scene)
        self._restart()

    def _restart(self) -> None:
        assert self._pilot is not None
        self._pilot.restart(self._seed)
        self._trail = []

    def about(self) -> dict[str, Any]:
        """Returns what the page shows that does not change from frame to frame."""
        assert self._display is not None
        colors = label_colors(len(self._display.scene.label_names))
        return {
            "scene": self._name,
            "scenes": list(self._sources),
            "mode": self._mode,
            "policy": self._candidate.name if self._candidate else None,
            "task": self._candidate.config.task if self._candidate else None,
            "map": {"width": self._display.map.width, "height": self._display.map.height},
            "labels": [
                {"name": name, "color": "#{:02x}{:02x}{:02x}".format(*tuple(color))}
                for name, color in zip(self._display.scene.label_names, colors.tolist(), strict=True)
            ],
            "width": self._size[0],
            "height": self._size[1],
        }

    def map_png(self) -> bytes:
        """Returns the top-down map as a PNG file."""
        assert self._display is not None
        return self._display.map.png

    def tick(self, keys: Iterable[str], moving: bool = True) -> tuple[dict[str, Any], list[bytes]]:
        """Moves on by one step and draws the next frame.

        Args:
            keys: Names of the actions whose keys are held down.
            moving: False draws the frame without a step.

        Returns:
            The facts of the frame as JSON types, and the JPEG files of colour, depth and labels.
        """
        assert self._display is not None
        assert self._pilot is not None
        if moving:
            self._pilot.tick(keys)
        state, report = self._pilot.simulator.state, self._pilot.report
        position = state.position[0].numpy()
        heading, pitch = float(state.heading[0]), float(state.pitch[0])
        images = self._display.draw(position, heading, pitch)
        place = self._display.on_map(position)
        if not self._trail or place != self._trail[-1]:
            self._trail.append(place)
        self._times.append(time.monotonic())
        elapsed = self._times[-1] - self._times[0]
        facts = {
            "position": [float(value) for value in position],
            "heading": heading,
            "pitch": pitch,
            "place": place,
            "trail": self._trail[-2000:],
            "goal": None if report.goal is None else self._display.on_map(report.goal),
            "step": report.step,
            "ended": report.ended,
            "taken": report.taken,
            "value": report.value,
            "actions": report.actions,
            "measures": [[style_of(name).title, style_of(name).one(value)] for name, value in report.measures.items()],
            "fps": (len(self._times) - 1) / elapsed if elapsed > 0 else 0.0,
        }
        return facts, images

    def close(self) -> None:
        """Releases all memory."""
        if self._pilot is not None:
            self._pilot.close()
        if self._display is not None:
            self._display.close()
