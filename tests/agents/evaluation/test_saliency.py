"""A policy's inner values, against a gradient known in closed form and against the policy run by itself."""

import numpy as np
import pytest
import torch

from batchsim.agents.evaluation.saliency import PolicyTracer
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.networks.vector_features import GOAL

STEPS, ENVS, SIZE, ACTIONS = 4, 3, 8, 4


@pytest.fixture
def experience():
    generator = torch.Generator().manual_seed(5)
    observations = [
        {
            "depth": torch.rand(ENVS, SIZE, SIZE, 1, generator=generator),
            "rgb": torch.randint(0, 256, (ENVS, SIZE, SIZE, 3), generator=generator).to(torch.uint8),
            GOAL: torch.rand(ENVS, 2, generator=generator) * 4,
        }
        for _ in range(STEPS)
    ]
    return observations, torch.randint(0, ACTIONS, (STEPS, ENVS), generator=generator)


class LinearPolicy:
    """Logits are a product of all pixels, of what is remembered of earlier ones, and of the previous action."""

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        self.weights = {
            "depth": torch.randn(SIZE * SIZE, ACTIONS, generator=generator) / 8,
            "rgb": torch.randn(SIZE * SIZE * 3, ACTIONS, generator=generator) / 2000,
        }

    def initial_state(self, num_envs):
        return torch.zeros(num_envs, 1)

    def blank_action(self, num_envs):
        return torch.zeros(num_envs, dtype=torch.int64)

    def step(self, observation, previous_action, episode_start, state):
        logits = sum(observation[name].flatten(1) @ weight for name, weight in self.weights.items())
        logits = (
            logits + state + torch.where(episode_start, 0, previous_action).unsqueeze(-1) * torch.tensor([0, 0.1, 0, 0])
        )
        return logits, logits[:, 0], state + observation["depth"].mean((1, 2))


def test_saliency_is_the_gradient_of_the_chosen_actions_log_probability(experience):
    observations, actions = experience
    policy = LinearPolicy()
    tracer = PolicyTracer(policy, ENVS)
    for observation, action in zip(observations, actions, strict=True):
        tracer.add(observation, action)
    state, previous = np.zeros(ENVS), np.zeros(ENVS)
    for step, (observation, action) in enumerate(zip(observations, actions, strict=True)):
        pixels = {name: observation[name].double().numpy().reshape(ENVS, -1) for name in ("depth", "rgb")}
        logits = sum(pixels[name] @ weight.double().numpy() for name, weight in policy.weights.items())
        logits += state[:, None] + previous[:, None] * [0, 0.1, 0, 0]
        chance = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        for env in range(ENVS):
            trace = tracer.trace(env, STEPS)
            for name, channels in (("depth", 1), ("rgb", 3)):
                # d log p(a) / dx = W_a - sum over b of p(b) W_b
                weight = policy.weights[name].double().numpy()
                gradient = weight[:, action[env]] - weight @ chance[env]
                expected = np.abs(gradient).reshape(SIZE, SIZE, channels).max(-1)
                assert np.allclose(trace.saliency[name][step], expected, rtol=1e-4, atol=1e-7)
        state, previous = state + pixels["depth"].mean(1), action.numpy()


def test_memory_is_that_of_the_policy_alone(seeded, experience):
    observations, actions = experience
    config = PolicyConfig(hidden_size=24, images=("depth", "rgb"), visual_channels=(4, 8), image_size=(SIZE, SIZE))
    policy = Policy(config).eval()
    tracer = PolicyTracer(policy, ENVS)
    for observation, action in zip(observations, actions, strict=True):
        tracer.add(observation, action)
    for env in range(ENVS):
        state, previous = policy.initial_state(1), torch.zeros(1, dtype=torch.int64)
        episode_start = torch.ones(1, dtype=torch.bool)
        for step, observation in enumerate(observations):
            mine = {name: value[env : env + 1] for name, value in observation.items()}
            with torch.no_grad():
                _, _, state = policy.step(mine, previous, episode_start, state)
            previous, episode_start = actions[step, env : env + 1], torch.zeros_like(episode_start)
            assert np.allclose(tracer.trace(env, STEPS).memory[step], state[0].numpy(), atol=1e-5)
    assert tracer.trace(0, 2).memory.shape == (2, 24)
    assert tracer.trace(0, 2).saliency["depth"].max() > 0


def test_blind_policies_have_memory_and_no_saliency(seeded, experience):
    observations, actions = experience
    tracer = PolicyTracer(Policy(PolicyConfig(hidden_size=24, images=())).eval(), ENVS)
    tracer.add({GOAL: observations[0][GOAL]}, actions[0])
    trace = tracer.trace(1, 1)
    assert trace.saliency == {}
    assert trace.memory.shape == (1, 24)
