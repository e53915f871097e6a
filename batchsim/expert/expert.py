"""`Expert`: the best action of each agent, and the distances to the goal after every action."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from batchsim.errors import OptionError
from batchsim.expert.path_follower import PathFollower
from batchsim.tasks import Task
from batchsim.world.motion import Motion
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

FINAL_ACTIONS = ("stop", "found")


class Expert:
    """Knows the map: computes best actions from the baked walking distances, without any randomness.

    Args:
        scenes: The resident scenes.
        state: The state of the agents.
        motion: How agents move.
        task: The task, whose `expert_plan` says where to go.
        forward_step: Metres of a step forward.
        turn_angle: Degrees of a turn.

    Raises:
        OptionError: If the task has no expert.
    """

    def __init__(
        self,
        scenes: ResidentScenes,
        state: State,
        motion: Motion,
        task: Task,
        forward_step: float,
        turn_angle: float,
    ) -> None:
        if type(task).expert_plan is Task.expert_plan:
            raise OptionError(
                f"The task {type(task).__name__} has no expert. A task of your own gets one by the methods expert_plan "
                "and distance_to_go."
            )
        self.path = PathFollower(scenes, state, motion, task.action_names, forward_step, turn_angle)
        self._scenes = scenes
        self._state = state
        self._task = task
        self._final = next((k for k, name in enumerate(task.action_names) if name in FINAL_ACTIONS), -1)

    def __call__(self) -> tuple[Tensor, Tensor]:
        """Returns the best action of each agent in the current state, and the cost-to-go of all A actions.

        Returns:
            The action, int64 `[N]`, and float32 `[N, A]`: metres to go after each action (`Task.distance_to_go`). A
            turn, a tilt and the final action leave the distance as it is; a step forward changes it by the real motion,
            with collisions and sliding but without noise.
        """
        scenes, state, task = self._scenes, self._state, self._task
        plan = task.expert_plan(scenes, state)
        action, ahead = self.path.look(plan.goal, plan.away)
        if self._final >= 0:
            action = torch.where(plan.ends, self._final, action)
        here, there = plan.distance, task.distance_to_go(scenes, replace(state, position=ahead))
        if plan.away is not None:
            # Where no step leads farther, the agent turns on the spot, because the task has no action for staying.
            rests = plan.away & (action == self.path.forward) & ~(there < here)
            action = torch.where(rests, self.path.left, action)
        cost = here.unsqueeze(-1).repeat(1, len(task.action_names))
        cost[:, self.path.forward] = torch.where(there.isfinite(), there, here)
        return action, cost

    def as_info(self) -> dict[str, Tensor]:
        """Returns the action and the costs under the names that they have in infos."""
        return dict(zip(("expert_action", "expert_cost"), self(), strict=True))
