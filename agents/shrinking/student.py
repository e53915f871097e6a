"""Chooses the network of a student: the encoder that was asked for, in sizes that keep it small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import Candidate, load_run
from batchsim.agents.networks.policy import Policy, PolicyConfig

_STEP = 8  # sizes that are chosen are multiples of this


@dataclass(frozen=True)
class StudentSize:
    """The student's network; what is None is chosen so that it has at most `share` of the teacher's parameters."""

    visual: Literal["patches", "se_resnet9", "resnet18"]
    visual_channels: tuple[int, ...] | None = None
    hidden_size: int | None = None
    core: Literal["gru", "lstm", "mt_lstm"] | None = None
    core_layers: int | None = None
    share: float = 0.1


def student_config(teacher: Candidate, size: StudentSize) -> TrainConfig:
    """Returns the teacher's config with the student's network.

    Raises:
        AgentError: If no network of that encoder has at most `size.share` of the teacher's parameters.
    """
    assert teacher.policy is not None
    core = size.core or teacher.config.core
    layers = size.core_layers or (1 if core == "gru" else teacher.config.core_layers)
    base = replace(teacher.config, visual=size.visual, core=core, core_layers=layers)
    if size.visual_channels and size.hidden_size:
        return _with_widths(base, size.visual_channels, size.hidden_size)
    limit = size.share * count(teacher.policy)
    found = None
    for width in _widths(base, size):
        if parameters(teacher.policy.config, width) > limit:
            break
        found = width
    if found is None:
        smallest = parameters(teacher.policy.config, next(_widths(base, size)))
        raise AgentError(
            f"The smallest student with the encoder {size.visual} and these sizes has {smallest:,} parameters, more "
            f"than {size.share:g} of the teacher's {count(teacher.policy):,}. Choose another --distil, or a larger "
            "--share."
        )
    return found


def _widths(base: TrainConfig, size: StudentSize) -> Iterator[TrainConfig]:
    """Yields configs from narrow to the teacher's width."""
    for hidden in range(_STEP, base.hidden_size + _STEP, _STEP):
        scale = hidden / base.hidden_size
        scaled = tuple(max(_STEP, _STEP * round(c * scale / _STEP)) for c in base.visual_channels)
        yield _with_widths(base, size.visual_channels or scaled, size.hidden_size or hidden)


def _with_widths(config: TrainConfig, channels: tuple[int, ...], hidden: int) -> TrainConfig:
    return replace(config, visual_channels=channels, hidden_size=hidden)


def parameters(like: PolicyConfig, config: TrainConfig) -> int:
    """Returns the number of parameters of a policy with the sensors of `like` and the network of `config`."""
    with torch.device("meta"):
        return count(Policy(policy_config(like, config)))


def policy_config(like: PolicyConfig, config: TrainConfig) -> PolicyConfig:
    """Returns `like` with the network of `config`."""
    names = ("visual", "visual_channels", "hidden_size", "core", "core_layers", "action_embedding_size", "fine_goal")
    return replace(like, **{name: getattr(config, name) for name in names})


def count(policy: Policy) -> int:
    """Returns the number of parameters."""
    return sum(weight.numel() for weight in policy.parameters())


def load_student(run: Path, teacher: Candidate, trust: bool) -> Candidate:
    """Loads a run whose network becomes the student.

    Raises:
        AgentError: If it was trained for another task, other sensors or other actions than the teacher.
    """
    student = load_run(str(run), trust)
    if student.config.task != teacher.config.task:
        raise AgentError(
            f"--student {run} was trained for {student.config.task}, but the teacher {teacher.run} for "
            f"{teacher.config.task}; a student needs the task of its teacher."
        )
    assert student.policy is not None
    assert teacher.policy is not None
    for name in ("images", "image_size", "vectors", "categories", "goal_image", "num_actions", "continuous"):
        own, other = getattr(student.policy.config, name), getattr(teacher.policy.config, name)
        if own != other:
            raise AgentError(
                f"--student {run}: its {name} is {own}, but the teacher's is {other}; a student needs the sensors and "
                "actions of its teacher."
            )
    return student
