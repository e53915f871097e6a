"""Builds what a training run needs from its config: environments, policy and trainer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import gymnasium as gym
import torch

from batchsim import NavVectorEnv
from batchsim.agents.config import TrainConfig
from batchsim.agents.distributed.preemption import Preemption
from batchsim.agents.distributed.ranks import SINGLE_PROCESS, Ranks
from batchsim.agents.networks.policy import Policy, config_for
from batchsim.agents.ppo.trainer import Trainer
from batchsim.render.opengl.devices import choose_device
from batchsim.scenes import resolve

_ARCHITECTURE = (
    "visual",
    "visual_channels",
    "goal_fusion",
    "fine_goal",
    "action_embedding_size",
    "core",
    "core_layers",
    "hidden_size",
)


def make_trainer(config: TrainConfig, ranks: Ranks = SINGLE_PROCESS) -> Trainer:
    """Returns a trainer with new environments and a new policy; if there are several ranks, this rank's."""
    torch.manual_seed(config.seed)
    envs = make_envs(config, config.scenes if ranks.size == 1 else ranks.shard(resolve(config.scenes)))
    policy = make_policy(config, envs[0])
    preempts = config.distributed.preemption and ranks.size > 1
    preemption = Preemption(ranks, config.distributed, config.rollout_steps) if preempts else None
    learning = config.ppo, config.rollout_steps, config.seed
    return Trainer(envs, policy, *learning, ranks, preemption, config.imitation)


def make_envs(config: TrainConfig, scenes: Any) -> list[NavVectorEnv]:
    """Returns the environments of one process in `scenes`: one batch, or two for double buffering."""
    batches = 2 if config.double_buffering else 1
    envs: list[NavVectorEnv] = []
    while len(envs) < batches:
        env = NavVectorEnv(
            config.num_envs // batches,
            scenes,
            num_resident_scenes=config.num_resident_scenes,
            max_episode_steps=config.max_episode_steps,
            device=config.device,
            simulator_cuda_graph=config.simulator_cuda_graph,
            compile_simulator=config.compile_simulator,
            reuse_buffers=True,
            # On a CPU, the collector asks for labels only as long as they are needed.
            expert=config.imitation.imitation and choose_device(config.device).type == "cuda",
            **config.env_options(),
        )
        config = with_renderer(config, env)  # the second batch uses the backend that "auto" chose for the first
        envs.append(env)
    return envs


def with_renderer(config: TrainConfig, env: NavVectorEnv) -> TrainConfig:
    """Returns `config` with the backend that "auto" chose, because the backends differ in the last bits."""
    renderer = env.simulator.renderer
    return config if renderer is None else replace(config, renderer=renderer.backend)


def make_policy(config: TrainConfig, env: NavVectorEnv) -> Policy:
    """Returns a new policy for `env`, on its device."""
    architecture = {name: getattr(config, name) for name in _ARCHITECTURE}
    observations = cast("gym.spaces.Dict", env.single_observation_space)
    actions = cast("gym.spaces.Discrete", env.single_action_space)
    policy = Policy(config_for(observations, actions, env.task.action_names, **architecture)).to(env.device)
    speed_up(policy, config)
    return policy


def speed_up(policy: Policy, config: TrainConfig) -> None:
    """Sets the precision, memory layout and compiled parts of `policy` that the config asks for.

    Weights, and so checkpoints, do not depend on these options.
    """
    on_cuda = policy.critic.weight.device.type == "cuda"
    if config.precision == "bfloat16" or (config.precision == "auto" and (on_cuda or has_fast_bfloat16())):
        policy.compute_dtype = torch.bfloat16
    if config.channels_last:
        policy.use_channels_last()
    if config.compile_policy:
        policy.compile_step()
    if config.policy_cuda_graph and on_cuda:
        policy.record_step()
    if config.compile_update:
        policy.compile_sequence()


def has_fast_bfloat16() -> bool:
    """Whether the CPU multiplies matrices faster in bfloat16 than in float32 (instructions AVX512-BF16 or AMX)."""
    checks = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
    return any(check is not None and check() for check in checks)
