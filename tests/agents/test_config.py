"""A run's config.json: what was written is read, and anything else is refused with the file's name."""

import json
from dataclasses import replace

import pytest

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_configuration_is_read_as_it_was_written(tmp_path, name):
    config = replace(PRESETS[name], num_resident_scenes=7, task="my.module:Task")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.to_json() | {"versions": {"batchsim": "1"}}))
    assert TrainConfig.load(path) == config


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 200_000, b'{"ppo": 3}', b'{"seed": 1' + b"0" * 400 + b"}"],
)
def test_what_is_no_configuration_is_named(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(AgentError) as raised:
        TrainConfig.load(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_envs", "8"),
        ("num_envs", 8.5),
        ("num_envs", True),
        ("num_envs", None),
        ("num_envs", 10**18),
        ("seed", -1),
        ("seed", 1e300),
        ("scenes", ["homes:train"]),
        ("scenes", ""),
        ("scenes", "\ud800"),
        ("sensors", "depth"),
        ("sensors", ["sound"]),
        ("visual_channels", [16, "32"]),
        ("visual_channels", [10**12]),
        ("width", 10**9),
        ("blind", 1),
        ("visual", "resnet50"),
        ("ppo", {"gamma": "0.9"}),
        ("ppo", {"gamma": 2}),
        ("ppo", []),
        ("distributed", {"preemption": "yes"}),
        ("unknown", 1),
    ],
)
def test_values_of_the_wrong_type_or_size_are_named(tmp_path, field, value):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(TrainConfig().to_json() | {field: value}))
    with pytest.raises(AgentError) as raised:
        TrainConfig.load(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_a_folder_without_one_is_no_run(tmp_path):
    with pytest.raises(AgentError, match="is not a run folder"):
        TrainConfig.load(tmp_path / "config.json")
