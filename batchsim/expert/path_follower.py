"""`PathFollower`: the turn or step that follows the walking distances to a goal, for N agents at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from batchsim import poses
from batchsim.world.motion import Motion
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

_DIRECTIONS = 24
_RING_CELLS = 8  # radius of the ring, in cells of 5 cm: a longer view finds straighter paths
_MOST_CLIMB = 0.4  # metres that the ring's places may be higher or lower: stairs of 45 degrees
_LEAST_GAIN = 0.8  # of a step: one that brings the goal less near goes against or along an obstacle
_TOLERANCE = 0.55  # of a turn: an agent that deviates less goes on ahead, so that it does not turn to and fro
_MOST_HEADINGS = 36
_ALL = slice(None)


class PathFollower:
    """Chooses between a step forward and turns.

    The direction to take is that of the place, on a ring of 0.4 m around the agent, through which the way is shortest:
    one table look-up for each place. The agent turns to the nearest heading that turning can reach, or to the second
    nearest if an obstacle is in the way there. If there is one in both, the best of all headings is found. Obstacles
    are found by the real motion. The direction depends on the position only, and agents that deviate little from it go
    on ahead, so that turning never goes back and forth.

    Args:
        scenes: The resident scenes.
        state: The state of the agents.
        motion: How agents move.
        action_names: Names of the task's actions.
        forward_step: Metres of a step forward.
        turn_angle: Degrees of a turn.

    Attributes:
        asks_host: Whether the host asks which agents have met obstacles and looks at their headings only (on a CPU,
            where that is free). Otherwise all headings of all agents are tried, and the host never waits.
    """

    def __init__(
        self,
        scenes: ResidentScenes,
        state: State,
        motion: Motion,
        action_names: Sequence[str],
        forward_step: float,
        turn_angle: float,
    ) -> None:
        self._scenes = scenes
        self._state = state
        self._motion = motion
        self.forward, self.left, self.right = (action_names.index(name) for name in ("forward", "left", "right"))
        self._least_gain = _LEAST_GAIN * forward_step
        self._turn_angle = math.radians(turn_angle)
        self._ring = _ring(scenes.device)
        self._turns = _turns(turn_angle, scenes.device)
        self.asks_host = scenes.device.type == "cpu"

    def towards(self, goal: Tensor, away: Tensor | None = None) -> Tensor:
        """Returns the action, int64 `[N]`, that follows the shortest path to `goal`.

        Args:
            goal: Goal number in each agent's scene, int64 `[N]`.
            away: bool `[N]`, who walks away from the goal instead; None: no agent does.
        """
        return self.look(goal, away)[0]

    def look(self, goal: Tensor, away: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Returns what `towards` does, and where a step forward would lead each agent, float32 `[N, 3]`, metres."""
        turn, ahead = self._choose(goal, away)
        return torch.where(turn == 0, self.forward, torch.where(turn > 0, self.left, self.right)), ahead

    def turns_towards(self, goal: Tensor) -> Tensor:
        """Returns how often to turn left before the next step, float32 `[N]`; negative: to the right."""
        return self._choose(goal, None)[0]

    def _choose(self, goal: Tensor, away: Tensor | None) -> tuple[Tensor, Tensor]:
        """Returns the number of turns before the next step, float32 `[N]`, and where a step forward would lead."""
        state = self._state
        direction = self._direction(goal, away)
        turns = poses.wrap_angle(direction - state.heading) / self._turn_angle
        nearest = turns.round()
        second = nearest + torch.where(turns < nearest, -1.0, 1.0)
        tried = torch.stack((torch.zeros_like(nearest), nearest, second))
        ahead = self._after_a_step(tried)
        here, *there = self._distances(torch.cat((state.position.unsqueeze(0), ahead)), goal, away)
        goes_on, free, second_free = (here - distance >= self._least_gain for distance in there)
        goes_on &= turns.abs() < _TOLERANCE
        turn = torch.where(free, nearest, second)
        turn = self._around_obstacles(turn, goal, away, ~(goes_on | free | second_free)).masked_fill(goes_on, 0)
        return turn, ahead[0]

    def _after_a_step(self, turns: Tensor, rows: Tensor | slice = _ALL) -> Tensor:
        """Returns where steps of the agents `rows` after numbers of turns `[K, M]` lead, float32 `[K, M, 3]`."""
        state = self._state
        count, size = turns.shape
        heading = (state.heading[rows] + turns * self._turn_angle).reshape(-1)
        ahead = self._motion.ahead(state.scene[rows].repeat(count), state.position[rows].repeat(count, 1), heading)
        return ahead.view(count, size, 3)

    def _distances(self, points: Tensor, goal: Tensor, away: Tensor | None, rows: Tensor | slice = _ALL) -> Tensor:
        """Returns walking distances `[K, M]` from points `[K, M, 3]` to the goals; negative ones of those who leave."""
        scene, goal = self._state.scene[rows].expand(points.shape[:2]), goal[rows].expand(points.shape[:2])
        distance = self._scenes.goal_distance(scene, goal, points)
        return distance if away is None else torch.where(away[rows] & distance.isfinite(), -distance, distance)

    def _direction(self, goal: Tensor, away: Tensor | None) -> Tensor:
        """Returns the heading, radians `[N]`, of the place on the ring through which the way is shortest."""
        state, scenes = self._state, self._scenes
        cells = scenes.cells_around(state.scene, state.position, self._ring, _MOST_CLIMB)
        ring, inner = cells[:_DIRECTIONS], cells[_DIRECTIONS:]
        distance = scenes.cell_distance(state.scene, goal, ring)
        distance = distance if away is None else torch.where(away, -distance, distance)
        gap = scenes.cell_position[ring.clamp(min=0)] - state.position
        way = distance + gap[..., ::2].norm(dim=-1)
        way = torch.where((ring >= 0) & (inner >= 0) & way.isfinite(), way, torch.inf)
        best = way.argmin(0)
        gap = gap.gather(0, best.view(1, -1, 1).expand(-1, -1, 3))[0]
        return torch.atan2(-gap[:, 0], -gap[:, 2])

    def _around_obstacles(self, turn: Tensor, goal: Tensor, away: Tensor | None, stuck: Tensor) -> Tensor:
        """Returns `turn`, float32 `[N]`, with that of the best heading by the real motion where `stuck`."""
        if not self.asks_host:
            return torch.where(stuck, self._best_turn(goal, away), turn)
        which = stuck.nonzero().squeeze(-1)
        return turn.index_copy(0, which, self._best_turn(goal, away, which)) if len(which) else turn

    def _best_turn(self, goal: Tensor, away: Tensor | None, rows: Tensor | slice = _ALL) -> Tensor:
        """Returns the number of turns, float32 `[M]`, after which a step forward leads nearest to the goal."""
        turns = self._turns[:, None].expand(-1, len(goal[rows]))
        return self._turns[self._distances(self._after_a_step(turns, rows), goal, away, rows).argmin(0)]


def _ring(device: torch.device) -> Tensor:
    """Returns columns and rows relative to an agent's cell, int64 `[2 D, 1, 2]`: a ring, then the places half way."""
    angle = torch.arange(_DIRECTIONS, dtype=torch.float64) * (2 * math.pi / _DIRECTIONS)
    unit = torch.stack((-angle.sin(), -angle.cos()), -1)
    rings = torch.cat((unit * _RING_CELLS, unit * (_RING_CELLS / 2)))
    return rings.round().long().unsqueeze(1).to(device)


def _turns(turn_angle: float, device: torch.device) -> Tensor:
    """Returns the numbers of turns to try, float32, the smallest first so that ties turn least."""
    count = round(360 / turn_angle)
    stride = math.ceil(count / _MOST_HEADINGS)
    turns = torch.arange(-(count // 2), count - count // 2)
    turns = turns[turns % stride == 0]
    return turns[turns.abs().argsort(stable=True)].float().to(device)
