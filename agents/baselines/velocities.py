"""Lets baselines that choose numbered actions act by velocities."""

from __future__ import annotations

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.baselines.agent import Agent
from batchsim.agents.errors import AgentError
from batchsim.control import VelocityControl, VelocityOptions


class VelocityAgent:
    """Turns each action of `agent` into the speeds that do the same in one step, or as much of it as they can.

    At the default speeds, a step forward is the same as with numbered actions, and a turn is one of 10 degrees.

    Args:
        agent: Chooses numbered actions.
        env: An environment with velocity control.

    Raises:
        AgentError: If the speeds do not allow standing still, and so turning on the spot or stopping.
    """

    def __init__(self, agent: Agent, env: NavVectorEnv) -> None:
        control = env.simulator.transition.control
        assert isinstance(control, VelocityControl)
        self._agent = agent
        options = env.simulator.options
        turn, tilt = (min(angle, _most_degrees(control.options)) for angle in (options.turn_angle, options.tilt_angle))
        wanted = {"forward": (options.forward_step, 0.0, 0.0), "left": (0.0, turn, 0.0), "right": (0.0, -turn, 0.0)}
        wanted |= {"look_up": (0.0, 0.0, tilt), "look_down": (0.0, 0.0, -tilt)}
        rows = [_speeds(wanted.get(name, (0.0, 0.0, 0.0)), control.options) for name in env.task.action_names]
        self._speeds = torch.tensor(rows, device=env.device)[:, : control.size]

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Returns speeds in [-1, 1], float32 `[N, 2]`, or `[N, 3]` if the task tilts the camera."""
        return self._speeds[self._agent.act(observation, episode_start, uniform)]


def _most_degrees(options: VelocityOptions) -> float:
    """Returns the largest turn to both sides in one step."""
    return min(-options.ang_vel_range[0], options.ang_vel_range[1]) * options.time_step


def _speeds(move: tuple[float, float, float], options: VelocityOptions) -> list[float]:
    """Returns the action for metres ahead, degrees to the left and degrees up in one step."""
    bounds = (options.lin_vel_range, options.ang_vel_range, options.ang_vel_range)
    speeds = []
    for amount, (low, high) in zip(move, bounds, strict=True):
        if not low <= 0 <= high:
            raise AgentError(
                f"Baselines turn and stop on the spot, but the speeds from {low:g} to {high:g} of the velocity control "
                "leave out 0. Evaluate them in an environment whose ranges include it."
            )
        speeds.append(2 * (min(max(amount / options.time_step, low), high) - low) / (high - low) - 1)
    return speeds
