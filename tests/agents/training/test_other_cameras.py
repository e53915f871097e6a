"""Policies that see through other cameras than pinhole ones."""

from dataclasses import replace

import pytest
import torch

from batchsim import Lidar
from batchsim.agents.config import TrainConfig
from batchsim.agents.evaluation.evaluate import evaluate
from batchsim.agents.networks.policy import Policy, config_for
from batchsim.agents.training.build import make_trainer

SMALL = TrainConfig(
    scenes="one-room", num_envs=4, rollout_steps=4, width=32, height=16, visual_channels=(4, 8), hidden_size=16
)


@pytest.mark.parametrize("task", ["pointnav", "imagenav"])
def test_a_policy_with_a_panorama_learns_and_is_evaluated(seeded, task):
    sensors = ("rgb", "depth") if task == "imagenav" else ("depth",)
    config = replace(
        SMALL, task=task, sensors=sensors, projection="equirectangular", hfov=360.0, device="cpu", goal_fusion="early"
    )
    config.check()
    trainer = make_trainer(config)
    assert trainer.env.simulator.renderer.backend == "raycast"
    assert trainer.env.simulator.options.rig[0].vfov == 180
    assert trainer.iteration()["frames"] == 16
    trainer.close()
    found = evaluate(trainer.policy, "one-room", episodes=2, config=config, num_envs=2, device="cpu")
    assert len(found.records) == 2


def test_a_lidar_is_read_as_an_image(seeded, one_room, make_env):
    lidar = Lidar(horizontal=range(96, -96, -6), vertical=range(-16, 16, 2), name="")
    env = make_env(3, one_room, cameras=[lidar], device="cpu")
    assert env.single_observation_space["depth"].shape == (16, 32, 1)
    policy = Policy(config_for(env.single_observation_space, env.single_action_space, hidden_size=16))
    observation, _ = env.reset(seed=0)
    start = torch.ones(3, dtype=torch.bool)
    logits, _, _ = policy.step(observation, policy.blank_action(3), start, policy.initial_state(3))
    assert logits.shape == (3, 4)
