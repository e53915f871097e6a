"""The agent's body, for which the walkable surface is computed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AgentBody:
    """An upright cylinder. Lengths in metres; the defaults are those of Habitat's PointNav agent.

    - `radius`, `height`: of the cylinder.
    - `max_step`: the highest step it can take up or down.
    - `max_slope`: the steepest ground it can stand on, degrees.
    """

    radius: float = 0.1
    height: float = 1.5
    max_step: float = 0.25
    max_slope: float = 45.0
