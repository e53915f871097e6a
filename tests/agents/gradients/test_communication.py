"""What the hook leaves of the gradients is what the codec makes of each parameter's, averaged over the ranks."""

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from batchsim.agents.gradients.codecs import SixBits, StochasticPruning
from batchsim.agents.gradients.communication import coded_all_reduce


@pytest.fixture
def alone():
    """A process group of one rank."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("make", [SixBits, lambda: StochasticPruning(0.7)])
def test_each_parameter_is_coded(alone, seeded, make):
    plain = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 2))
    inputs = torch.randn(8, 6)
    plain(inputs).square().sum().backward()
    expected = [p.grad.clone() for p in plain.parameters()]
    plain.zero_grad()
    codec = make()
    codec.seed(5)
    wrapped = DistributedDataParallel(plain)
    wrapped.register_comm_hook(codec, coded_all_reduce)
    wrapped(inputs).square().sum().backward()
    sizes = sum(p.numel() for p in plain.parameters())
    assert 0.1 < float(codec.bytes_share()) < 0.6
    changed = 0
    for parameter, before in zip(plain.parameters(), expected, strict=True):
        gradient = parameter.grad
        zero = gradient == 0
        assert (gradient[~zero].sign() == before[~zero].sign()).all()
        changed += int((gradient != before).sum())
    assert changed > 0.3 * sizes
