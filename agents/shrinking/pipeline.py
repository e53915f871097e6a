"""Takes the steps of a recipe one after the other, each in a run folder of its own."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import Candidate
from batchsim.agents.evaluation.onnx_policy import INT8_FILE
from batchsim.agents.imitation.schedule import ImitationConfig
from batchsim.agents.networks.onnx_export import export_onnx
from batchsim.agents.networks.policy import Policy
from batchsim.agents.runs.checkpoint import load_policy, save_policy
from batchsim.agents.runs.shrink_record import ShrinkRecord, load_record, save_record
from batchsim.agents.shrinking.int8 import quantise, write_packed
from batchsim.agents.shrinking.powers_of_two import PowersOfTwo
from batchsim.agents.shrinking.pruning import Pruning
from batchsim.agents.shrinking.recipe import Recipe
from batchsim.agents.shrinking.retraining import MakeConstraint, retrain
from batchsim.agents.shrinking.student import StudentSize, load_student, policy_config, student_config
from batchsim.agents.shrinking.walks import walk
from batchsim.scenes.atomic_files import atomic_write

FLOAT_FILE = "policy.onnx"
STEPS_FOLDER = "steps"
_CALIBRATION = 1024  # observations
_WAYS = {"static": "weights and arithmetic", "weights": "the weights alone, with arithmetic in float32"}


@dataclass(frozen=True)
class Network:
    """The teacher, or the result of a step.

    Attributes:
        name: Its title.
        config: Its config.
        policy: The network in torch.
        folder: Its run folder.
        file: The ONNX file to deploy.
    """

    name: str
    config: TrainConfig
    policy: Policy
    folder: Path
    file: Path

    def candidate(self, name: str) -> Candidate:
        """Returns the agent to evaluate."""
        return Candidate(
            name, self.config, self.policy, self.folder, self.file if self.file.name == INT8_FILE else None
        )


class Pipeline:
    """Shrinks `teacher` as `recipe` says, into the run folder `out`.

    Every step leaves a run folder in `out/steps`. A step that is finished is not repeated, and one that was interrupted
    continues from its last checkpoint.

    Args:
        teacher: The trained run.
        recipe: The steps.
        out: The run folder of the result.
        trust: Whether the run of `recipe.student` may import its task.
    """

    def __init__(self, teacher: Candidate, recipe: Recipe, out: Path, trust: bool = False) -> None:
        assert teacher.policy is not None
        assert teacher.run is not None
        self._teacher, self._policy, self._recipe, self._out = teacher, teacher.policy, recipe, out
        self._student = load_student(Path(recipe.student), teacher, trust) if recipe.student else None
        num_envs = recipe.num_envs or teacher.config.num_envs
        minibatches = min(recipe.minibatches, num_envs)
        self._config = replace(
            teacher.config,
            ppo=replace(teacher.config.ppo, epochs=recipe.epochs, minibatches=minibatches),
            scenes=recipe.scenes or teacher.config.scenes,
            num_envs=num_envs,
            seed=recipe.seed,
            double_buffering=False,
            eval_scenes="",
            eval_every_minutes=0.0,
            max_minutes=1e9,
            lr_decay="linear",
            lr_warmup=0.0,
            final_lr_fraction=0.05,
            scale_learning_rate=False,
            imitation=ImitationConfig(),
        )
        self._first = self._student_config() if recipe.distil else None
        if self._student:
            self._first = self._with_network_of(self._student.config)
        for config in (self._config, self._first):
            if config is not None:
                config.check()
        self.record = self._begin_record()

    def _student_config(self) -> TrainConfig:
        recipe = self._recipe
        size = StudentSize(
            recipe.distil or "patches", recipe.visual_channels, recipe.hidden_size, recipe.core, None, recipe.share
        )
        return student_config(replace(self._teacher, config=self._config), size)

    def _with_network_of(self, other: TrainConfig) -> TrainConfig:
        names = (
            "visual",
            "visual_channels",
            "hidden_size",
            "core",
            "core_layers",
            "action_embedding_size",
            "fine_goal",
        )
        return replace(self._config, **{name: getattr(other, name) for name in names})

    def _begin_record(self) -> ShrinkRecord:
        options, before = self._recipe.to_json(), load_record(self._out)
        teacher = str(self._teacher.run)
        if before is None:
            record = ShrinkRecord(teacher, options)
            save_record(self._out, record)
            return record
        changed = [name for name, value in options.items() if before.options.get(name) != value]
        if changed or before.teacher != teacher:
            raise AgentError(
                f"{self._out} was made from {before.teacher} with other options ({', '.join(changed) or 'teacher'}); "
                "choose another --out."
            )
        return before

    def run(self) -> list[Network]:
        """Takes the steps that are left; returns the teacher and the result of each step.

        Raises:
            Stopped: If a signal asked to stop while a step was training.
            AgentError: If a step fails.
        """
        networks = [self._export_teacher()]
        for (folder, title), make in zip(self._recipe.steps(), self._makers(), strict=True):
            path = self._out / STEPS_FOLDER / folder
            if folder not in self.record.done:
                print(f"Step {folder}: {title}", file=sys.stderr)
                make(path, networks[-1])
                self.record = _with_done(self.record, folder)
                save_record(self._out, self.record)
            config = TrainConfig.load(path / "config.json")
            int8 = path / INT8_FILE
            file = int8 if int8.exists() else path / FLOAT_FILE
            networks.append(Network(title, config, load_policy(path), path, file))
        self._finish(networks[-1])
        return networks

    def _makers(self) -> list[Callable[[Path, Network], None]]:
        recipe = self._recipe
        made: list[Callable[[Path, Network], None]] = []
        if self._first is not None:
            made.append(self._distil)
        if (share := recipe.prune) is not None:
            made.append(self._retrainer(lambda policy: Pruning(policy, share)))
        if (bits := recipe.powers_of_two) is not None:
            made.append(self._retrainer(lambda policy: PowersOfTwo(policy, bits)))
        if recipe.int8:
            made.append(self._quantise)
        return made

    def _export_teacher(self) -> Network:
        folder = self._out / STEPS_FOLDER / "0-teacher"
        file = folder / FLOAT_FILE
        if not file.exists():
            write_float(self._policy, file, self._config)
        run = self._teacher.run
        assert run is not None
        return Network("teacher", self._teacher.config, self._policy, run, file)

    def _distil(self, folder: Path, _: Network) -> None:
        assert self._first is not None
        if self._student is not None and self._student.policy is not None:
            start = self._student.policy
        else:
            torch.manual_seed(self._recipe.seed)
            start = Policy(policy_config(self._policy.config, self._first))
        config = _budget(self._first, self._recipe.frames, self._recipe.learning_rate)
        write_float(retrain(folder, config, start, self._policy), folder / FLOAT_FILE, config)

    def _retrainer(self, constraint: MakeConstraint) -> Callable[[Path, Network], None]:
        def make(folder: Path, before: Network) -> None:
            recipe = self._recipe
            config = self._with_network_of(before.config)
            config = _budget(config, recipe.retrain_frames, recipe.learning_rate / 2)
            policy = retrain(folder, config, before.policy, self._policy, constraint)
            write_float(policy, folder / FLOAT_FILE, config)

        return make

    def _quantise(self, folder: Path, before: Network) -> None:
        steps = walk(before.policy, self._with_network_of(before.config), _CALIBRATION)
        with exported(before.policy, before.config) as plain:
            pack_float(plain, folder / FLOAT_FILE)
            # Not of the packed file, in which weights are results and would not be quantised.
            way = quantise(plain, folder / INT8_FILE, steps)
        print(f"In int8: {_WAYS[way]}, which is faster for this network", file=sys.stderr)
        atomic_write(folder / "config.json", json.dumps(before.config.to_json(), indent=2))
        save_policy(folder, before.policy)

    def _finish(self, last: Network) -> None:
        """Makes `out` a run folder of the last network."""
        for name in (FLOAT_FILE, INT8_FILE):
            if (last.folder / name).exists():
                atomic_write(self._out / name, (last.folder / name).read_bytes())
        atomic_write(self._out / "config.json", json.dumps(last.config.to_json(), indent=2))
        save_policy(self._out, last.policy)


def _with_done(record: ShrinkRecord, folder: str) -> ShrinkRecord:
    return ShrinkRecord(record.teacher, record.options, [*record.done, folder])


def _budget(config: TrainConfig, frames: int, rate: float) -> TrainConfig:
    return replace(config, total_frames=frames, ppo=replace(config.ppo, learning_rate=rate))


@contextmanager
def exported(policy: Policy, config: TrainConfig) -> Iterator[Path]:
    """Exports `policy` to an ONNX file that exists within the block."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / FLOAT_FILE
        export_onnx(policy.cpu(), plain, config.env_options())
        yield plain


def pack_float(plain: Path, path: Path) -> None:
    """Packs the ONNX file `plain` and writes it to `path`."""
    import onnx

    write_packed(onnx.load(plain), path)


def write_float(policy: Policy, path: Path, config: TrainConfig) -> None:
    """Exports `policy` and packs the file."""
    with exported(policy, config) as plain:
        pack_float(plain, path)
