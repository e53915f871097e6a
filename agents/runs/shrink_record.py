"""What `batchsim-shrink` records in a run folder: its steps, and what each costs and achieves."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from batchsim.agents.errors import AgentError
from batchsim.scenes.atomic_files import atomic_write
from batchsim.scenes.user_files import read_json

SHRINK_FILE = "shrink.json"


class Figure(msgspec.Struct, frozen=True):
    """A mean over episodes with its 95% interval."""

    mean: float
    low: float
    high: float


class ShrinkRow(msgspec.Struct, frozen=True):
    """A network: the teacher, or the result of a step."""

    name: str
    parameters: int
    nonzero: int
    """Parameters that are not zero."""
    file_bytes: int
    """Size of its ONNX file."""
    flops: int
    """Operations of one step; a multiplication and an addition count as two, zeros are not left out."""
    latency_us: float
    """Median time of one step in one environment on one CPU core, microseconds."""
    measures: dict[str, Figure] = {}
    """Success and SPL, or the first measures of another task."""


class Fidelity(msgspec.Struct, frozen=True):
    """How the exported files compare with the network in torch, over observations of its own."""

    observations: int
    float_difference: float
    """Largest difference of a logit of the float file."""
    int8_same_action: float | None = None
    """Share of the observations in which the int8 file has the same most likely action."""


class ShrinkRecord(msgspec.Struct, frozen=True):
    """The content of shrink.json."""

    teacher: str
    options: dict[str, str | int | float | bool | list[int] | None]
    """Options that determine the networks."""
    done: list[str] = []
    """Folders of the steps that are finished."""
    rows: list[ShrinkRow] = []
    scenes: str = ""
    """Scenes of the evaluation; empty if there was none."""
    episodes: int = 0
    fidelity: Fidelity | None = None


def save_record(run: Path, record: ShrinkRecord) -> None:
    """Writes the record into the run folder."""
    atomic_write(run / SHRINK_FILE, json.dumps(msgspec.to_builtins(record), indent=2))


def load_record(run: Path) -> ShrinkRecord | None:
    """Returns the record in the run folder, None if there is none; raises `AgentError` if it is damaged."""
    if not (run / SHRINK_FILE).exists():
        return None
    record: ShrinkRecord = read_json(run / SHRINK_FILE, ShrinkRecord, "a record of batchsim-shrink", AgentError)
    return record
