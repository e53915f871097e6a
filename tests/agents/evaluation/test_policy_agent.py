"""What a policy thinks of an episode does not depend on how many others it is asked about."""

import pytest
import torch

from batchsim.agents.evaluation.policy_agent import PolicyAgent
from batchsim.agents.networks.policy import Policy, PolicyConfig

COUNT, STEPS = 70, 4
SIZE = (32, 32)


class Overheard(Policy):
    """Keeps the logits of its last steps, block by block."""

    def step(self, *arguments):
        logits, value, state = super().step(*arguments)
        self.said.append(logits)
        return logits, value, state


@pytest.fixture
def policy(seeded):
    policy = Overheard(PolicyConfig(image_size=SIZE, hidden_size=96)).eval()
    with torch.no_grad():
        policy.actor.weight.mul_(100)
    return policy


@pytest.fixture
def seen():
    """What 70 environments show in a few steps, and what is drawn in them."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.rand(STEPS, COUNT, *shape, generator=generator)

    episode_start = draw() < 0.2
    episode_start[0] = True
    return draw(*SIZE, 1), draw(2) * 3, episode_start, draw()


def logits_and_actions(policy, seen, num_envs):
    """Of all 70, `num_envs` at a time: logits `[STEPS, 70, 4]` and actions `[STEPS, 70]`."""
    depth, goal, episode_start, chance = seen
    logits, actions = [], []
    for first in range(0, COUNT, num_envs):
        rows = slice(first, first + num_envs)
        count = len(chance[0, rows])
        agent = PolicyAgent(policy, count)
        for t in range(STEPS):
            policy.said = []
            observation = {"depth": depth[t, rows], "pointgoal_with_gps_compass": goal[t, rows], "unused": None}
            actions.append(agent.act(observation, episode_start[t, rows], chance[t, rows]))
            logits.append(torch.cat(policy.said)[:count])

    def by_step(values):
        return torch.stack([torch.cat(values[t::STEPS]) for t in range(STEPS)])

    return by_step(logits), by_step(actions)


def test_logits_are_the_same_bit_for_bit_for_any_number_of_environments(policy, seen):
    logits, actions = logits_and_actions(policy, seen, COUNT)
    assert actions.shape == (STEPS, COUNT)
    assert set(actions.flatten().tolist()) == {0, 1, 2, 3}
    for num_envs in (1, 3, 7, 33, 64):
        others = logits_and_actions(policy, seen, num_envs)
        assert torch.equal(others[0], logits)
        assert torch.equal(others[1], actions)


def test_actions_are_drawn_by_their_likelihood(policy, seen):
    depth, goal, _, _ = seen
    count = 4000
    observation = {
        "depth": depth[0, :1].expand(count, -1, -1, -1),
        "pointgoal_with_gps_compass": goal[0, :1].expand(count, -1),
    }
    policy.said = []
    chance = torch.linspace(0, 1, count + 1)[:-1]
    agent = PolicyAgent(policy, count)
    actions = agent.act(observation, torch.ones(count, dtype=torch.bool), chance)
    expected = torch.softmax(policy.said[0][0], -1)
    assert torch.allclose(torch.bincount(actions, minlength=4) / count, expected, atol=1e-3)
    likeliest = PolicyAgent(policy, count, deterministic=True)
    assert (likeliest.act(observation, torch.ones(count, dtype=torch.bool), chance) == expected.argmax()).all()
