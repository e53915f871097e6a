"""Actions come from the policy's distribution, and from nothing but seed and count."""

import torch

from batchsim.agents.ppo.action_sampler import ActionSampler


def test_actions_are_drawn_from_the_policy():
    probs = torch.tensor([0.1, 0.2, 0.3, 0.4])
    action, log_prob = ActionSampler(torch.arange(40_000)).draw(probs.log().expand(40_000, 4))
    assert torch.allclose(torch.bincount(action, minlength=4) / 40_000, probs, atol=0.01)
    assert torch.allclose(log_prob, probs.log()[action])


def test_one_environment_draws_from_the_policy_over_time():
    draws = ActionSampler(torch.tensor([5]))
    logits = torch.tensor([[0.0, 1.0, 2.0]])
    actions = torch.cat([draws.draw(logits)[0] for _ in range(4000)])
    assert torch.allclose(torch.bincount(actions, minlength=3) / 4000, logits[0].softmax(0), atol=0.03)
    # One draw says nothing about the next.
    pairs = torch.bincount(3 * actions[:-1] + actions[1:], minlength=9).view(3, 3) / 3999
    assert torch.allclose(pairs, logits[0].softmax(0)[:, None] * logits[0].softmax(0), atol=0.03)


def test_a_draw_does_not_depend_on_the_others():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    together, alone = ActionSampler(torch.arange(6)), ActionSampler(torch.tensor([4]))
    drawn = [(together.draw(logits)[0][4].item(), alone.draw(logits[4:5])[0].item()) for _ in range(50)]
    assert all(a == b for a, b in drawn)
    assert len({a for a, _ in drawn}) > 1
