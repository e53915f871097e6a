"""The options of shrinking, and the steps that they ask for, in their fixed order."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from batchsim.agents.errors import AgentError, require_between, require_positive

_STEPS = "--distil, --prune, --powers-of-two or --int8"


@dataclass(frozen=True)
class Recipe:
    """The steps, which are always taken in this order, and the training in them."""

    distil: Literal["patches", "se_resnet9", "resnet18"] | None = None
    """First step: train a student with this visual encoder to act as the teacher does."""
    student: str | None = None
    """First step, instead of --distil: train the network of this run, of the same task, to act as the teacher does."""
    share: float = 0.1
    """Parameters of the student of --distil, as a fraction of the teacher's; it gets the widest network below that."""
    visual_channels: tuple[int, ...] | None = None
    """Channels of the student's encoder patches (default: chosen by --share)."""
    hidden_size: int | None = None
    """Units of the student's recurrent core (default: chosen by --share)."""
    core: Literal["gru", "lstm", "mt_lstm"] | None = None
    """The student's recurrent core (default: the teacher's)."""
    prune: float | None = None
    """Second step: make this fraction of the weights of each layer zero, the smallest ones, and retrain the others."""
    powers_of_two: int | None = None
    """Third step: make all weights zero or a power of two in this many bits, 3 to 8, while others are retrained."""
    int8: bool = False
    """Last step: write the network as an ONNX file in int8, calibrated on observations of its own."""
    frames: int = 500_000
    """Frames of experience of the first step."""
    retrain_frames: int = 250_000
    """Frames of experience of the second and of the third step."""
    epochs: int = 4
    """Passes over each rollout in training."""
    minibatches: int = 16
    """Minibatches per pass; a rollout is split by environment."""
    learning_rate: float = 2e-3
    """Learning rate of the first step; the others begin at half of it. It falls to 5% along a line."""
    scenes: str | None = None
    """Scenes to train in (default: the teacher's)."""
    num_envs: int | None = None
    """Environments that are stepped together in training (default: the teacher's)."""
    seed: int = 0
    """Seed of training."""

    def check(self) -> None:
        """Raises `AgentError` if an option cannot be used."""
        if not (self.distil or self.student or self.prune is not None or self.powers_of_two is not None or self.int8):
            raise AgentError(f"No step is chosen; expected at least one of {_STEPS}.")
        if self.distil and self.student:
            raise AgentError("--distil makes a new student, and --student takes an existing one; choose one of them.")
        if self.prune is not None and not 0 < self.prune < 1:
            raise AgentError(
                f"prune is {self.prune:g}; expected a fraction between 0 and 1, both excluded: 0.8 makes 80% of the "
                "weights zero."
            )
        if self.powers_of_two is not None:
            require_between(self, "powers_of_two", 3, 8)
        if not 0 < self.share < 1:
            raise AgentError(f"share is {self.share:g}; expected a fraction between 0 and 1, both excluded.")
        for name in ("frames", "retrain_frames", "epochs", "minibatches", "learning_rate"):
            require_positive(self, name, 10**15)
        if self.num_envs is not None:
            require_positive(self, "num_envs", 1 << 20)
        require_between(self, "seed", 0, 2**32 - 1)
        sizes = {"visual_channels": self.visual_channels, "hidden_size": self.hidden_size, "core": self.core}
        if not self.distil and (given := [name for name, value in sizes.items() if value is not None]):
            raise AgentError(f"{', '.join(given)}: sizes of a new student, which needs --distil.")

    def to_json(self) -> dict[str, Any]:
        """Returns the options as JSON types."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def steps(self) -> list[tuple[str, str]]:
        """Returns the folder name and the title of each step."""
        titles = {
            "distil": f"distil {self.distil}" if self.distil else self.student and f"distil into {self.student}",
            "prune": None if self.prune is None else f"prune {self.prune:g}",
            "powers-of-two": None if self.powers_of_two is None else f"powers of two, {self.powers_of_two} bits",
            "int8": "int8" if self.int8 else None,
        }
        chosen = [(name, title) for name, title in titles.items() if title]
        return [(f"{k}-{name}", title) for k, (name, title) in enumerate(chosen, 1)]
