"""Four rooms as boxes for MuJoCo's renderers, and viewpoints in them. Needs only numpy."""

from __future__ import annotations

import numpy as np

HEIGHT, DOOR = 2.74, 2.2  # metres: walls, openings
_EYE_HEIGHT = 1.25


def four_rooms() -> str:
    """Return Miniworld's four rooms as MJCF, z up: textured boxes for floor, ceiling and walls."""
    walls = [
        ((-7.1, -7.1), (7.1, -7.0)),
        ((-7.1, 7.0), (7.1, 7.1)),
        ((-7.1, -7.0), (-7.0, 7.0)),
        ((7.0, -7.0), (7.1, 7.0)),
    ]
    walls += [((-1, low), (1, high)) for low, high in ((-7, -5), (-3, 3), (5, 7))]
    walls += [((low, -1), (high, 1)) for low, high in ((-7, -5), (-3, -1), (1, 3), (5, 7))]
    openings = [((-1, low), (1, low + 2)) for low in (-5, 3)] + [((low, -1), (low + 2, 1)) for low in (-5, 3)]
    boxes = [_box(low, high, 0, HEIGHT, "wall") for low, high in walls]
    boxes += [_box(low, high, DOOR, HEIGHT, "wall") for low, high in openings]
    boxes += [_box((-7.1, -7.1), (7.1, 7.1), -0.1, 0, "floor"), _box((-7.1, -7.1), (7.1, 7.1), HEIGHT, 2.84, "ceiling")]
    assets = "".join(
        f'<texture name="{name}" type="2d" builtin="checker" rgb1="{one}" rgb2="{two}" width="128" height="128"/>'
        f'<material name="{name}" texture="{name}" texrepeat="1 1" texuniform="true"/>'
        for name, one, two in (
            ("wall", ".65 .35 .26", ".75 .72 .67"),
            ("floor", ".59 .55 .49", ".5 .46 .4"),
            ("ceiling", ".84 .84 .8", ".8 .8 .77"),
        )
    )
    return (
        f"<mujoco><asset>{assets}</asset><worldbody>"
        '<light pos="0 0 2.5" dir="0 0 -1"/><camera name="eye" mode="fixed" fovy="90"/>'
        f"{''.join(boxes)}</worldbody></mujoco>"
    )


def _box(low: tuple[float, float], high: tuple[float, float], bottom: float, top: float, material: str) -> str:
    ends = np.array([[*low, bottom], [*high, top]], float)
    center, half = ends.mean(0), (ends[1] - ends[0]) / 2
    words = [" ".join(f"{x:g}" for x in vector) for vector in (center, half)]
    return f'<geom type="box" pos="{words[0]}" size="{words[1]}" material="{material}"/>'


def places(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw positions in the rooms at eye height, `[count, 3]` in metres, and headings `[count]` in radians."""
    corner = rng.choice([-7.0, 1.0], (count, 2))
    positions = np.concatenate([corner + rng.uniform(0.2, 5.8, (count, 2)), np.full((count, 1), _EYE_HEIGHT)], 1)
    return positions, rng.uniform(-np.pi, np.pi, count)
