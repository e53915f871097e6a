"""The policy that a run asks for: its network, and how it is computed."""

from __future__ import annotations

import torch

from batchsim import NavVectorEnv
from batchsim.agents.config import TrainConfig
from batchsim.agents.networks.policy import Policy, config_for
from batchsim.cuda_graph import Graphed

_SHAPE = ("visual", "visual_channels", "fine_goal", "action_embedding_size", "core", "core_layers", "hidden_size")


def make_policy(config: TrainConfig, env: NavVectorEnv) -> Policy:
    """A fresh policy that fits the environment and the config, on the environment's device."""
    shape = {name: getattr(config, name) for name in _SHAPE}
    spaces = env.single_observation_space, env.single_action_space
    policy = Policy(config_for(*spaces, env.task.action_names, **shape)).to(env.device)
    speed_up(policy, config)
    return policy


def speed_up(policy: Policy, config: TrainConfig) -> None:
    """Compute `policy` in the precision, memory layout and compiled parts that the config asks for.

    Weights, and so checkpoints, are the same with and without.
    """
    on_cuda = policy.critic.weight.device.type == "cuda"
    if config.precision == "bfloat16" or (config.precision == "auto" and on_cuda):
        policy.compute_dtype = torch.bfloat16
    if config.channels_last:
        policy.use_channels_last()
    if config.compile_policy:
        policy.compile_step()
    if config.policy_cuda_graph and on_cuda:
        policy.step = Graphed(policy.step)
    if config.compile_update:
        policy.compile_sequence()
