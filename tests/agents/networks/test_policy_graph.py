"""A captured policy step does what the step does, also after the weights have changed."""

from dataclasses import replace

import pytest
import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.training.build import make_trainer
from batchsim.cuda_graph import Graphed

GOAL = "pointgoal_with_gps_compass"


def inputs(num_envs, state_size, seed):
    generator = torch.Generator().manual_seed(seed)
    observation = {
        "depth": torch.rand(num_envs, 64, 64, 1, generator=generator).cuda(),
        GOAL: torch.rand(num_envs, 2, generator=generator).cuda(),
    }
    previous = torch.randint(4, (num_envs,), generator=generator).cuda()
    episode_start = (torch.rand(num_envs, generator=generator) < 0.3).cuda()
    return observation, previous, episode_start, torch.randn(num_envs, state_size, generator=generator).cuda()


@pytest.mark.gpu
@pytest.mark.parametrize("core", ["gru", "lstm"])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@torch.no_grad()
def test_gpu_graph_equals_the_step(seeded, core, dtype):
    policy = Policy(PolicyConfig(core=core)).cuda().eval()
    policy.compute_dtype = dtype
    graphed = Graphed(policy.step)
    kept = []
    for seed in range(4):
        given = inputs(16, policy.core.state_size, seed)
        found, expected = graphed(*given), policy.step(*given)
        kept.append((found, [x.clone() for x in found]))
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, atol=1e-2 if dtype else 1e-4, rtol=0)
        for parameter in policy.parameters():
            parameter.mul_(0.9)
    assert all(torch.equal(a, b) for found, then in kept for a, b in zip(found, then, strict=True))


@pytest.mark.gpu
@torch.no_grad()
def test_gpu_other_batches_go_to_the_step(seeded):
    policy = Policy(PolicyConfig()).cuda().eval()
    graphed = Graphed(policy.step)
    graphed(*inputs(16, policy.core.state_size, 0))
    given = inputs(5, policy.core.state_size, 1)
    for a, b in zip(graphed(*given), policy.step(*given), strict=True):
        assert torch.equal(a, b)


@pytest.mark.gpu
def test_gpu_training_with_the_graph_equals_training_without():
    config = TrainConfig(scenes="one-room", num_envs=8, rollout_steps=8, renderer="raycast", device="cuda")
    rows = []
    for graphed in (False, True):
        trainer = make_trainer(replace(config, policy_cuda_graph=graphed))
        rows.append([trainer.iteration() for _ in range(2)])
        trainer.env.close()
    for plain, graphed in zip(*rows, strict=True):
        assert graphed["value_loss"] == pytest.approx(plain["value_loss"], rel=1e-2, abs=1e-4)
        assert graphed["entropy"] == pytest.approx(plain["entropy"], rel=1e-2)
