"""A policy in onnxruntime says what it says in torch, step after step, and runs without torch."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.eval import main as eval_main
from batchsim.agents.networks.onnx_export import export_onnx
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.ppo.trainer import Trainer
from batchsim.agents.runs.checkpoint import save_checkpoint
from batchsim.agents.training.build import make_policy
from tests.helpers.paths import ROOT

CONFIGS = {
    "small": PolicyConfig(hidden_size=32, visual_channels=(4, 8)),
    "large": PolicyConfig(
        visual="se_resnet9",
        images=("depth", "rgb"),
        image_size=(32, 32),
        vectors={"gps": 2, "compass": 1},
        core="mt_lstm",
        core_layers=2,
        hidden_size=48,
        num_actions=3,
        stop_action=None,
    ),
    "category and velocities": PolicyConfig(
        hidden_size=32,
        visual_channels=(4, 8),
        image_size=(16, 32),
        vectors={"gps": 2, "compass": 1},
        categories={"objectgoal": 16},
        num_actions=3,
        stop_action=None,
        continuous=True,
    ),
    "goal image": PolicyConfig(
        visual="se_resnet9",
        images=("rgb",),
        image_size=(32, 32),
        vectors={},
        hidden_size=32,
        goal_image="imagegoal",
        goal_image_size=(32, 32),
        goal_fusion="product",
    ),
    "goal image, stacked": PolicyConfig(
        images=("depth", "rgb"),
        image_size=(16, 16),
        visual_channels=(4, 8),
        vectors={},
        hidden_size=32,
        goal_image="imagegoal",
        goal_image_size=(16, 16),
        goal_fusion="early",
    ),
    "goal image of its own size": PolicyConfig(
        image_size=(16, 16),
        visual_channels=(4, 8),
        vectors={"instance_imagegoal_hfov": 1},
        hidden_size=32,
        goal_image="instance_imagegoal",
        goal_image_size=(32, 32),
    ),
}


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Makes the policy of a name and its file, once each."""
    made = {}

    def make(name):
        if name not in made:
            torch.manual_seed(0)
            policy = Policy(CONFIGS[name])
            with torch.no_grad():
                for parameter in policy.parameters():
                    parameter.add_(0.03 * torch.randn_like(parameter))
            policy.compute_dtype = torch.bfloat16  # how a policy is computed elsewhere does not go into the file
            path = tmp_path_factory.mktemp(name) / "policy.onnx"
            export_onnx(policy, path, {"turn_angle": 30.0, "sensors": policy.config.images})
            policy.compute_dtype = None
            made[name] = policy, path
        return made[name]

    return make


def sensed(config, num_envs):
    """Random observations of N environments."""
    height, width = config.image_size
    images = {
        "depth": torch.rand(num_envs, height, width, 1),
        "rgb": torch.randint(0, 256, (num_envs, height, width, 3), dtype=torch.uint8),
    }
    vectors = {name: 3 * torch.randn(num_envs, size) for name, size in config.vectors.items()}
    categories = {name: torch.randint(0, count, (num_envs, 1)) for name, count in config.categories.items()}
    goals = {}
    if config.goal_image:
        goals[config.goal_image] = torch.randint(0, 256, (num_envs, *config.goal_image_size, 3), dtype=torch.uint8)
    return {name: images[name] for name in config.images} | vectors | categories | goals


@pytest.mark.parametrize("name", list(CONFIGS))
@pytest.mark.parametrize("num_envs", [1, 2, 7])
def test_parity_over_a_walk(export, seeded, name, num_envs):
    policy, path = export(name)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    episode_start = torch.ones(num_envs, dtype=torch.bool)
    action = policy.blank_action(num_envs)
    state = policy.initial_state(num_envs)
    onnx_state = state.numpy()
    for _ in range(6):
        observation = sensed(policy.config, num_envs)
        with torch.no_grad():
            logits, value, state = policy.step(observation, action, episode_start, state)
        known = {**observation, "previous_action": action, "episode_start": episode_start}
        feed = {name: tensor.numpy() for name, tensor in known.items()} | {"state": onnx_state}
        onnx_logits, onnx_value, onnx_state = session.run(None, feed)
        for ours, theirs in ((onnx_logits, logits), (onnx_value, value), (onnx_state, state)):
            assert ours.dtype == np.float32
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
        action = logits.chunk(2, -1)[0] if policy.config.continuous else logits.argmax(-1)
        episode_start = torch.rand(num_envs) < 0.4


def test_the_file_says_what_it_is(export):
    policy, path = export("small")
    metadata = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["policy"])["core"] == policy.config.core
    assert json.loads(metadata["environment"]) == {"turn_angle": 30.0, "sensors": ["depth"]}


def test_without_the_extra_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(AgentError, match=r"extra \"onnx\""):
        export_onnx(Policy(CONFIGS["small"]), tmp_path / "policy.onnx")


def test_the_example_runs(export):
    _, path = export("small")
    example = ROOT / "examples" / "run_onnx.py"
    command = [sys.executable, str(example), str(path), "one-room", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^success +[01]\.\d+ over \d+ episodes$", done.stdout, re.MULTILINE)


def test_the_command_exports_a_run(make_env, one_room, seeded, tmp_path, capsys):
    config = replace(TrainConfig(), blind=True, hidden_size=8, num_envs=4, rollout_steps=2, eval_scenes="")
    env = make_env(4, one_room, device="cpu", **config.env_options())
    save_checkpoint(tmp_path / "run", Trainer(env, make_policy(config, env), config.ppo, 2, 0))
    (tmp_path / "run" / "config.json").write_text(json.dumps(config.to_json()))
    path = tmp_path / "policy.onnx"
    options = ["--export", str(path), "--scenes", "one-room", "--episodes", "2", "--max-episode-steps", "5"]
    with pytest.raises(SystemExit) as done:
        eval_main([str(tmp_path / "run"), *options, "--baselines", "random"])
    assert done.value.code == 0
    metadata = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["environment"])["turn_angle"] == config.turn_angle
    with pytest.raises(SystemExit) as done:
        eval_main(["random", "--export", str(path)])
    assert done.value.code == 2
    assert "random is a baseline" in capsys.readouterr().err
