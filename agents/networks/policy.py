"""The recurrent actor-critic: what an agent sees and senses -> action logits and value."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor, nn

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.encoders.images import PIXELS
from batchsim.agents.networks.encoders.registry import make_encoder
from batchsim.agents.networks.recurrent.registry import make_core
from batchsim.agents.networks.vector_features import GOAL, feature_count, vector_features

_VECTOR_UNITS = 32
_RARELY = -3.0  # the first logit of an action that ends the episode: about one in seventy


@dataclass(frozen=True)
class PolicyConfig:
    """The shape of a policy network, kept beside its weights."""

    visual: str = "patches"
    """The visual encoder: patches, se_resnet9, resnet18."""
    images: tuple[str, ...] = ("depth",)
    """Images it reads: depth, rgb; none for a blind agent."""
    image_size: tuple[int, int] = (64, 64)
    """Height and width of the images, pixels."""
    visual_channels: tuple[int, ...] = (16, 32, 64)
    """Channels of the layers of "patches"."""
    vectors: dict[str, int] = field(default_factory=lambda: {GOAL: 2})
    """Sensors of a few numbers that the policy reads, and how many they give."""
    fine_goal: bool = True
    """Give the goal's distance with fine resolution near it."""
    action_embedding_size: int = 16
    """Numbers that stand for the previous action."""
    core: str = "gru"
    """The recurrent core: gru, lstm, mt_lstm."""
    hidden_size: int = 128
    """Units of a layer of the core, and what the encoder gives it."""
    core_layers: int = 1
    """Layers of the core."""
    num_actions: int = 4
    """Actions to choose from."""
    stop_action: int | None = 0
    """The action that ends an episode, which a first policy seldom takes; None where there is none."""


