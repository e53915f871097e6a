"""Floating-point operations against a count by hand."""

import torch

from batchsim.agents.networks.flops import flops_per_frame
from batchsim.agents.networks.policy import Policy, PolicyConfig


def test_large_policy_by_hand():
    policy = Policy(
        PolicyConfig(
            "se_resnet9", fine_goal=False, action_embedding_size=32, core="lstm", hidden_size=512, core_layers=2
        )
    )
    goal, stem = 3 * 32, 16**2 * (11 * 16) * 64
    blocks = 0
    for inputs, outputs, side in [(64, 64, 16), (64, 128, 8), (128, 256, 4), (256, 512, 2)]:
        shortcut = 0 if inputs == outputs else inputs * outputs
        blocks += side**2 * (9 * inputs * outputs + 9 * outputs**2 + shortcut) + 2 * outputs * (outputs // 16)
    end = 2**2 * 9 * 512 * 256 + 4 * 256 * 512
    lstm = 4 * 512 * (512 + 32 + 32 + 512) + 4 * 512 * (512 + 512)
    heads = 512 * (4 + 1)
    multiplications = goal + stem + blocks + end + lstm + heads
    flops = flops_per_frame(policy)
    assert flops.forward == 2 * multiplications
    # Each product has one for its weights' gradient and one for its input's, which observations do not need.
    assert flops.backward == 2 * (2 * multiplications - goal - stem)
    assert flops.training(epochs=2) == flops.forward + 2 * (flops.forward + flops.backward)


def test_small_policy_by_hand():
    policy = Policy(PolicyConfig(hidden_size=8, visual_channels=(4, 6), image_size=(16, 24)))
    patches = 4 * 6 * 16 * 4 + 2 * 3 * 16 * 6 + 36 * 8
    gru = 3 * 8 * (32 + 16 + 8) + 3 * 8 * 8
    assert flops_per_frame(policy).forward == 2 * (5 * 32 + patches + gru + 8 * 5)


def test_counting_leaves_no_trace(seeded):
    policy = Policy(PolicyConfig(hidden_size=8, images=()))
    before = torch.get_rng_state()
    flops_per_frame(policy)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.grad is None for parameter in policy.parameters())
