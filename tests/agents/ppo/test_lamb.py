"""LAMB against an independent float64 implementation in numpy, and on steps computed by hand."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from batchsim.agents.networks.encoders.se_resnet import FixupBlock
from batchsim.agents.ppo.lamb import Lamb, lamb_groups

LR, EPS, DECAY = 3e-3, 1e-5, 1e-2


class Numpy:
    """One tensor under Lamb, a scalar at a time where it counts."""

    def __init__(self, weight, adapt):
        self.weight, self.adapt = np.array(weight, np.float64), adapt
        self.m = self.v = np.zeros_like(self.weight)
        self.t = 0

    def step(self, gradient):
        g = np.array(gradient, np.float64)
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * g
        self.v = 0.999 * self.v + 0.001 * g**2
        update = (self.m / (1 - 0.9**self.t)) / (np.sqrt(self.v / (1 - 0.999**self.t)) + EPS)
        ratio = 1.0
        if self.adapt:
            update = update + DECAY * self.weight
            length = np.sqrt((update**2).sum())
            ratio = min(np.sqrt((self.weight**2).sum()), 10.0) / length
            ratio = min(max(ratio, 0.01), 100.0)
        self.weight = self.weight - LR * ratio * update
        return ratio


def module():
    """Tensors whose trust ratios lie below, within and above the bounds."""
    parts = nn.Module()
    parts.small = nn.Parameter(1e-3 * torch.randn(40, 50))
    parts.usual = nn.Parameter(0.3 * torch.randn(8, 3, 3, 3))
    parts.heavy = nn.Parameter(20 * torch.randn(30, 30))
    parts.zero = nn.Parameter(torch.zeros(16, 16))
    parts.few = nn.Parameter(torch.full((1, 1), 9.0))
    parts.bias = nn.Parameter(torch.randn(8))
    parts.scalar = nn.Parameter(torch.ones(()))
    return parts


@pytest.mark.parametrize("foreach", [True, False])
def test_steps_against_float64(seeded, foreach):
    parts = module()
    optimizer = Lamb(lamb_groups(parts), lr=LR, foreach=foreach)
    references = {name: Numpy(p.detach().numpy(), p.ndim >= 2) for name, p in parts.named_parameters()}
    ratios = {}
    for k in range(25):
        for name, parameter in parts.named_parameters():
            # Gradients of very different sizes; Adam's part hardly sees that, but eps does.
            size = 1e-6 if name == "few" else 10.0 ** (k % 5 - 2)
            parameter.grad = size * torch.randn_like(parameter)
            ratios[name] = references[name].step(parameter.grad.numpy())
        optimizer.step()
        for name, parameter in parts.named_parameters():
            np.testing.assert_allclose(
                parameter.detach().numpy(), references[name].weight, rtol=2e-4, atol=2e-6, err_msg=name
            )
    assert ratios["small"] == 0.01
    assert 0.01 < ratios["usual"] < 1
    assert ratios["bias"] == ratios["scalar"] == 1


def test_the_first_step_by_hand():
    # The first step of Adam is the gradient's sign, but for eps. |w| = 5, |step| = |(1 + 0.03, 1 + 0.04)| = 1.4638.
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    weight.grad = torch.tensor([[7.0, 0.2]])
    Lamb([{"params": [weight]}], lr=0.1, eps=0.0).step()
    moved = 0.1 * 5 / 1.46373 * torch.tensor([[1.03, 1.04]])
    assert torch.allclose(weight.detach(), torch.tensor([[3.0, 4.0]]) - moved, atol=1e-5)


@pytest.mark.parametrize(("norm", "ratio"), [(1e-4, 0.01), (0.5, 0.5), (50.0, 10.0)])
def test_trust_is_bounded(norm, ratio):
    weight = nn.Parameter(torch.tensor([[norm]]))
    weight.grad = torch.tensor([[1.0]])
    Lamb([{"params": [weight]}], lr=0.1, eps=0.0, weight_decay=0.0).step()
    assert norm - weight.item() == pytest.approx(0.1 * ratio, rel=1e-3)


def test_biases_and_fixups_scalars_take_adams_step(seeded):
    block = FixupBlock(16, 32, 2, 4)
    adapted, plain = lamb_groups(block)
    names = {id(p): name for name, p in block.named_parameters()}
    expected = {"bias_1a", "bias_1b", "bias_2a", "bias_2b", "scale", "excite.squeeze.bias", "excite.excite.bias"}
    assert {names[id(p)] for p in plain["params"]} == expected
    assert len(adapted["params"]) + len(expected) == len(names)
    twin = nn.Parameter(plain["params"][0].detach().clone())
    lamb, adam = Lamb([adapted, plain], lr=0.01), torch.optim.Adam([twin], lr=0.01, eps=1e-5)
    for k in range(4):
        for parameter in (*block.parameters(), twin):
            parameter.grad = torch.full_like(parameter, 0.5 - k)
        lamb.step()
        adam.step()
        assert torch.allclose(plain["params"][0], twin, atol=1e-7)


def test_weights_without_a_gradient_stay(seeded):
    parts = module()
    before = {name: p.detach().clone() for name, p in parts.named_parameters()}
    parts.usual.grad = torch.ones_like(parts.usual)
    Lamb(lamb_groups(parts), lr=LR).step()
    changed = [name for name, p in parts.named_parameters() if not torch.equal(p, before[name])]
    assert changed == ["usual"]


def test_it_goes_on_from_a_state_dict(seeded):
    def run(parts, optimizer, seeds):
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            for parameter in parts.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()

    parts = module()
    optimizer = Lamb(lamb_groups(parts), lr=LR)
    run(parts, optimizer, [1, 2])
    twin = copy.deepcopy(parts)
    resumed = Lamb(lamb_groups(twin), lr=LR)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(parts, optimizer, [3])
    run(twin, resumed, [3])
    assert all(torch.equal(a, b) for a, b in zip(parts.parameters(), twin.parameters(), strict=True))
