"""Damaged run folders: config.json and the files of the checkpoint, with or without a manifest that fits them."""

import json
from hashlib import blake2b
from pathlib import PurePath

import pytest
from hypothesis import strategies as st

from batchsim.agents.config import TrainConfig
from batchsim.agents.runs.checkpoint import find_checkpoint, load_log_state, load_policy, load_trainer, save_checkpoint
from batchsim.agents.training.build import make_trainer
from tests.fuzz.mutations import contents, damaged_file, write_contents
from tests.fuzz.outcomes import examples, fuzz, own_error
from tests.helpers.small_runs import SMALL


@pytest.fixture(scope="module")
def trainer():
    made = make_trainer(TrainConfig(**SMALL))
    made.iteration()
    yield made
    made.close()


def with_manifest(files):
    """Returns `files` with a manifest of their present sizes and checksums, as somebody would who crafts a run."""
    (name,) = (name for name in files if name.endswith("manifest.json"))
    folder = PurePath(name).parent
    inside = {PurePath(other).name: data for other, data in files.items() if PurePath(other).parent == folder}
    inside.pop("manifest.json")
    sums = {k: {"bytes": len(v), "blake2b": blake2b(v, digest_size=16).hexdigest()} for k, v in inside.items()}
    return files | {name: json.dumps(sums).encode()}


@examples(40, 1200)
def test_damaged_run_folders(tmp_path, trainer, count):
    save_checkpoint(tmp_path, trainer)
    (tmp_path / "config.json").write_text(json.dumps(TrainConfig(**SMALL).to_json()))
    files = contents(tmp_path)
    load_trainer(find_checkpoint(tmp_path), trainer)

    def check(drawn):
        damaged, fitting = drawn
        still_has_manifest = any(name.endswith("manifest.json") for name in damaged)
        write_contents(tmp_path, with_manifest(damaged) if fitting and still_has_manifest else damaged)
        own_error(lambda: TrainConfig.load(tmp_path / "config.json").check())
        own_error(lambda: load_policy(tmp_path), tmp_path)
        own_error(lambda: load_trainer(find_checkpoint(tmp_path), trainer), tmp_path)
        own_error(lambda: load_log_state(find_checkpoint(tmp_path)), tmp_path)

    fuzz(count, st.tuples(damaged_file(files), st.sampled_from((True, True, True, False))), check)
