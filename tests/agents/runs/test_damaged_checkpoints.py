"""Checkpoints with damaged or crafted files are refused with the name of the file."""

import json
import re
from hashlib import blake2b
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.runs.checkpoint import (
    find_checkpoint,
    load_policy,
    load_trainer,
    save_checkpoint,
)
from batchsim.agents.training.build import make_trainer
from tests.helpers.small_runs import SMALL


@pytest.fixture
def trainer():
    made = make_trainer(TrainConfig(**SMALL))
    yield made
    made.env.close()


def test_weights_that_are_not_finite_are_refused(tmp_path, trainer):
    with torch.no_grad():
        trainer.policy.actor.weight[0, 0] = torch.nan
    save_checkpoint(tmp_path, trainer)
    with pytest.raises(AgentError, match=r"policy\.safetensors: actor\.weight holds values that are not finite"):
        load_policy(tmp_path)


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Changes a file of a checkpoint, and its manifest with it, as somebody would who crafts one."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[name] = {"bytes": len(content), "blake2b": blake2b(content, digest_size=16).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


NOT_JSON = [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 200_000]


@pytest.mark.parametrize("name", ["policy.json", "trainer.json", "policy.safetensors", "optimizer.safetensors"])
def test_a_file_of_a_checkpoint_that_is_something_else_is_named(tmp_path, trainer, name):
    trainer.iteration()
    save_checkpoint(tmp_path, trainer)
    folder = find_checkpoint(tmp_path)
    for content in NOT_JSON:
        rewrite(folder, name, content)
        with pytest.raises(AgentError, match=re.escape(str(folder / name))) as raised:
            load_trainer(find_checkpoint(tmp_path), trainer)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("policy.json", "hidden_size", "16"),
        ("policy.json", "hidden_size", 10**18),
        ("policy.json", "hidden_size", -1),
        ("policy.json", "hidden_size", 17),
        ("policy.json", "core_layers", 10**9),
        ("policy.json", "core", "transformer"),
        ("policy.json", "images", "depth"),
        ("policy.json", "images", ["sound"]),
        ("policy.json", "image_size", [16]),
        ("policy.json", "image_size", [10**9, 10**9]),
        ("policy.json", "visual_channels", [[4]]),
        ("policy.json", "vectors", {"goal": 1e3}),
        ("policy.json", "stop_action", 9),
        ("trainer.json", "frames", -1),
        ("trainer.json", "frames", 1.5),
        ("trainer.json", "seconds", "1"),
        ("trainer.json", "seconds", None),
        ("trainer.json", "ranks", 0),
        ("trainer.json", "log", []),
        ("trainer.json", "log", {"pending": [{"updates": "1"}]}),
    ],
)
def test_values_of_the_wrong_type_or_size_are_named(tmp_path, trainer, name, field, value):
    save_checkpoint(tmp_path, trainer)
    folder = find_checkpoint(tmp_path)
    content = json.loads((folder / name).read_text()) | {field: value}
    rewrite(folder, name, json.dumps(content).encode())
    with pytest.raises(AgentError, match=re.escape(str(folder))) as raised:
        load_trainer(find_checkpoint(tmp_path), trainer)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("0.action", lambda value: value + 99),
        ("0.action", lambda value: value.float()),
        ("0.memory", lambda value: value * torch.nan),
        ("0.memory", lambda value: value[:, :3]),
        ("0.episode_start", lambda value: value[:2]),
        ("0.streams", lambda value: value.int()),
        ("collectors", lambda value: torch.ones(3)),
        ("generator", lambda value: value[:7]),
    ],
)
def test_environments_of_the_wrong_kind_are_named(tmp_path, trainer, name, change):
    save_checkpoint(tmp_path, trainer)
    folder = find_checkpoint(tmp_path)
    tensors = load_file(folder / "environments-0.safetensors")
    rewrite(folder, "environments-0.safetensors", save(tensors | {name: change(tensors[name]).contiguous()}))
    with pytest.raises(AgentError, match=r"environments-0\.safetensors"):
        load_trainer(folder, trainer)
