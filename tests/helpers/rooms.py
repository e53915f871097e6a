"""Small scenes in plenty: rooms without walls, each at a place of its own, so that a position tells the scene."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from batchsim.scenes import AgentBody, Mesh, Scene, SceneError, SceneSource, bake

SPACING = 50.0


def make_room(number: int) -> Scene:
    """A floor of 3 to 5 m a side around (50 number, 0, 0); every third has a second one above it."""
    side = 3.0 + number % 3
    corners = np.array([[0, 0, 0], [0, 0, side], [side, 0, 0], [side, 0, side]]) - [side / 2, 0, side / 2]
    floor = corners[[0, 1, 3, 0, 3, 2]].reshape(2, 3, 3)
    floors = [floor, floor + np.array([0, 3, 0])] if number % 3 == 0 else [floor]
    place = np.array([SPACING * number, 0, 0])
    mesh = Mesh.from_triangles(np.concatenate(floors) + place)
    return bake(mesh, f"room-{number}", AgentBody(), num_goals=4 + number % 2)


def room_of(position: np.ndarray) -> np.ndarray:
    """The number of the room in which each of `position` `[N, 3]` lies."""
    return np.rint(position[:, 0] / SPACING).astype(int)


@dataclass(frozen=True, eq=False)
class RoomSource(SceneSource):
    """Gives `scene`, after `delay` has been called; raises it if it is an error."""

    scene: Scene | Exception
    name: str = ""
    delay: object = None
    loaded: list[str] = field(default_factory=list)

    def load(self) -> Scene:
        """The scene."""
        if self.delay is not None:
            self.delay()
        self.loaded.append(self.name)
        if isinstance(self.scene, Exception):
            raise self.scene
        return self.scene

    def baked_for(self, body, num_goals) -> SceneSource:
        """This one."""
        return self


def room_sources(rooms, delay=None, broken=()):
    """Sources of `rooms`; those whose numbers are in `broken` cannot be loaded."""
    return [
        RoomSource(SceneError(f"{room.name}: cut off.") if k in broken else room, room.name, delay)
        for k, room in enumerate(rooms)
    ]
