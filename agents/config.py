"""The configuration of a training run: one dataclass, each field followed by its help text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch

from batchsim.agents.distributed.ranks import DistributedConfig
from batchsim.agents.errors import AgentError, require_between, require_positive
from batchsim.agents.imitation.schedule import ImitationConfig
from batchsim.agents.networks.encoders.registry import make_encoder
from batchsim.agents.ppo.lr_schedule import Decay, batch_scale, decay_factor
from batchsim.agents.ppo.ppo import PPOConfig
from batchsim.scenes.user_files import read_json, reading

# The largest values; they only keep mistakes from filling the memory.
_LARGEST = {
    "num_envs": 1 << 20,
    "rollout_steps": 1 << 16,
    "total_frames": 10**15,
    "max_minutes": 1e9,
    "max_episode_steps": 10**9,
    "width": 1 << 14,
    "height": 1 << 14,
    "hidden_size": 1 << 16,
    "core_layers": 64,
    "action_embedding_size": 1 << 16,
    "log_every": 10**9,
}


@dataclass(frozen=True)
class TrainConfig:
    """A training run. The defaults are a small agent's, which two CPU cores train in minutes."""

    task: str = "pointnav"
    """The task: pointnav, flee, explore, objectnav, imagenav, instance_imagenav, multi_objectnav, or module:Class for a
    task of your own; objectnav_level and instance_imagenav_level leave out looking up and down. Values of a task's
    fields may follow: "imagenav?success_distance=1", "objectnav?categories=bed,sofa&success_reward=5"."""
    scenes: str = "homes:train?count=64"
    """Scenes to train in: a set such as "homes:train?count=64", a file or a folder."""
    num_resident_scenes: int | None = None
    """Scenes in memory at a time (default: all, or 32 if there are more than 128). Others are swapped in as episodes
    end."""
    num_envs: int = 128
    """Environments that are stepped together."""
    rollout_steps: int = 32
    """Steps of each environment in a rollout, between two updates."""
    total_frames: int = 4_000_000
    """Frames of experience after which training ends and the learning rate has reached its final value."""
    max_minutes: float = 11.0
    """Minutes after which training ends, even before total_frames."""
    seed: int = 0
    """Seed of all random numbers."""
    width: int = 64
    """Image width, pixels."""
    height: int = 64
    """Image height, pixels."""
    hfov: float = 90.0
    """Horizontal field of view, degrees: at most 170, or 360 with another projection than pinhole."""
    projection: Literal["pinhole", "equirectangular", "fisheye"] = "pinhole"
    """Projection of the camera. Other projections than pinhole are drawn by ray casting."""
    sensors: tuple[Literal["depth", "rgb"], ...] = ("depth",)
    """Images that the agent sees: depth, rgb."""
    blind: bool = False
    """Train without images, with the vector sensors only."""
    forward_step: float = 0.25
    """Length of a forward step, metres."""
    turn_angle: float = 30.0
    """Angle of a turn, degrees. Habitat's is 10; larger turns make episodes shorter and learning faster."""
    tilt_angle: float = 15.0
    """Angle by which looking up or down tilts the camera, degrees."""
    action_mode: Literal["discrete", "velocity"] = "discrete"
    """Numbered actions, or velocities in [-1, 1] drawn from a normal distribution."""
    max_episode_steps: int = 250
    """Time limit of a training episode, steps. Evaluation allows 500."""
    renderer: str = "auto"
    """Rendering backend: raycast, raster, or auto for the faster one."""
    visual: Literal["patches", "se_resnet9", "resnet18"] = "patches"
    """Visual encoder: patches for CPUs, se_resnet9 of Large Batch Simulation, or resnet18 of Habitat."""
    visual_channels: tuple[int, ...] = (16, 32, 64)
    """Channels of the layers of the encoder patches."""
    goal_fusion: Literal["late", "product", "early"] = "late"
    """How a goal image is read: late, its features and those of the agent's image go into the core; product, their
    products too; early, both images are stacked along their channels and encoded together."""
    fine_goal: bool = True
    """Encode the distance to the goal with fine resolution near it, instead of as distance, cosine and sine only."""
    action_embedding_size: int = 16
    """Size of the embedding of the previous action."""
    core: Literal["gru", "lstm", "mt_lstm"] = "gru"
    """Recurrent core: gru, lstm, or mt_lstm, whose units forget with fixed timescales."""
    core_layers: int = 1
    """Layers of the recurrent core; gru has exactly one."""
    hidden_size: int = 128
    """Units per layer of the recurrent core."""
    lr_decay: Decay = "linear"
    """Decay of the learning rate: linear, or along half a cosine."""
    lr_warmup: float = 0.0
    """Fraction of training during which the learning rate rises from 0."""
    final_lr_fraction: float = 0.05
    """Final learning rate, as a fraction of learning_rate."""
    scale_learning_rate: bool = False
    """Multiply the learning rate by the square root of the frames of a minibatch over 256."""
    precision: Literal["float32", "bfloat16", "auto"] = "auto"
    """Precision of the networks' computations; weights and losses stay float32. auto: bfloat16 on CUDA and on CPUs with
    instructions for it (AVX512-BF16, AMX), which learn about twice as fast with it; else float32."""
    channels_last: bool = False
    """Use the channels-last memory format in convolutions."""
    compile_policy: bool = False
    """Compile the policy's step with torch.compile."""
    policy_cuda_graph: bool = False
    """Replay the policy's step as one CUDA graph; ignored on a CPU."""
    compile_simulator: bool = False
    """Compile the simulator's step without rendering with torch.compile."""
    simulator_cuda_graph: bool = True
    """Replay the simulator's step without rendering as one CUDA graph; ignored on a CPU."""
    compile_update: bool = False
    """Compile the parts of the update with torch.compile."""
    double_buffering: bool = False
    """Step the environments in two halves: while one is rendered, the policy acts in the other. Each half has its own
    renderer and its own copy of the scenes on the device."""
    device: str = "auto"
    """Device to train on: auto, cpu, cuda, cuda:1, ...; under torchrun, auto is the GPU of each rank."""
    log_every: int = 8
    """Updates that are averaged into one line of the log."""
    checkpoint_minutes: float = 2.0
    """Minutes between checkpoints; 0 saves after every update."""
    eval_scenes: str = "homes:val"
    """Scenes of the evaluation after training; empty for no evaluation."""
    eval_episodes: int = 200
    """Episodes of the evaluation after training."""
    eval_every_minutes: float = 0.0
    """Minutes between the small evaluations during training; 0 for none."""
    eval_every_episodes: int = 32
    """Episodes of each evaluation during training."""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    imitation: ImitationConfig = field(default_factory=ImitationConfig)
    distributed: DistributedConfig = field(default_factory=DistributedConfig)

    def check(self) -> None:
        """Raises `AgentError` if a value cannot be used."""
        for name, largest in _LARGEST.items():
            require_positive(self, name, largest)
        if self.num_resident_scenes is not None:
            require_positive(self, "num_resident_scenes", 1 << 20)
        require_between(self, "seed", 0, 2**32 - 1)
        require_between(self, "checkpoint_minutes", 0, 1e9)
        if not self.scenes:
            raise AgentError("scenes is empty; expected a scene set such as homes:train, a file or a folder.")
        if self.double_buffering and self.num_envs % 2:
            raise AgentError(f"num_envs is {self.num_envs}; double_buffering needs an even number.")
        self._check_learning()
        self._check_evaluation()
        self.distributed.check()
        self._check_network()

    def _check_learning(self) -> None:
        self.ppo.check()
        self.imitation.check()
        if self.imitation.imitation and self.action_mode != "discrete":
            raise AgentError(
                f"--imitation needs --action-mode discrete, not {self.action_mode}: the expert chooses "
                "numbered actions."
            )
        if not 1 <= self.ppo.minibatches <= self.num_envs:
            raise AgentError(
                f"minibatches is {self.ppo.minibatches}; expected 1 to num_envs = {self.num_envs}, because a rollout "
                "is split by environment."
            )
        if self.ppo.normalize_advantage and self.rollout_steps < 2:
            raise AgentError("rollout_steps is 1; expected at least 2, or --no-normalize-advantage.")
        if self.ppo.neural_gradients != "full" and self.compile_update:
            raise AgentError(
                "neural_gradients changes gradients within the layers that compile_update fuses; choose one."
            )
        if not 0 <= self.lr_warmup < 1:
            raise AgentError(f"lr_warmup is {self.lr_warmup}; expected a fraction of training in [0, 1).")
        require_between(self, "final_lr_fraction", 0, 1)

    def _check_evaluation(self) -> None:
        if self.eval_scenes and not 1 <= self.eval_episodes <= 10**9:
            raise AgentError(
                f'eval_episodes is {self.eval_episodes}; expected at least 1. For no evaluation: --eval-scenes "".'
            )
        require_between(self, "eval_every_minutes", 0, 1e9)
        if self.eval_every_minutes > 0 and not (self.eval_scenes and self.eval_every_episodes > 0):
            raise AgentError("eval_every_minutes needs eval_scenes, and eval_every_episodes of at least 1.")

    def _check_network(self) -> None:
        if not self.blind and not self.sensors:
            raise AgentError("sensors is empty; expected depth, rgb or both, or --blind for an agent without images.")
        if len(self.visual_channels) > 64 or max(self.visual_channels, default=1) > 1 << 14:
            raise AgentError(
                f"visual_channels has {len(self.visual_channels)} numbers; expected 1 to 64 up to {1 << 14}."
            )
        if not self.blind:
            # An encoder without memory, which raises if the image size does not suit it.
            with torch.device("meta"):
                size = self.height, self.width
                make_encoder(self.visual, self.sensors, size, self.visual_channels, self.hidden_size)
        if self.core == "gru" and self.core_layers != 1:
            raise AgentError(f"core_layers is {self.core_layers}; the core gru has exactly one layer. Choose lstm.")

    def learning_rate_at(self, share: float, ranks: int = 1) -> float:
        """Returns the learning rate when the fraction `share` of training is done, with `ranks` processes."""
        rate = self.ppo.learning_rate * decay_factor(share, self.lr_decay, self.lr_warmup, self.final_lr_fraction)
        if not self.scale_learning_rate:
            return rate
        return rate * batch_scale(self.num_envs * self.rollout_steps * ranks, self.ppo.minibatches)

    def env_options(self) -> dict[str, Any]:
        """Returns the keywords of `NavVectorEnv` that training and evaluation share."""
        names = (
            "task",
            "width",
            "height",
            "hfov",
            "forward_step",
            "turn_angle",
            "tilt_angle",
            "action_mode",
            "renderer",
        )
        options = {name: getattr(self, name) for name in names} | {"sensors": () if self.blind else self.sensors}
        if self.projection != "pinhole":
            camera = {"width": self.width, "height": self.height, "hfov": options.pop("hfov")}
            options["cameras"] = [camera | {"projection": self.projection}]
        return options

    def to_json(self) -> dict[str, Any]:
        """Returns the values as JSON types; `ppo`, `imitation` and `distributed` are objects."""
        return asdict(self)

    def flat(self) -> dict[str, Any]:
        """Returns the values by the names that they have on the command line."""
        own = self.to_json()
        for name in ("ppo", "imitation", "distributed"):
            own |= own.pop(name)
        return own

    @staticmethod
    def load(path: Path) -> TrainConfig:
        """Reads a run's config.json; raises `AgentError` if it is missing or a value cannot be used."""
        if not path.exists():
            raise AgentError(f"{path.parent} is not a run folder: it has no {path.name}.")
        expected = "the configuration of a run"
        data: dict[str, Any] = read_json(path, dict[str, Any], expected, AgentError)
        data.pop("versions", None)
        known = {f.name for f in fields(TrainConfig)}
        if unknown := sorted(data.keys() - known):
            raise AgentError(f"{path}: unknown fields {', '.join(unknown)}; another version of batchsim wrote it.")
        with reading(path, expected, AgentError):
            config = msgspec.convert(data, TrainConfig)
        try:
            config.check()
        except AgentError as error:
            raise AgentError(f"{path}: {error}") from None
        return config
