"""Walks of a policy in its training scenes: the inputs of many steps, and what the policy answers to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.networks.policy import Policy
from batchsim.agents.ppo.action_sampler import ActionSampler
from batchsim.agents.training.build import make_envs

_NUM_ENVS = 16


@dataclass(frozen=True)
class WalkStep:
    """One step of N environments: the inputs of an exported policy by name, and the policy's logits `[N, A]`."""

    inputs: dict[str, np.ndarray]
    logits: np.ndarray


@torch.no_grad()
def walk(policy: Policy, config: TrainConfig, observations: int) -> list[WalkStep]:
    """Lets `policy` act in the training scenes of `config`, until it has seen at least so many observations."""
    env = make_envs(replace(config, num_envs=_NUM_ENVS, double_buffering=False), config.scenes)[0]
    steps = []
    try:
        sampler = ActionSampler(config.seed + torch.arange(_NUM_ENVS, device=env.device), policy.config.continuous)
        policy = policy.to(env.device)
        spread = torch.arange(_NUM_ENVS) * config.max_episode_steps // _NUM_ENVS
        observation, _ = env.reset(seed=config.seed, options={"elapsed_steps": spread})
        action, state = policy.blank_action(_NUM_ENVS), policy.initial_state(_NUM_ENVS)
        start = torch.ones(_NUM_ENVS, dtype=torch.bool, device=env.device)
        read = tuple(policy.blank_observation(0))
        for _ in range(-(-observations // _NUM_ENVS)):
            inputs = {name: observation[name] for name in read}
            inputs |= {"previous_action": action, "episode_start": start, "state": state}
            saved = {name: value.cpu().numpy().copy() for name, value in inputs.items()}
            logits, _, state = policy.step(observation, action, start, state)
            steps.append(WalkStep(saved, logits.cpu().numpy()))
            action, _ = sampler.draw(logits)
            observation, _, terminated, truncated, _ = env.step(action)
            start = terminated | truncated
    finally:
        env.close()
    return steps


@dataclass(frozen=True)
class Agreement:
    """How an exported policy compares with its original over a walk."""

    observations: int
    largest_difference: float
    """Of a logit."""
    same_action: float
    """Share of the observations in which both have the same most likely action; 0 to 1."""


def agreement(run: Callable[[dict[str, np.ndarray]], Sequence[np.ndarray]], steps: Sequence[WalkStep]) -> Agreement:
    """Compares the exported policy that `run` computes with the original along `steps`.

    The exported policy sees what the original saw, but keeps its own recurrent state.
    """
    state = steps[0].inputs["state"]
    differences, same = [], []
    for step in steps:
        logits, _, state = run({**step.inputs, "state": state})
        differences.append(np.abs(logits - step.logits).max())
        same.append(logits.argmax(-1) == step.logits.argmax(-1))
    return Agreement(sum(map(len, same)), float(max(differences)), float(np.mean(same)))
