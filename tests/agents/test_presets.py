"""The presets run, at a size that a test can afford; and the ways to compute a policy agree with each other."""

import math
from dataclasses import replace

import pytest
import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.distributed.ranks import DistributedConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.networks.vector_features import GOAL
from batchsim.agents.ppo.ppo import PPOConfig
from batchsim.agents.ppo.trainer import Trainer
from batchsim.agents.presets import PRESETS, preset
from batchsim.agents.training.build import make_policy
from batchsim.cuda_graph import sync_debug


@pytest.mark.parametrize("name", ["pointnav-depth", "pointnav-rgb"])
def test_large_presets_learn_in_small(make_env, one_room, seeded, name):
    config = replace(preset(name), num_envs=4, rollout_steps=4, precision="bfloat16", renderer="raster")
    config.check()
    env = make_env(config.num_envs, one_room, max_episode_steps=3, device="cpu", **config.env_options())
    policy = make_policy(config, env)
    assert policy.compute_dtype == torch.bfloat16
    assert policy.config.images == config.sensors
    trainer = Trainer(env, policy, config.ppo, config.rollout_steps, config.seed)
    before = [p.detach().clone() for p in policy.parameters()]
    rows = [trainer.iteration() for _ in range(2)]
    # The policy that acted and the one that learns are the same to the last bits of half precision.
    assert abs(rows[0]["approx_kl"]) < 1e-2
    moved = [not torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True)]
    assert sum(moved) > 0.9 * len(moved)
    assert all(p.dtype == torch.float32 for p in policy.parameters())


def test_presets_are_whole_runs():
    for name, config in PRESETS.items():
        config.check()
        assert preset(name) is config
    with pytest.raises(AgentError, match="pointnav-depth"):
        preset("pointnav")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr_warmup": 1.0}, "lr_warmup is 1.0"),
        ({"core_layers": 2}, "core_layers is 2"),
        ({"num_envs": 2}, "minibatches"),
        ({"height": 40}, r"\(40, 64\).*multiples of 16"),
        ({"visual": "se_resnet9", "width": 80}, r"\(64, 80\).*multiples of 32"),
        ({"core": "lstm", "core_layers": 0}, "core_layers is 0"),
        ({"action_embedding_size": 0}, "action_embedding_size is 0"),
        ({"visual_channels": ()}, "visual_channels"),
        ({"sensors": ()}, "--blind"),
        ({"seed": -1}, "seed is -1"),
        ({"rollout_steps": 1}, "rollout_steps is 1"),
        ({"eval_episodes": 0}, "eval_episodes is 0"),
        ({"ppo": PPOConfig(learning_rate=-1.0)}, "learning_rate is -1"),
        ({"ppo": PPOConfig(epochs=0)}, "epochs is 0"),
        ({"ppo": PPOConfig(gamma=1.5)}, "gamma is 1.5"),
        ({"ppo": PPOConfig(value_coefficient=-0.5)}, r"value_coefficient is -0\.5"),
        ({"ppo": PPOConfig(entropy_coefficient=-1.0)}, r"entropy_coefficient is -1\.0"),
        ({"ppo": PPOConfig(clip=math.nan)}, "clip is nan"),
        ({"ppo": PPOConfig(learning_rate=math.inf)}, "learning_rate is inf"),
        ({"checkpoint_minutes": math.nan}, "checkpoint_minutes is nan"),
        ({"checkpoint_minutes": -1.0}, "checkpoint_minutes is -1"),
        ({"eval_every_minutes": math.nan}, "eval_every_minutes is nan"),
        ({"max_minutes": math.nan}, "max_minutes is nan"),
        ({"final_lr_fraction": math.nan}, "final_lr_fraction is nan"),
        ({"lr_warmup": math.nan}, "lr_warmup is nan"),
        ({"num_envs": 10**18}, "num_envs is 10{18}; expected at most"),
        ({"hidden_size": 10**18}, "hidden_size is 10{18}; expected at most"),
        ({"num_resident_scenes": 0}, "num_resident_scenes is 0"),
        ({"scenes": ""}, "scenes is empty"),
        ({"distributed": DistributedConfig(preemption_ranks=math.nan)}, "preemption_ranks is nan"),
        ({"distributed": DistributedConfig(rank_timeout_minutes=math.inf)}, "rank_timeout_minutes is inf"),
    ],
)
def test_options_that_do_not_go_together_are_named(options, message):
    with pytest.raises(AgentError, match=message):
        replace(TrainConfig(), **options).check()


SHAPE = {"visual": "se_resnet9", "image_size": (32, 32), "core": "lstm", "core_layers": 2, "hidden_size": 32}


