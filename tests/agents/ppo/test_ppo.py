"""The loss on a worked example, and what an update must do."""

import copy
import math

import gymnasium as gym
import numpy as np
import pytest
import torch

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.networks.vector_features import GOAL
from batchsim.agents.ppo.ppo import PPO, PPOConfig, check_finite, explained_variance, ppo_loss
from batchsim.agents.ppo.rollout_buffer import Batch, RolloutBuffer

PLAIN = PPOConfig(normalize_advantage=False, clip=0.2, value_coefficient=0.5, entropy_coefficient=0.1)


def batch_of(actions, old_probs, advantages, returns):
    """A batch of one step of several environments."""
    row = torch.tensor([returns])
    log_probs = torch.tensor([old_probs]).log()
    none = torch.zeros_like(row)
    actions = torch.tensor([actions])
    return Batch({}, actions, none.bool(), none, actions, log_probs, none, torch.tensor([advantages]), row)


def test_loss_by_hand():
    # Two actions; the present policy chooses the first with 3/5 in environments 0 and 1 and 1/2 in the others.
    probs = torch.tensor([[[0.6, 0.4], [0.6, 0.4], [0.5, 0.5], [0.5, 0.5]]])
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    batch = batch_of([0, 1, 0, 0], [0.4, 0.8, 0.5, 0.4], [1.0, 1.0, 2.0, -1.0], [2.0, 2.0, 2.0, 2.0])
    terms = ppo_loss(probs.log(), values, batch, PLAIN)
    # ratios 1.5, 0.5, 1, 1.25. Gains: min(1.5, 1.2) = 1.2;  min(0.5, 0.8) = 0.5;  2;  min(-1.25, -1.2) = -1.25
    policy_loss = -(1.2 + 0.5 + 2 - 1.25) / 4
    value_loss = 0.5 * (1 + 0 + 1 + 4) / 4
    entropy = (2 * -(0.6 * math.log(0.6) + 0.4 * math.log(0.4)) + 2 * math.log(2)) / 4
    assert float(terms["policy_loss"]) == pytest.approx(policy_loss)
    assert float(terms["value_loss"]) == pytest.approx(value_loss)
    assert float(terms["entropy"]) == pytest.approx(entropy)
    assert float(terms["loss"]) == pytest.approx(policy_loss + 0.5 * value_loss - 0.1 * entropy)
    kl = sum(r - 1 - math.log(r) for r in (1.5, 0.5, 1.0, 1.25)) / 4
    assert float(terms["approx_kl"]) == pytest.approx(kl)
    assert float(terms["clip_fraction"]) == 0.75


def test_advantages_are_scaled():
    logits = torch.zeros(1, 4, 2)
    batch = batch_of([0, 0, 1, 1], [0.5] * 4, [10.0, 20.0, 30.0, 40.0], [0.0] * 4)
    moved = batch_of([0, 0, 1, 1], [0.5] * 4, [-1.0, 0.0, 1.0, 2.0], [0.0] * 4)
    config = PPOConfig(normalize_advantage=True)
    values = torch.zeros(1, 4)
    a, b = (ppo_loss(logits + torch.tensor([0.1, 0.0]), values, x, config)["policy_loss"] for x in (batch, moved))
    assert float(a) == pytest.approx(float(b), abs=1e-5)


def test_clipped_gains_have_no_gradient():
    logits = torch.zeros(1, 2, 2, requires_grad=True)
    # Both ratios are 1.25: beyond the clip for the better, where nothing is gained, and for the worse, where it is.
    batch = batch_of([0, 0], [0.4, 0.4], [1.0, -1.0], [0.0, 0.0])
    ppo_loss(logits, torch.zeros(1, 2), batch, PLAIN)["policy_loss"].backward()
    assert not logits.grad[0, 0].any()
    assert logits.grad[0, 1].any()


def filled(policy, good_action, steps=8, num_envs=16):
    """A rollout in which one action was rewarded and all others were not."""
    generator = torch.Generator().manual_seed(0)
    observation = {GOAL: torch.rand(num_envs, 2, generator=generator)}
    state = policy.initial_state(num_envs)
    space = gym.spaces.Dict({GOAL: gym.spaces.Box(0.0, 1.0, (2,), np.float32)})
    rollout = RolloutBuffer(steps, num_envs, space, state.shape[1])
    rollout.state.copy_(state)
    action, episode_start = torch.zeros(num_envs, dtype=torch.int64), torch.ones(num_envs, dtype=torch.bool)
    for t in range(steps):
        with torch.no_grad():
            logits, value, state = policy.step(observation, action, episode_start, state)
        chosen = torch.randint(0, 4, (num_envs,), generator=generator)
        log_prob = torch.log_softmax(logits, -1).gather(-1, chosen[:, None]).squeeze(-1)
        rollout.store_decision(t, observation, action, episode_start, chosen, log_prob, value)
        action, episode_start = chosen, torch.ones(num_envs, dtype=torch.bool)
        rollout.store_outcome(t, (chosen == good_action).float(), episode_start)
    rollout.compute_returns(torch.zeros(num_envs), 0.99, 0.95)
    return rollout, observation


