"""The recurrent actor-critic network: observations to action logits and a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from batchsim.agents.errors import AgentError, require_between
from batchsim.agents.networks.encoders.images import PIXELS, ConvolutionalEncoder
from batchsim.agents.networks.encoders.patch_encoder import PatchEncoder, prepared_name
from batchsim.agents.networks.encoders.registry import make_encoder
from batchsim.agents.networks.recurrent.registry import make_core
from batchsim.agents.networks.vector_features import GOAL, feature_count, vector_features
from batchsim.cuda_graph import Graphed

_VECTOR_UNITS = 32
GOAL_FUSIONS = ("late", "product", "early")
_STOP_LOGIT = -3.0  # the initial bias of the action that ends the episode: taken about once in seventy steps


@dataclass(frozen=True)
class PolicyConfig:
    """The architecture of a policy network, saved beside its weights."""

    visual: str = "patches"
    """Visual encoder: patches, se_resnet9 or resnet18."""
    images: tuple[str, ...] = ("depth",)
    """Images that are read: depth, rgb; none for a blind agent."""
    image_size: tuple[int, int] = (64, 64)
    """Height and width of the images, pixels."""
    visual_channels: tuple[int, ...] = (16, 32, 64)
    """Channels of the layers of the encoder "patches"."""
    vectors: dict[str, int] = field(default_factory=lambda: {GOAL: 2})
    """Vector sensors that are read: the size of each by its name."""
    fine_goal: bool = True
    """Encode the distance to the goal with fine resolution near it."""
    action_embedding_size: int = 16
    """Size of the embedding of the previous action."""
    core: str = "gru"
    """Recurrent core: gru, lstm or mt_lstm."""
    hidden_size: int = 128
    """Units of each layer of the core, and outputs of the visual encoder."""
    core_layers: int = 1
    """Layers of the core."""
    num_actions: int = 4
    """Number of actions."""
    stop_action: int | None = 0
    """The action that ends an episode, which an untrained policy rarely takes; None if there is none."""
    continuous: bool = False
    """Actions are `num_actions` real numbers, drawn from a normal distribution, instead of one of as many choices."""
    categories: dict[str, int] = field(default_factory=dict)
    """Sensors that give the number of a category: how many there are, by the sensor's name."""
    goal_image: str = ""
    """Image of the goal that is read; empty: none."""
    goal_image_size: tuple[int, int] = (64, 64)
    """Height and width of the image of the goal, pixels."""
    goal_fusion: str = "late"
    """Where a goal image meets the agent's own: late, features of both go into the core; product, the products of their
    features too; early, the images are stacked along their channels and encoded together."""

    def check(self) -> None:
        """Raises `AgentError` if a size is out of range; the limits keep damaged files from filling the memory."""
        for name in ("action_embedding_size", "hidden_size", "num_actions"):
            require_between(self, name, 1, 1 << 16)
        require_between(self, "core_layers", 1, 64)
        if self.stop_action is not None:
            require_between(self, "stop_action", 0, self.num_actions - 1)
        for name, sizes, largest in (
            ("image_size", self.image_size, 1 << 14),
            ("visual_channels", self.visual_channels, 1 << 14),
            ("vectors", self.vectors.values(), 1 << 16),
            ("categories", self.categories.values(), 1 << 16),
            ("goal_image_size", self.goal_image_size, 1 << 14),
        ):
            if len(sizes) > 64 or not all(1 <= size <= largest for size in sizes):
                raise AgentError(f"{name} is {getattr(self, name)}; expected at most 64 numbers from 1 to {largest}.")
        self._check_goal_fusion()

    def _check_goal_fusion(self) -> None:
        if self.goal_fusion not in GOAL_FUSIONS:
            raise AgentError(f"goal_fusion is {self.goal_fusion!r}; expected one of {', '.join(GOAL_FUSIONS)}.")
        if self.fuses_early and (not self.images or self.goal_image_size != self.image_size):
            raise AgentError(
                f"goal_fusion is early, but the goal image {self.goal_image_size} and the agent's own "
                f"{self.image_size if self.images else '(none)'} have different sizes; choose late."
            )

    @property
    def multiplies(self) -> bool:
        """Whether the features of the goal image and of the agent's own are multiplied with each other."""
        return bool(self.goal_image and self.images) and self.goal_fusion == "product"

    @property
    def fuses_early(self) -> bool:
        """Whether the goal image and the agent's own are encoded together."""
        return bool(self.goal_image) and self.goal_fusion == "early"


