"""Velocities: the normal distribution against torch's, draws that repeat, and learning to reach a goal."""

import pytest
import torch
from torch.distributions import Normal

from batchsim.agents.config import TrainConfig
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.ppo.action_distribution import log_prob_and_entropy
from batchsim.agents.ppo.action_sampler import ActionSampler
from batchsim.agents.ppo.ppo import PPOConfig
from batchsim.agents.training.build import make_trainer


def test_densities_and_entropies_are_those_of_torch():
    mean, log_std, actions = torch.randn(3, 7, 5, 2, generator=torch.Generator().manual_seed(0))
    log_prob, entropy = log_prob_and_entropy(torch.cat((mean, log_std), -1), actions)
    exact = Normal(mean, log_std.exp())
    torch.testing.assert_close(log_prob, exact.log_prob(actions).sum(-1))
    torch.testing.assert_close(entropy, exact.entropy().sum(-1))


def test_draws_have_the_right_mean_and_deviation_and_do_not_depend_on_others():
    logits = torch.tensor([0.5, -1.0, -0.7, 0.3]).expand(4000, -1)
    sampler = ActionSampler(torch.arange(4000), continuous=True)
    first, log_prob = sampler.draw(logits)
    expected = Normal(logits[:, :2], logits[:, 2:].exp())
    assert first.mean(0).tolist() == pytest.approx([0.5, -1.0], abs=0.06)
    assert first.std(0).tolist() == pytest.approx([0.4966, 1.3499], rel=0.04)
    torch.testing.assert_close(log_prob, expected.log_prob(first).sum(-1))
    alone = ActionSampler(torch.arange(2), continuous=True)
    assert torch.equal(alone.draw(logits[:2])[0], first[:2])
    assert not torch.equal(alone.draw(logits[:2])[0], first[:2])


def test_the_policy_reads_its_last_velocities_and_gives_finite_gradients():
    policy = Policy(PolicyConfig(images=(), continuous=True, num_actions=2, stop_action=None))
    observation, start = policy.blank_observation(3), torch.tensor([True, False, False])
    action = torch.tensor([[9.0, 9.0], [0.0, 0.0], [1.0, -1.0]])
    logits, value, _ = policy.step(observation, action, start, policy.initial_state(3))
    assert logits.shape == (3, 4)
    torch.testing.assert_close(value[0], value[1])  # the first action of an episode has none before it
    assert not torch.isclose(value[1], value[2])
    (logits.sum() + value.sum()).backward()
    assert policy.log_std.grad.tolist() == [3.0, 3.0]


def test_ppo_learns_to_drive_to_a_goal_and_stop():
    config = TrainConfig(
        scenes="one-room",
        blind=True,
        action_mode="velocity",
        num_envs=64,
        max_episode_steps=120,
        hidden_size=64,
        device="cpu",
        ppo=PPOConfig(entropy_coefficient=0.0, learning_rate=2e-3),
    )
    trainer = make_trainer(config)
    success = [trainer.iteration()["success"] for _ in range(45)]
    assert max(success[:8]) < 0.3
    assert sum(success[-5:]) / 5 > 0.6
