"""What a training run is made of: one dataclass, each field followed by what it means; presets by name."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch

from batchsim.agents.distributed.ranks import DistributedConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.networks.encoders.registry import make_encoder
from batchsim.agents.ppo.lr_schedule import Decay, batch_scale, decay_factor
from batchsim.agents.ppo.ppo import PPOConfig

_POSITIVE = ("num_envs", "rollout_steps", "total_frames", "max_minutes", "max_episode_steps", "width", "height")
_POSITIVE = (*_POSITIVE, "hidden_size", "core_layers", "action_embedding_size", "log_every")


@dataclass(frozen=True)
class TrainConfig:
    """A training run. Defaults are the quickstart's: a small agent that two CPU cores train in minutes."""

    task: str = "pointnav"
    """What to train for: pointnav, flee, explore, or module:Class for a task of your own."""
    scenes: str = "homes:train?count=64"
    """Scenes to train in: a set such as "homes:train?count=64", a file or a folder."""
    num_resident_scenes: int | None = None
    """How many of them are in memory at once, while the others take turns; all up to 128 if not given, 32 of more."""
    num_envs: int = 128
    """Environments stepped together."""
    rollout_steps: int = 32
    """Steps of each environment between two updates."""
    total_frames: int = 4_000_000
    """Frames of experience after which training ends and the learning rate reaches its last value."""
    max_minutes: float = 11.0
    """Minutes after which training ends even if fewer frames were seen."""
    seed: int = 0
    """Seed of everything random."""
    width: int = 64
    """Width of the images, pixels."""
    height: int = 64
    """Height of the images, pixels."""
    hfov: float = 90.0
    """Horizontal field of view, degrees."""
    sensors: tuple[Literal["depth", "rgb"], ...] = ("depth",)
    """Images the agent sees."""
    blind: bool = False
    """Train without images: by the goal sensor and touch alone."""
    forward_step: float = 0.25
    """Metres of one step forward."""
    turn_angle: float = 30.0
    """Degrees of one turn. Habitat's is 10; larger turns make episodes shorter and learning quicker."""
    max_episode_steps: int = 250
    """Steps after which a training episode is cut off. Evaluation allows 500."""
    renderer: str = "auto"
    """The renderer's backend."""
    visual: Literal["patches", "se_resnet9", "resnet18"] = "patches"
    """The visual encoder: patches is for CPUs, se_resnet9 that of Large Batch Simulation, resnet18 Habitat's."""
    visual_channels: tuple[int, ...] = (16, 32, 64)
    """Channels of the layers of patches."""
    fine_goal: bool = True
    """Give the goal's distance with fine resolution near it; without, distance, cosine and sine alone."""
    action_embedding_size: int = 16
    """Numbers that stand for the previous action."""
    core: Literal["gru", "lstm", "mt_lstm"] = "gru"
    """The recurrent core; mt_lstm has units that forget at fixed paces."""
    core_layers: int = 1
    """Layers of the recurrent core; gru has one."""
    hidden_size: int = 128
    """Units of a layer of the recurrent core."""
    lr_decay: Decay = "linear"
    """How the learning rate falls: straight, or along half a cosine."""
    lr_warmup: float = 0.0
    """Share of training in which the learning rate rises from 0."""
    final_lr_fraction: float = 0.05
    """The learning rate falls to this share of itself."""
    scale_learning_rate: bool = False
    """Multiply the learning rate by the square root of a minibatch's frames over 256."""
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    """What networks compute in; weights and losses are float32. auto: bfloat16 on CUDA."""
    channels_last: bool = False
    """Keep the channels of a pixel together in convolutions."""
    compile_policy: bool = False
    """Compile the policy's step by torch.compile."""
    policy_cuda_graph: bool = False
    """Replay the policy's step as one CUDA graph; of no effect on a CPU."""
    compile_simulator: bool = False
    """Compile what the simulator does beside drawing by torch.compile."""
    simulator_cuda_graph: bool = True
    """Replay what the simulator does beside drawing as one CUDA graph; of no effect on a CPU."""
    compile_update: bool = False
    """Compile the parts of the update by torch.compile."""
    double_buffering: bool = False
    """Step the environments in two halves: while one is drawn, the policy acts in the other. Each half has its own
    renderer and its own copy of the scenes on the device."""
    device: str = "auto"
    """Device to train on: "auto", "cpu", "cuda" or "cuda:1"; under torchrun "auto" is each rank's own GPU."""
    log_every: int = 8
    """Updates averaged into one line of the log."""
    checkpoint_minutes: float = 2.0
    """Minutes between two checkpoints."""
    eval_scenes: str = "homes:val"
    """Scenes of the evaluation that follows training; empty for none."""
    eval_episodes: int = 200
    """Episodes of that evaluation."""
    eval_every_minutes: float = 0.0
    """Minutes between two small evaluations while training goes on; 0 for none."""
    eval_every_episodes: int = 32
    """Episodes of each of those."""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    distributed: DistributedConfig = field(default_factory=DistributedConfig)

    def check(self) -> None:
        """Raise `AgentError` for values that no run can use."""
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise AgentError(f"{name} is {getattr(self, name)}; expected more than 0.")
        if self.double_buffering and self.num_envs % 2:
            raise AgentError(f"num_envs is {self.num_envs}; double_buffering needs an even number, for two halves.")
        if not 0 <= self.seed < 2**32:
            raise AgentError(f"seed is {self.seed}; expected 0 to {2**32 - 1}.")
        self._check_learning()
        self._check_evaluation()
        self.distributed.check()
        self._check_network()

    def _check_learning(self) -> None:
        self.ppo.check()
        if not 1 <= self.ppo.minibatches <= self.num_envs:
            raise AgentError(
                f"minibatches is {self.ppo.minibatches}; expected 1 to num_envs = {self.num_envs}, since a rollout "
                "is split by environment."
            )
        if self.ppo.normalize_advantage and self.rollout_steps < 2:
            raise AgentError("rollout_steps is 1; expected at least 2, or --no-normalize-advantage.")
        if not 0 <= self.lr_warmup < 1:
            raise AgentError(f"lr_warmup is {self.lr_warmup}; expected a share of training in [0, 1).")
        if not 0 <= self.final_lr_fraction <= 1:
            raise AgentError(f"final_lr_fraction is {self.final_lr_fraction}; expected a share in [0, 1].")

    def _check_evaluation(self) -> None:
        if self.eval_scenes and self.eval_episodes < 1:
            raise AgentError(
                f'eval_episodes is {self.eval_episodes}; expected at least 1. No evaluation: --eval-scenes "".'
            )
        if self.eval_every_minutes > 0 and not (self.eval_scenes and self.eval_every_episodes > 0):
            raise AgentError("eval_every_minutes needs eval_scenes, and eval_every_episodes of more than 0.")

    def _check_network(self) -> None:
        if not self.blind and not self.sensors:
            raise AgentError("sensors is empty; expected depth, rgb or both, or --blind for an agent without images.")
        if not self.blind:
            # A network without memory, made for what it says of a size that it cannot take.
            with torch.device("meta"):
                size = self.height, self.width
                make_encoder(self.visual, self.sensors, size, self.visual_channels, self.hidden_size)
        if self.core == "gru" and self.core_layers != 1:
            raise AgentError(f"core_layers is {self.core_layers}; the core gru has one layer. Choose lstm for more.")

    def learning_rate_at(self, share: float, ranks: int = 1) -> float:
        """The learning rate after `share` of training, in [0, 1], where `ranks` processes learn together."""
        rate = self.ppo.learning_rate * decay_factor(share, self.lr_decay, self.lr_warmup, self.final_lr_fraction)
        if not self.scale_learning_rate:
            return rate
        return rate * batch_scale(self.num_envs * self.rollout_steps * ranks, self.ppo.minibatches)

    def env_options(self) -> dict[str, Any]:
        """The keywords of `NavVectorEnv` that training and evaluation share."""
        names = ("task", "width", "height", "hfov", "forward_step", "turn_angle", "renderer")
        return {name: getattr(self, name) for name in names} | {"sensors": () if self.blind else self.sensors}

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        return asdict(self)

    def flat(self) -> dict[str, Any]:
        """All options by the names they have on the command line."""
        own = self.to_json()
        parts = own.pop("ppo"), own.pop("distributed")
        return own | parts[0] | parts[1]

    @staticmethod
    def load(path: Path) -> TrainConfig:
        """Read a run's config.json; raises `AgentError` if it is none."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            data.pop("versions", None)
            known = {f.name for f in fields(TrainConfig)}
            if unknown := sorted(data.keys() - known):
                raise AgentError(f"{path}: unknown fields {', '.join(unknown)}; it was written by another version.")
            data = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
            return TrainConfig(
                **{
                    **data,
                    "ppo": PPOConfig(**data["ppo"]),
                    "distributed": DistributedConfig(**data.get("distributed", {})),
                }
            )
        except FileNotFoundError:
            raise AgentError(f"{path.parent} is no run folder: it has no {path.name}.") from None
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise AgentError(f"{path} is no run's configuration ({error}).") from None


# The training of Large Batch Simulation (Shacklett et al., ICLR 2021) on one GPU.
_LARGE_BATCH = TrainConfig(
    scenes="homes:train?detail=medium",
    num_envs=1024,
    total_frames=250_000_000,
    max_minutes=25.0,
    turn_angle=10.0,
    max_episode_steps=500,
    visual="se_resnet9",
    fine_goal=False,
    action_embedding_size=32,
    core="lstm",
    core_layers=2,
    hidden_size=512,
    lr_decay="cosine",
    lr_warmup=0.01,
    final_lr_fraction=0.0,
    scale_learning_rate=True,
    precision="auto",
    channels_last=True,
    eval_scenes="homes:val?detail=medium",
    ppo=PPOConfig(epochs=1, minibatches=2, learning_rate=5e-4, optimizer="lamb", normalize_advantage=False),
)

# Without a goal to steer by, policies settle on walking straight into walls unless they are kept trying.
_WANDERING = PPOConfig(entropy_coefficient=0.02)

PRESETS: dict[str, TrainConfig] = {
    "quickstart": TrainConfig(),
    "flee": TrainConfig(task="flee", ppo=_WANDERING),
    "explore": TrainConfig(task="explore", ppo=_WANDERING),
    "pointnav-depth": _LARGE_BATCH,
    "pointnav-rgb": replace(_LARGE_BATCH, sensors=("rgb",)),
}


def preset(name: str) -> TrainConfig:
    """The preset called `name`; raises `AgentError` for an unknown one."""
    if name not in PRESETS:
        raise AgentError(f"There is no preset {name!r}; there are: {', '.join(PRESETS)}.")
    return PRESETS[name]