@pytest.fixture
def policy(seeded):
    return Policy(PolicyConfig(hidden_size=16, images=()))


@pytest.mark.parametrize("good", [0, 2])
def test_an_update_makes_the_rewarded_action_likelier(policy, good):
    rollout, observation = filled(policy, good)
    episode_start = torch.ones(16, dtype=torch.bool)
    arguments = observation, torch.zeros(16, dtype=torch.int64), episode_start, policy.initial_state(16)

    def chance():
        with torch.no_grad():
            return float(torch.softmax(policy.step(*arguments)[0], -1)[:, good].mean())

    before = chance()
    ppo = PPO(policy, PPOConfig(learning_rate=3e-3))
    generator = torch.Generator().manual_seed(0)
    losses = [ppo.update(rollout, generator) for _ in range(5)]
    assert chance() > 1.2 * before
    assert losses[-1]["value_loss"] < losses[0]["value_loss"]
    wanted = {"loss", "policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction", "gradient_norm"}
    assert wanted | {"explained_variance"} <= set(losses[0])
    assert all(math.isfinite(value) for value in losses[0].values())


def test_the_first_minibatch_sees_the_policy_that_acted(policy):
    rollout, _ = filled(policy, 1)
    losses = PPO(policy, PPOConfig(epochs=1, minibatches=1)).update(rollout, torch.Generator().manual_seed(0))
    assert losses["approx_kl"] == pytest.approx(0, abs=1e-6)
    assert losses["clip_fraction"] == 0


def test_the_learning_rate_can_be_set(policy):
    rollout, _ = filled(policy, 1)
    ppo = PPO(policy, PPOConfig())
    ppo.set_learning_rate(0.0)
    before = [p.detach().clone() for p in policy.parameters()]
    ppo.update(rollout, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))


def test_explained_variance_by_hand():
    returns = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert float(explained_variance(returns, returns)) == 1
    assert float(explained_variance(torch.full((2, 2), 7.0), returns)) == pytest.approx(0)
    # Errors 1, 1, -1, -1 have four fifths of the variance of returns 1, 2, 3, 4: 4/3 against 5/3.
    assert float(explained_variance(returns - torch.tensor([[1.0, 1.0], [-1.0, -1.0]]), returns)) == pytest.approx(0.2)


def test_terms_that_are_not_finite_are_named():
    good, bad, worse = torch.tensor(1.0), torch.tensor(float("nan")), torch.tensor(float("-inf"))
    check_finite({"policy_loss": good, "entropy": good})
    with pytest.raises(AgentError, match=r"value_loss, gradient_norm not finite"):
        check_finite({"policy_loss": good, "value_loss": bad, "entropy": good, "gradient_norm": worse})


@pytest.mark.parametrize("optimizer", ["adam", "lamb"])
@pytest.mark.parametrize(("broken", "named"), [("advantages", "policy_loss"), ("returns", "value_loss")])
def test_no_step_is_taken_from_a_loss_that_is_not_finite(policy, optimizer, broken, named):
    rollout, _ = filled(policy, 1)
    ppo = PPO(policy, PPOConfig(optimizer=optimizer, minibatches=1, normalize_advantage=False))
    ppo.update(rollout, torch.Generator().manual_seed(0))
    before = [p.detach().clone() for p in policy.parameters()]
    moments = [v.clone() for state in ppo.optimizer.state.values() for v in state.values()]
    getattr(rollout, broken)[3, 2] = float("inf")
    with pytest.raises(AgentError, match=rf"{named}.*gradient_norm"):
        ppo.update(rollout, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))
    after = [v for state in ppo.optimizer.state.values() for v in state.values()]
    assert all(torch.equal(a, b) for a, b in zip(moments, after, strict=True))


@pytest.mark.parametrize("optimizer", ["adam", "lamb"])
def test_a_step_tensor_by_tensor_is_the_fused_step(policy, optimizer):
    rollout, _ = filled(policy, 1)
    twins = [copy.deepcopy(policy) for _ in range(2)]
    for twin, fused in zip(twins, (True, False), strict=True):
        ppo = PPO(twin, PPOConfig(optimizer=optimizer, fused_optimizer=fused))
        ppo.update(rollout, torch.Generator().manual_seed(0))
    for a, b in zip(*(twin.parameters() for twin in twins), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    assert (twins[0].actor.weight - policy.actor.weight).abs().min() > 1e-5


def test_lamb_learns_too(policy):
    rollout, observation = filled(policy, 2)
    episode_start = torch.ones(16, dtype=torch.bool)
    arguments = observation, torch.zeros(16, dtype=torch.int64), episode_start, policy.initial_state(16)

    def chance():
        with torch.no_grad():
            return float(torch.softmax(policy.step(*arguments)[0], -1)[:, 2].mean())

    before = chance()
    ppo = PPO(policy, PPOConfig(optimizer="lamb", learning_rate=0.02))
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        ppo.update(rollout, generator)
    assert chance() > 1.2 * before
