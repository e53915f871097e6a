"""The recurrent actor-critic: what it sees and where the goal is -> action logits and value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import gymnasium as gym
import torch
from torch import Tensor, nn

from agents.networks.recurrent import RecurrentCore
from agents.networks.visual import PatchEncoder
from batchsim.tasks.pointnav import STOP

GOAL = "pointgoal_with_gps_compass"


@dataclass(frozen=True)
class PolicyConfig:
    """The shape of a policy network, kept beside its weights."""

    hidden_size: int = 128
    """Units of the recurrent core and of the layer before it."""
    visual_channels: tuple[int, ...] = (16, 32, 64)
    """Channels of the visual encoder's layers; empty for a blind agent."""
    num_actions: int = 4
    """Actions to choose from."""
    image_size: tuple[int, int] = (64, 64)
    """Height and width of the depth image, pixels."""


class Policy(nn.Module):
    """Depth image, goal and previous action -> GRU -> logits `[N, A]` and value `[N]`.

    Observations are dicts with `depth` `[..., height, width, 1]` in [0, 1] and `pointgoal_with_gps_compass` `[..., 2]`.
    """

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        hidden = config.hidden_size
        self.visual = (
            PatchEncoder(config.image_size, config.visual_channels, hidden) if config.visual_channels else None
        )
        self.goal = nn.Sequential(nn.Linear(_GOAL_FEATURES, 32), nn.ReLU())
        self.previous_action = nn.Embedding(config.num_actions + 1, 16)  # the last row: an episode begins
        inputs = 32 + 16 + (hidden if self.visual else 0)
        self.core = RecurrentCore(inputs, hidden)
        self.actor = nn.Linear(hidden, config.num_actions)
        self.critic = nn.Linear(hidden, 1)
        # A nearly uniform first policy explores; the critic starts near zero.
        nn.init.orthogonal_(self.actor.weight, 0.01)
        nn.init.zeros_(self.actor.bias)
        with torch.no_grad():
            self.actor.bias[STOP] = -3.0
        nn.init.orthogonal_(self.critic.weight, 0.1)
        nn.init.zeros_(self.critic.bias)

    def initial_state(self, num_envs: int) -> Tensor:
        """The memory before anything was seen, `[N, S]`."""
        return self.critic.weight.new_zeros(num_envs, self.core.state_size)

    def step(
        self, observation: Mapping[str, Tensor], previous_action: Tensor, begun: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of N environments: logits `[N, A]`, values `[N]`, next state `[N, S]`.

        `previous_action` int64 `[N]` and `state` are ignored where `begun` (bool `[N]`) is set.
        """
        features = self._features(observation, previous_action, begun)
        hidden, state = self.core.step(features, begun, state)
        return self.actor(hidden), self.critic(hidden).squeeze(-1), state

    def sequence(
        self, observations: Mapping[str, Tensor], previous_actions: Tensor, begun: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """T steps of N environments from `state`: logits `[T, N, A]` and values `[T, N]`."""
        steps, num_envs = begun.shape
        flat = {name: value.flatten(0, 1) for name, value in observations.items()}
        features = self._features(flat, previous_actions.flatten(), begun.flatten())
        hidden = self.core.sequence(features.view(steps, num_envs, -1), begun, state)
        return self.actor(hidden), self.critic(hidden).squeeze(-1)

    def _features(self, observation: Mapping[str, Tensor], previous_action: Tensor, begun: Tensor) -> Tensor:
        previous = torch.where(begun, self.config.num_actions, previous_action)
        parts = [self.goal(goal_features(observation[GOAL])), self.previous_action(previous)]
        if self.visual is not None:
            parts.append(self.visual(observation["depth"]))
        return torch.cat(parts, -1)


_GOAL_FEATURES = 5


def goal_features(goal: Tensor) -> Tensor:
    """(rho, phi) `[..., 2]` as numbers of order one, `[..., 5]`, with fine resolution near the goal."""
    rho, phi = goal.unbind(-1)
    return torch.stack((rho / 5, torch.exp(-2 * rho), torch.exp(-8 * rho), torch.cos(phi), torch.sin(phi)), -1)


def config_for(
    observation_space: gym.spaces.Dict, action_space: gym.spaces.Discrete, **options: object
) -> PolicyConfig:
    """A config that fits an environment's single spaces; blind where it gives no depth."""
    if "depth" not in observation_space.spaces:
        return PolicyConfig(**{**options, "visual_channels": (), "num_actions": int(action_space.n)})
    height, width, _ = observation_space["depth"].shape
    return PolicyConfig(**options, num_actions=int(action_space.n), image_size=(height, width))


def config_to_json(config: PolicyConfig) -> dict[str, object]:
    """Plain lists and numbers."""
    return asdict(config)


def config_from_json(data: Mapping[str, object]) -> PolicyConfig:
    """What `config_to_json` gave."""
    as_tuples = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    return PolicyConfig(**as_tuples)
