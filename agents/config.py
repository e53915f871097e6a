"""What a training run is made of: one dataclass, each field followed by what it means; presets by name."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from agents.errors import AgentError
from agents.ppo import PPOConfig


@dataclass(frozen=True)
class TrainConfig:
    """A training run. Defaults are the quickstart's: a small agent that two CPU cores train in minutes."""

    scenes: str = "homes:train?count=64"
    """Scenes to train in: a set such as "homes:train?count=64", a file or a folder."""
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
    """Width of the depth image, pixels."""
    height: int = 64
    """Height of the depth image, pixels."""
    hfov: float = 90.0
    """Horizontal field of view, degrees."""
    blind: bool = False
    """Train without the depth image: by the goal sensor and touch alone."""
    forward_step: float = 0.25
    """Metres of one step forward."""
    turn_angle: float = 30.0
    """Degrees of one turn. Habitat's is 10; larger turns make episodes shorter and learning quicker."""
    max_episode_steps: int = 250
    """Steps after which a training episode is cut off. Evaluation allows 500."""
    renderer: str = "auto"
    """The renderer's backend."""
    hidden_size: int = 128
    """Units of the recurrent core."""
    visual_channels: tuple[int, ...] = (16, 32, 64)
    """Channels of the visual encoder's layers."""
    final_learning_rate: float = 0.05
    """The learning rate falls in a straight line to this share of itself."""
    checkpoint_minutes: float = 2.0
    """Minutes between two checkpoints."""
    eval_scenes: str = "homes:val"
    """Scenes of the evaluation that follows training; empty for none."""
    eval_episodes: int = 200
    """Episodes of that evaluation."""
    ppo: PPOConfig = field(default_factory=PPOConfig)

    def check(self) -> None:
        """Raise `AgentError` for values that no run can use."""
        for name in ("num_envs", "rollout_steps", "total_frames", "max_minutes", "max_episode_steps", "hidden_size"):
            if not getattr(self, name) > 0:
                raise AgentError(f"{name} is {getattr(self, name)}; expected more than 0.")
        if not 1 <= self.ppo.minibatches <= self.num_envs:
            raise AgentError(
                f"minibatches is {self.ppo.minibatches}; expected 1 to num_envs = {self.num_envs}, since a rollout "
                "is split by environment."
            )

    def env_options(self) -> dict[str, Any]:
        """The keywords of `NavVectorEnv` that training and evaluation share."""
        names = ("width", "height", "hfov", "forward_step", "turn_angle", "renderer")
        return {name: getattr(self, name) for name in names} | {"sensors": () if self.blind else ("depth",)}

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        return asdict(self)

    @staticmethod
    def load(path: Path) -> TrainConfig:
        """Read a run's config.json; raises `AgentError` if it is none."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            known = {f.name for f in fields(TrainConfig)}
            if unknown := sorted(data.keys() - known):
                raise AgentError(f"{path}: unknown fields {', '.join(unknown)}; it was written by another version.")
            data["visual_channels"] = tuple(data["visual_channels"])
            return TrainConfig(**{**data, "ppo": PPOConfig(**data["ppo"])})
        except FileNotFoundError:
            raise AgentError(f"{path.parent} is no run folder: it has no {path.name}.") from None
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise AgentError(f"{path} is no run's configuration ({error}).") from None


PRESETS: dict[str, TrainConfig] = {"quickstart": TrainConfig()}


def preset(name: str) -> TrainConfig:
    """The preset called `name`; raises `AgentError` for an unknown one."""
    if name not in PRESETS:
        raise AgentError(f"There is no preset {name!r}; there are: {', '.join(PRESETS)}.")
    return PRESETS[name]