class Policy(nn.Module):
    """Images, vector sensors and previous action -> recurrent core -> logits `[N, A]` and value `[N]`.

    Logits describe the distribution of actions as `agents.ppo.action_distribution` says.

    Observations are dicts: `depth` `[..., height, width, 1]` in [0, 1], `rgb` uint8 `[..., height, width, 3]`, and the
    sensors of `config.vectors` `[..., K]`. Other entries are ignored.

    Weights, recurrent state, logits and values are float32. If `compute_dtype` is set, autocast computes everything
    between in it.
    """

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        config.check()
        self.config = config
        self.compute_dtype: torch.dtype | None = None
        hidden = config.hidden_size
        self.visual = None
        if config.images:
            read = (*config.images, config.goal_image) if config.fuses_early else config.images
            shape = (read, config.image_size, config.visual_channels)
            self.visual = make_encoder(config.visual, *shape, hidden)
        self.vectors = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(feature_count(name, size, config.fine_goal), _VECTOR_UNITS), nn.ReLU())
                for name, size in config.vectors.items()
            }
        )
        self.categories = nn.ModuleDict(
            {name: nn.Embedding(count, _VECTOR_UNITS) for name, count in config.categories.items()}
        )
        self.goal_visual = self._make_goal_encoder()
        self.previous_action: nn.Module
        if config.continuous:
            self.previous_action = nn.Linear(config.num_actions, config.action_embedding_size)
            self.log_std = nn.Parameter(torch.zeros(config.num_actions))
        else:
            # The last row stands for the start of an episode.
            self.previous_action = nn.Embedding(config.num_actions + 1, config.action_embedding_size)
        inputs = _VECTOR_UNITS * (len(self.vectors) + len(self.categories)) + config.action_embedding_size
        encoded = bool(config.images), bool(config.goal_image) and not config.fuses_early, config.multiplies
        inputs += hidden * sum(encoded)
        self.core = make_core(config.core, inputs, hidden, config.core_layers)
        self.actor = nn.Linear(hidden, config.num_actions)
        self.critic = nn.Linear(hidden, 1)
        # A nearly uniform first policy explores; the critic starts near zero.
        nn.init.orthogonal_(self.actor.weight, 0.01)
        nn.init.zeros_(self.actor.bias)
        if config.stop_action is not None and not config.continuous:
            with torch.no_grad():
                self.actor.bias[config.stop_action] = _STOP_LOGIT
        nn.init.orthogonal_(self.critic.weight, 0.1)
        nn.init.zeros_(self.critic.bias)
        self._run_step: Callable[..., tuple[Tensor, Tensor, Tensor]] = self._plain_step

    def _make_goal_encoder(self) -> nn.Module | None:
        """Returns the encoder of the goal's image; None if there is none, or if `visual` reads such images itself."""
        config = self.config
        if not config.goal_image or config.fuses_early or self._shares_encoder:
            return None
        shape = (("rgb",), config.goal_image_size, config.visual_channels)
        return make_encoder(config.visual, *shape, config.hidden_size)

    @property
    def _shares_encoder(self) -> bool:
        """Whether the agent's own images and those of goals are alike, so that one encoder reads both."""
        config = self.config
        return config.images == ("rgb",) and config.goal_image_size == config.image_size

    def blank_action(self, *shape: int) -> Tensor:
        """Returns zeros for actions, int64 `[*shape]`, or float32 `[*shape, num_actions]` if they are continuous."""
        device = self.critic.weight.device
        if self.config.continuous:
            return torch.zeros(*shape, self.config.num_actions, device=device)
        return torch.zeros(*shape, dtype=torch.int64, device=device)

    def initial_state(self, num_envs: int) -> Tensor:
        """Returns the recurrent state before the first step, `[N, S]`."""
        return self.critic.weight.new_zeros(num_envs, self.core.state_size)

    def blank_observation(self, *shape: int) -> dict[str, Tensor]:
        """Returns zeros for every observation that this policy reads, `[*shape, ...]` each."""
        device, config = self.critic.weight.device, self.config
        images = {name: ((*config.image_size, PIXELS[name][0]), PIXELS[name][1]) for name in config.images}
        vectors = {name: ((size,), torch.float32) for name, size in config.vectors.items()}
        categories = dict.fromkeys(config.categories, ((1,), torch.int64))
        goals = {config.goal_image: ((*config.goal_image_size, 3), torch.uint8)} if config.goal_image else {}
        return {
            name: torch.zeros(*shape, *rest, dtype=dtype, device=device)
            for name, (rest, dtype) in (images | vectors | categories | goals).items()
        }

    @torch.no_grad()
    def prepare(self, observation: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns an observation in the form in which `step` and `sequence` read it fastest, and which is smallest.

        Use it for observations that are read several times. Images that the encoder cannot prepare are not changed.

        Args:
            observation: The observations, `[N, ...]` each.
        """
        prepared = dict(observation)
        if isinstance(self.visual, PatchEncoder):
            with self._autocast():
                for name in self.visual.images:
                    prepared[prepared_name(name)] = self.visual.prepare(name, prepared.pop(name))
        return prepared

    def step(
        self, observation: Mapping[str, Tensor], previous_action: Tensor, episode_start: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Takes one step in N environments.

        Args:
            observation: The observations, `[N, ...]` each, as they are or from `prepare`.
            previous_action: The previous actions, int64 `[N]`; ignored where an episode starts.
            episode_start: Where an episode starts, bool `[N]`.
            state: The recurrent state `[N, S]`; ignored where an episode starts.

        Returns:
            Logits `[N, A]`, values `[N]` and the next state `[N, S]`.
        """
        return self._run_step(observation, previous_action, episode_start, state)

    def _plain_step(
        self, observation: Mapping[str, Tensor], previous_action: Tensor, episode_start: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        with self._autocast():
            features = self._features(observation, previous_action, episode_start)
            hidden, state = self.core.step(features, episode_start, state)
        return *self._heads(hidden), state

    def sequence(
        self, observations: Mapping[str, Tensor], previous_actions: Tensor, episode_start: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns logits `[T, N, A]` and values `[T, N]` of T steps in N environments, starting from `state`."""
        steps, num_envs = episode_start.shape
        flat = {name: value.flatten(0, 1) for name, value in observations.items()}
        with self._autocast():
            features = self._features(flat, previous_actions.flatten(0, 1), episode_start.flatten())
            hidden = self.core.sequence(features.view(steps, num_envs, -1), episode_start, state)
        return self._heads(hidden)

    def forward(
        self, observations: Mapping[str, Tensor], previous_actions: Tensor, episode_start: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Calls `sequence`; wrappers such as `DistributedDataParallel` call a module."""
        return self.sequence(observations, previous_actions, episode_start, state)

    def use_channels_last(self) -> None:
        """Makes convolutions store the channels of a pixel together, the layout that tensor cores read."""
        for module in self.modules():
            if isinstance(module, ConvolutionalEncoder):
                module.memory_format = torch.channels_last

    def compile_step(self) -> None:
        """Compiles `step` with `torch.compile`, when it is first called."""
        self._run_step = torch.compile(self._plain_step)

    def record_step(self) -> None:
        """Records `step` as a CUDA graph when it is first called, and replays the graph from then on."""
        self._run_step = Graphed(self._run_step)

    def compile_sequence(self) -> None:
        """Compiles the parts of `sequence`: the visual encoder, and the recurrent cell.

        Compiled as a whole the loop over the steps would be unrolled, which takes minutes and is no faster.
        """
        if self.visual is not None:
            self.visual.compile()
        self.core.compile_cell()

    def _features(self, observation: Mapping[str, Tensor], previous_action: Tensor, episode_start: Tensor) -> Tensor:
        config = self.config
        parts = [
            encode(vector_features(name, observation[name], config.fine_goal)) for name, encode in self.vectors.items()
        ]
        parts += [embed(observation[name].long().squeeze(-1)) for name, embed in self.categories.items()]
        if config.continuous:
            parts.append(self.previous_action(previous_action.masked_fill(episode_start.unsqueeze(-1), 0.0)))
        else:
            parts.append(self.previous_action(torch.where(episode_start, config.num_actions, previous_action)))
        if self.visual is not None:
            parts.append(self.visual(observation))
        encoder = self.visual if self.goal_visual is None else self.goal_visual
        if config.goal_image and not config.fuses_early and encoder is not None:
            parts.append(encoder({"rgb": observation[config.goal_image]}))
            if config.multiplies:
                parts.append(parts[-1] * parts[-2])
        return torch.cat(parts, -1)

    def _heads(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        hidden = hidden.float()
        logits = self.actor(hidden)
        if self.config.continuous:
            logits = torch.cat((logits, self.log_std.clamp(-5, 2).expand_as(logits)), -1)
        return logits, self.critic(hidden).squeeze(-1)

    def _autocast(self) -> AbstractContextManager:
        if self.compute_dtype is None:
            return nullcontext()
        # Without the cache each step casts the core's weights again, so that their gradients are summed in float32.
        return torch.autocast(self.critic.weight.device.type, self.compute_dtype, cache_enabled=False)


def config_for(
    observation_space: gym.spaces.Dict,
    action_space: gym.spaces.Discrete | gym.spaces.Box,
    action_names: tuple[str, ...] = ("stop", "forward", "left", "right"),
    **options: Any,
) -> PolicyConfig:
    """Returns a config for an environment's single spaces, which reads every image and vector sensor.

    Args:
        observation_space: The observation space of one environment.
        action_space: The action space of one environment.
        action_names: The names of the actions; "stop" or "found" is the one that may end an episode.
        **options: Other fields of `PolicyConfig`.

    Raises:
        AgentError: If there are images, but none that a policy can read, as with several cameras.
    """
    shapes = {name: space.shape or () for name, space in observation_space.spaces.items()}
    images = tuple(name for name in PIXELS if name in shapes)
    offered = [name for name, shape in shapes.items() if len(shape) == 3]
    if offered and not images:
        raise AgentError(
            f"A policy reads the images {' and '.join(PIXELS)} of one camera; these observations hold "
            f"{', '.join(offered)} and none of those. Give the agent one camera, or wrap the environment."
        )
    continuous = isinstance(action_space, gym.spaces.Box)
    stops = [k for k, name in enumerate(action_names) if name in ("stop", "found")]
    categories = {
        name: int(space.high[0]) + 1
        for name, space in observation_space.spaces.items()
        if isinstance(space, gym.spaces.Box) and space.shape == (1,) and np.issubdtype(space.dtype, np.integer)
    }
    config = PolicyConfig(
        **options,
        images=images,
        vectors={name: shape[0] for name, shape in shapes.items() if len(shape) == 1 and name not in categories},
        categories=categories,
        num_actions=action_space.shape[0] if isinstance(action_space, gym.spaces.Box) else int(action_space.n),
        continuous=continuous,
        stop_action=stops[0] if stops and not continuous else None,
    )
    goals = [name for name in offered if name.endswith("imagegoal")]
    if goals:
        height, width, _ = shapes[goals[0]]
        config = replace(config, goal_image=goals[0], goal_image_size=(height, width))
    if not images:
        return config
    height, width, _ = shapes[images[0]]
    return replace(config, image_size=(height, width))


def require_finite(name: str, weights: Mapping[str, Tensor]) -> None:
    """Raises `AgentError` with `name` in its message if a weight is infinite or not a number."""
    bad = [key for key, value in weights.items() if not value.is_floating_point() or not value.isfinite().all()]
    if bad:
        raise AgentError(f"{name}: {', '.join(bad[:3])} holds values that are not finite numbers. Training diverged.")