class Policy(nn.Module):
    """Images, vector sensors and previous action -> recurrent core -> logits `[N, A]` and value `[N]`.

    Observations are dicts: `depth` `[..., height, width, 1]` in [0, 1], `rgb` uint8 `[..., height, width, 3]`, and the
    sensors of `config.vectors` `[..., K]`; what the config does not name is not read.

    Weights, memory, logits and values are float32. Where `compute_dtype` is set, what lies between is computed in it by
    autocast.
    """

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype: torch.dtype | None = None
        hidden = config.hidden_size
        self.visual = None
        if config.images:
            shape = (config.images, config.image_size, config.visual_channels)
            self.visual = make_encoder(config.visual, *shape, hidden)
        self.vectors = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(feature_count(name, size, config.fine_goal), _VECTOR_UNITS), nn.ReLU())
                for name, size in config.vectors.items()
            }
        )
        self.previous_action = nn.Embedding(
            config.num_actions + 1, config.action_embedding_size
        )  # last row: an episode begins
        inputs = _VECTOR_UNITS * len(self.vectors) + config.action_embedding_size + (hidden if self.visual else 0)
        self.core = make_core(config.core, inputs, hidden, config.core_layers)
        self.actor = nn.Linear(hidden, config.num_actions)
        self.critic = nn.Linear(hidden, 1)
        # A nearly uniform first policy explores; the critic starts near zero.
        nn.init.orthogonal_(self.actor.weight, 0.01)
        nn.init.zeros_(self.actor.bias)
        if config.stop_action is not None:
            with torch.no_grad():
                self.actor.bias[config.stop_action] = _RARELY
        nn.init.orthogonal_(self.critic.weight, 0.1)
        nn.init.zeros_(self.critic.bias)

    def initial_state(self, num_envs: int) -> Tensor:
        """The memory before anything was seen, `[N, S]`."""
        return self.critic.weight.new_zeros(num_envs, self.core.state_size)

    def blank_observation(self, *shape: int) -> dict[str, Tensor]:
        """Zeros for everything that this policy reads, `[*shape, ...]` each."""
        device, config = self.critic.weight.device, self.config
        images = {name: ((*config.image_size, PIXELS[name][0]), PIXELS[name][1]) for name in config.images}
        vectors = {name: ((size,), torch.float32) for name, size in config.vectors.items()}
        return {
            name: torch.zeros(*shape, *rest, dtype=dtype, device=device)
            for name, (rest, dtype) in (images | vectors).items()
        }

    def step(
        self, observation: Mapping[str, Tensor], previous_action: Tensor, episode_start: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of N environments: logits `[N, A]`, values `[N]`, next state `[N, S]`.

        `previous_action` int64 `[N]` and `state` are ignored where `episode_start` (bool `[N]`) is set.
        """
        with self._autocast():
            features = self._features(observation, previous_action, episode_start)
            hidden, state = self.core.step(features, episode_start, state)
        return *self._heads(hidden), state

    def sequence(
        self, observations: Mapping[str, Tensor], previous_actions: Tensor, episode_start: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """T steps of N environments from `state`: logits `[T, N, A]` and values `[T, N]`."""
        steps, num_envs = episode_start.shape
        flat = {name: value.flatten(0, 1) for name, value in observations.items()}
        with self._autocast():
            features = self._features(flat, previous_actions.flatten(), episode_start.flatten())
            hidden = self.core.sequence(features.view(steps, num_envs, -1), episode_start, state)
        return self._heads(hidden)

    def forward(
        self, observations: Mapping[str, Tensor], previous_actions: Tensor, episode_start: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same as `sequence`, for wrappers that call a module."""
        return self.sequence(observations, previous_actions, episode_start, state)

    def use_channels_last(self) -> None:
        """Let convolutions keep the channels of a pixel together, as tensor cores read them."""
        for module in self.modules():
            if hasattr(module, "memory_format"):
                module.memory_format = torch.channels_last

    def compile_step(self) -> None:
        """Compile `step` as a whole, at its first call."""
        self.step = torch.compile(self.step)

    def compile_sequence(self) -> None:
        """Compile what `sequence` is made of: the encoder, and the cell that its loop repeats.

        As a whole it would be unrolled over all steps, which takes minutes to compile and gains nothing more.
        """
        if self.visual is not None:
            self.visual.compile()
        self.core.compile_cell()

    def _features(self, observation: Mapping[str, Tensor], previous_action: Tensor, episode_start: Tensor) -> Tensor:
        config = self.config
        parts = [
            encode(vector_features(name, observation[name], config.fine_goal)) for name, encode in self.vectors.items()
        ]
        parts.append(self.previous_action(torch.where(episode_start, config.num_actions, previous_action)))
        if self.visual is not None:
            parts.append(self.visual(observation))
        return torch.cat(parts, -1)

    def _heads(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        hidden = hidden.float()
        return self.actor(hidden), self.critic(hidden).squeeze(-1)

    def _autocast(self) -> AbstractContextManager:
        if self.compute_dtype is None:
            return nullcontext()
        # Without a cache each step casts the core's weights anew, and their gradients are added up in float32.
        return torch.autocast(self.critic.weight.device.type, self.compute_dtype, cache_enabled=False)


def config_for(
    observation_space: gym.spaces.Dict,
    action_space: gym.spaces.Discrete,
    action_names: tuple[str, ...] = ("stop", "forward", "left", "right"),
    **options: Any,
) -> PolicyConfig:
    """A config that fits an environment's single spaces: it reads every image and sensor that policies can.

    Raises `AgentError` where there are images and it can read none, as those of several cameras.
    """
    spaces = observation_space.spaces
    images = tuple(name for name in PIXELS if name in spaces)
    offered = [name for name, space in spaces.items() if len(space.shape) == 3]
    if offered and not images:
        raise AgentError(
            f"A policy reads the images {' and '.join(PIXELS)} of one camera; these observations hold "
            f"{', '.join(offered)} and none of those. Give the agent one camera, or wrap the environment."
        )
    config = PolicyConfig(
        **options,
        images=images,
        vectors={name: space.shape[0] for name, space in spaces.items() if len(space.shape) == 1},
        num_actions=int(action_space.n),
        stop_action=action_names.index("stop") if "stop" in action_names else None,
    )
    return replace(config, image_size=spaces[images[0]].shape[:2]) if images else config


def config_to_json(config: PolicyConfig) -> dict[str, object]:
    """Plain lists and numbers."""
    return asdict(config)


def config_from_json(data: Mapping[str, object]) -> PolicyConfig:
    """What `config_to_json` gave."""
    as_tuples = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    return PolicyConfig(**as_tuples)