def policy_and_experience(device="cpu", steps=5, num_envs=8):
    torch.manual_seed(0)
    policy = Policy(PolicyConfig(**SHAPE))
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    observations = {
        "depth": torch.rand(steps, num_envs, 32, 32, 1, device=device),
        GOAL: torch.rand(steps, num_envs, 2, device=device),
    }
    actions = torch.randint(0, 4, (steps, num_envs), device=device)
    episode_start = torch.rand(steps, num_envs, device=device) < 0.3
    policy = policy.to(device)
    return policy, (observations, actions, episode_start, policy.initial_state(num_envs))


def test_bfloat16_keeps_weights_and_heads_in_float32(seeded):
    policy, experience = policy_and_experience()
    logits, values = policy.sequence(*experience)
    policy.compute_dtype = torch.bfloat16
    coarse_logits, coarse_values = policy.sequence(*experience)
    assert coarse_logits.dtype == coarse_values.dtype == torch.float32
    assert not torch.equal(logits, coarse_logits)
    assert torch.allclose(logits, coarse_logits, atol=0.03)
    assert torch.allclose(values, coarse_values, atol=0.1)
    (coarse_logits.square().sum() + coarse_values.sum()).backward()
    assert all(p.grad.dtype == torch.float32 for p in policy.parameters())


def test_gradients_of_many_steps_add_up_in_float32(seeded):
    policy = Policy(PolicyConfig(images=(), core="lstm", core_layers=2, hidden_size=64))
    goal, weight = 3 * torch.rand(64, 64, 2), torch.randn(64, 64, 4)
    none = torch.zeros(64, 64, dtype=torch.int64)
    gradients = {}
    for dtype in (None, torch.bfloat16):
        policy.zero_grad()
        policy.compute_dtype = dtype
        logits, _ = policy.sequence({GOAL: goal}, none, none.bool(), policy.initial_state(64))
        (logits * weight).sum().backward()
        gradients[dtype] = policy.core.layers[1].from_state.weight.grad
    # 64 steps added up in bfloat16 would be off by more than a hundredth.
    error = gradients[torch.bfloat16] - gradients[None]
    assert 0 < error.norm() < 0.006 * gradients[None].norm()


def step_of(experience, t=0):
    observations, actions, episode_start, state = experience
    return {name: value[t] for name, value in observations.items()}, actions[t], episode_start[t], state


@pytest.mark.slow
@pytest.mark.parametrize("core", ["gru", "lstm"])
def test_compiled_parts_agree(seeded, core):
    policy, experience = policy_and_experience()
    if core == "gru":
        policy = Policy(PolicyConfig(image_size=(32, 32), hidden_size=32))
        experience = (*experience[:3], policy.initial_state(8))
    expected, expected_step = policy.sequence(*experience), policy.step(*step_of(experience))
    (expected[0].square().sum() + expected[1].sum()).backward()
    gradients = [p.grad.clone() for p in policy.parameters()]
    policy.zero_grad()
    policy.compile_sequence()
    policy.compile_step()
    logits, values = policy.sequence(*experience)
    assert torch.allclose(logits, expected[0], atol=1e-4)
    (logits.square().sum() + values.sum()).backward()
    for gradient, parameter in zip(gradients, policy.parameters(), strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=1e-3, atol=1e-3 * float(gradient.abs().max()))
    with torch.no_grad():
        for ours, theirs in zip(policy.step(*step_of(experience)), expected_step, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_a_step_on_cuda_never_waits(compiled):
    policy, experience = policy_and_experience("cuda")
    with torch.no_grad():
        expected = policy.step(*step_of(experience))
        policy.compute_dtype = torch.bfloat16
        policy.use_channels_last()
        if compiled:
            policy.compile_step()
        policy.step(*step_of(experience))  # chooses and compiles kernels
        torch.cuda.synchronize()
        with sync_debug("error"):
            found = policy.step(*step_of(experience))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        assert torch.allclose(ours, theirs, atol=0.1)


@pytest.mark.gpu
def test_cuda_learns_what_a_cpu_does():
    gradients = {}
    for device in ("cpu", "cuda"):
        policy, experience = policy_and_experience()
        policy = policy.to(device)
        observations, *rest = experience
        moved = {name: value.to(device) for name, value in observations.items()}
        logits, values = policy.sequence(moved, *(x.to(device) for x in rest))
        (logits.square().sum() + values.sum()).backward()
        gradients[device] = [p.grad.cpu() for p in policy.parameters()]
    for ours, theirs in zip(gradients["cuda"], gradients["cpu"], strict=True):
        assert torch.allclose(ours, theirs, rtol=0.02, atol=0.01 * float(theirs.abs().max()))
