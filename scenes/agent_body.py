"""The body for which walkable space is computed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AgentBody:
    """An upright cylinder that walks. Metres; the defaults are Habitat's PointNav agent (radius 0.1, height 1.5).

    - `max_step`: the highest single step it can take up or down.
    - `max_slope`: the steepest ground it can stand on, degrees.
    """

    radius: float = 0.1
    height: float = 1.5
    max_step: float = 0.25
    max_slope: float = 45.0
