"""Pruned weights stay zero, quantised ones stay powers of two, and each stage has the share that it should."""

import math

import pytest
import torch

from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.shrinking.powers_of_two import PowersOfTwo, highest_power, to_powers
from batchsim.agents.shrinking.pruning import Pruning, matrices

CONFIG = PolicyConfig(image_size=(16, 16), visual_channels=(8, 8), hidden_size=24)


@pytest.fixture
def policy(seeded):
    made = Policy(CONFIG)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    return made


def disturb(policy):
    """As an update of the optimiser would."""
    with torch.no_grad():
        for weight in policy.parameters():
            weight.add_(0.05 * torch.randn_like(weight))


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_the_smallest_weights_become_zero_and_stay_zero(policy, share):
    before = [weight.detach().clone() for weight in matrices(policy)]
    pruning = Pruning(policy, share)
    pruning.tighten(1.0)
    for weight, old in zip(matrices(policy), before, strict=True):
        gone = weight == 0
        assert int(gone.sum()) == round(share * weight.numel())
        assert old[gone].abs().max() <= old[~gone].abs().min()
        assert torch.equal(weight[~gone], old[~gone])
    disturb(policy)
    pruning.apply()
    assert all(int((w == 0).sum()) == round(share * w.numel()) for w in matrices(policy))


def test_zeros_come_bit_by_bit(policy):
    pruning, shares = Pruning(policy, 0.8), []
    for done in (0.0, 0.1, 0.25, 0.4, 0.5, 0.9, 1.0):
        pruning.tighten(done)
        shares.append(float((policy.core.from_input.weight == 0).float().mean()))
        disturb(policy)
        pruning.apply()
    # 0.8 (1 - (1 - t / 0.5)^3)
    assert shares == pytest.approx([0, 0.3904, 0.7, 0.7936, 0.8, 0.8, 0.8], abs=2e-3)


def test_pruning_continues_after_a_stop(policy):
    Pruning(policy, 0.8).tighten(1.0)
    zeros = [weight == 0 for weight in matrices(policy)]
    again = Pruning(policy, 0.8)
    disturb(policy)
    again.apply()
    assert all(torch.equal(w == 0, z) for w, z in zip(matrices(policy), zeros, strict=True))


def test_rounding_by_hand():
    # Powers up to 2^0 with 3 levels: 1, 1/2, 1/4. Limits: 0.125, 0.375, 0.75.
    values = torch.tensor([0.0, 0.12, 0.126, 0.37, 0.376, 0.74, 0.76, 1.4, -0.2, -0.9])
    expected = torch.tensor([0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 1.0, 1.0, -0.25, -1.0])
    assert torch.equal(to_powers(values, 0, 3), expected)
    # n1 = floor(log2(4 s / 3))
    for largest, power in ((1.0, 0), (1.49, 0), (1.51, 1), (0.74, -1), (0.76, 0), (0.0, 0)):
        assert highest_power(torch.tensor([0.1 * largest, -largest])) == power


@pytest.mark.parametrize("bits", [3, 5])
def test_all_weights_become_powers_of_two(policy, bits):
    made = PowersOfTwo(policy, bits)
    for done in (0.0, 0.3, 0.6, 0.85):
        made.tighten(done)
        disturb(policy)
        made.apply()
    for weight in matrices(policy):
        sizes = weight[weight != 0].abs().log2()
        assert torch.equal(sizes, sizes.round())
        assert len(sizes.unique()) <= 2 ** (bits - 2)


@pytest.mark.parametrize(("done", "share"), [(0.0, 0.5), (0.25, 0.75), (0.5, 0.875), (0.8, 1.0)])
def test_the_largest_are_quantised_first(policy, done, share):
    before = policy.core.from_input.weight.detach().clone()
    made = PowersOfTwo(policy, 5)
    made.tighten(done)
    weight = policy.core.from_input.weight
    changed = weight != before
    assert int(changed.sum()) == math.ceil(share * weight.numel())
    if share < 1:
        assert before[changed].abs().min() >= before[~changed].abs().max()


def test_powers_leave_pruned_weights_zero_and_count_the_others(policy):
    Pruning(policy, 0.8).tighten(1.0)
    weight = policy.core.from_input.weight
    zeros = weight == 0
    made = PowersOfTwo(policy, 5)
    made.tighten(0.0)
    disturb(policy)
    made.apply()
    assert not weight[zeros].any()
    left = int((~zeros).sum())
    powers = weight[~zeros].abs().log2()
    assert int((powers == powers.round()).sum()) == pytest.approx(math.ceil(0.5 * left), abs=1)


def test_powers_continue_after_a_stop(policy):
    PowersOfTwo(policy, 5).tighten(0.5)
    before = policy.core.from_input.weight.detach().clone()
    again = PowersOfTwo(policy, 5)
    again.tighten(0.5)
    assert torch.equal(policy.core.from_input.weight, before)
    disturb(policy)
    again.apply()
    kept = policy.core.from_input.weight == before
    assert float(kept.float().mean()) == pytest.approx(0.875, abs=0.002)
