"""Advantages computed by hand, and minibatches that contain every step once."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from batchsim.agents.ppo.rollout_buffer import RolloutBuffer


def space(**shapes):
    return gym.spaces.Dict({name: gym.spaces.Box(0.0, 1.0, shape, np.float32) for name, shape in shapes.items()})


def rollout_of(rewards, values, done):
    rewards = torch.tensor(rewards)
    rollout = RolloutBuffer(*rewards.shape, space(), 1)
    for t in range(len(rewards)):
        rollout.values[t] = torch.tensor(values[t])
        rollout.store_outcome(t, rewards[t], torch.tensor(done[t]))
    return rollout


def test_advantages_by_hand():
    # gamma = lambda = 1/2. Environment 0 continues, environment 1 ends at step 1.
    rollout = rollout_of(
        rewards=[[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]],
        values=[[8.0, 8.0], [4.0, 4.0], [2.0, 2.0]],
        done=[[False, False], [False, True], [False, False]],
    )
    rollout.compute_returns(torch.tensor([6.0, 6.0]), gamma=0.5, gae_lambda=0.5)
    # deltas, environment 0: 1 + 4/2 - 8 = -5;  2 + 2/2 - 4 = -1;  4 + 6/2 - 2 = 5
    # advantages: 5;  -1 + 5/4 = 0.25;  -5 + 0.25/4 = -4.9375
    # environment 1 ends at step 1, so its delta there is 2 - 4 = -2, and nothing of step 2 comes before it:
    # -5 + -2/4 = -5.5
    expected = torch.tensor([[-4.9375, -5.5], [0.25, -2.0], [5.0, 5.0]])
    assert torch.equal(rollout.advantages, expected)
    assert torch.equal(rollout.returns, expected + rollout.values)


def test_lambda_one_gives_discounted_sums():
    rollout = rollout_of([[1.0], [1.0], [1.0]], [[0.3], [-0.7], [5.0]], [[False], [False], [False]])
    rollout.compute_returns(torch.tensor([10.0]), gamma=0.9, gae_lambda=1.0)
    sums = torch.tensor([[1 + 0.9 + 0.81 + 7.29], [1 + 0.9 + 8.1], [1 + 9.0]])
    assert torch.allclose(rollout.returns, sums)


def test_lambda_zero_gives_one_step_errors():
    rollout = rollout_of([[1.0], [2.0]], [[3.0], [5.0]], [[False], [True]])
    rollout.compute_returns(torch.tensor([100.0]), gamma=0.9, gae_lambda=0.0)
    assert torch.allclose(rollout.advantages, torch.tensor([[1 + 4.5 - 3], [2.0 - 5]]))


def test_a_truncated_step_is_bootstrapped_from_its_reward():
    # The value of the final observation, 7, is in the reward as gamma * 7: as if the episode had continued to it.
    cut = rollout_of([[1.0 + 0.9 * 7]], [[2.0]], [[True]])
    cut.compute_returns(torch.tensor([-50.0]), 0.9, 0.95)
    going_on = rollout_of([[1.0]], [[2.0]], [[False]])
    going_on.compute_returns(torch.tensor([7.0]), 0.9, 0.95)
    assert torch.allclose(cut.advantages, going_on.advantages)


def numbered(steps, num_envs):
    """A rollout whose every entry says which step and environment it belongs to."""
    number = torch.arange(steps * num_envs).view(steps, num_envs)
    rollout = RolloutBuffer(steps, num_envs, space(depth=(2, 2, 1), goal=(2,)), 3)
    rollout.state[:] = torch.arange(num_envs)[:, None]
    for t in range(steps):
        row = number[t].float()
        seen = {"depth": row.view(-1, 1, 1, 1).expand(-1, 2, 2, 1), "goal": row.view(-1, 1).expand(-1, 2)}
        rollout.store_decision(t, seen, number[t], number[t] % 5 == 0, number[t] + 1, -row, row / 2)
        rollout.store_outcome(t, row, number[t] % 7 == 0)
    rollout.compute_returns(torch.zeros(num_envs), 0.9, 0.9)
    return rollout, number


@pytest.mark.parametrize(("num_envs", "count"), [(8, 4), (9, 4), (7, 3), (5, 1), (3, 3), (2, 4)])
def test_minibatches_hold_each_environment_once(num_envs, count):
    rollout, number = numbered(3, num_envs)
    seen, sizes = [], []
    for batch in rollout.minibatches(count, torch.Generator().manual_seed(0)):
        columns = batch.previous_actions[0]
        seen += columns.tolist()
        sizes.append(len(columns))
        rows = number[:, columns]
        assert torch.equal(batch.previous_actions, rows)
        assert torch.equal(batch.observations["depth"][..., 0, 0, 0], rows.float())
        assert batch.observations["depth"].dtype == torch.float32
        assert torch.equal(batch.observations["goal"][..., 1], rows.float())
        assert torch.equal(batch.episode_start, rows % 5 == 0)
        assert torch.equal(batch.actions, rows + 1)
        assert torch.equal(batch.log_probs, -rows.float())
        assert torch.equal(batch.values, rows / 2)
        assert torch.equal(batch.advantages, rollout.advantages[:, columns])
        assert torch.equal(batch.returns, rollout.returns[:, columns])
        assert torch.equal(batch.state[:, 0], columns.float())
    assert sorted(seen) == list(range(num_envs))
    assert len(sizes) == min(count, num_envs)
    assert max(sizes) - min(sizes) <= 1


def test_each_pass_draws_other_minibatches():
    rollout, _ = numbered(2, 16)
    generator = torch.Generator().manual_seed(0)
    orders = [[b.previous_actions[0].tolist() for b in rollout.minibatches(4, generator)] for _ in range(2)]
    assert orders[0] != orders[1]
    again = [b.previous_actions[0].tolist() for b in rollout.minibatches(4, torch.Generator().manual_seed(0))]
    assert again == orders[0]


def test_depth_keeps_five_millimetres():
    depth = torch.rand(4, 8, 8, 1, generator=torch.Generator().manual_seed(0))
    rollout = RolloutBuffer(1, 4, space(depth=(8, 8, 1)), 1)
    zero = torch.zeros(4)
    rollout.store_decision(0, {"depth": depth}, zero.long(), zero.bool(), zero.long(), zero, zero)
    kept = torch.cat([b.observations["depth"] for b in rollout.minibatches(1, torch.Generator().manual_seed(0))])
    assert (kept[0].sort(0).values - depth.sort(0).values).abs().max() * 10 < 0.005
