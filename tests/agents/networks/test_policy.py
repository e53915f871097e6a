"""The policy network: step by step and as a sequence it must say the same."""

import math

import gymnasium as gym
import msgspec
import numpy as np
import pytest
import torch

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.encoders.patch_encoder import PatchEncoder
from batchsim.agents.networks.policy import Policy, PolicyConfig, config_for
from batchsim.agents.networks.recurrent.gru import GRU
from batchsim.agents.networks.vector_features import GOAL, goal_features

STEPS, ENVS = 7, 5


def make_policy(blind=False):
    images = () if blind else ("depth",)
    return Policy(PolicyConfig(hidden_size=24, images=images, visual_channels=(4, 8), image_size=(16, 24)))


def experience(seed=0):
    """Observations `[T, N, ...]`, previous actions and episode starts, some of them in the middle."""
    generator = torch.Generator().manual_seed(seed)
    depth = torch.rand(STEPS, ENVS, 16, 24, 1, generator=generator)
    goal = torch.rand(STEPS, ENVS, 2, generator=generator) * 6 - torch.tensor([0.0, 3.0])  # metres, radians
    actions = torch.randint(0, 4, (STEPS, ENVS), generator=generator)
    episode_start = torch.rand(STEPS, ENVS, generator=generator) < 0.3
    episode_start[:, 0] = False
    return {"depth": depth, GOAL: goal}, actions, episode_start


@pytest.mark.parametrize("blind", [False, True])
def test_a_sequence_is_its_steps(seeded, blind):
    policy = make_policy(blind)
    observations, actions, episode_start = experience()
    start = torch.randn(ENVS, policy.core.state_size)
    logits, values = policy.sequence(observations, actions, episode_start, start)
    assert logits.shape == (STEPS, ENVS, 4)
    assert values.shape == (STEPS, ENVS)
    state = start
    for t in range(STEPS):
        now = {name: value[t] for name, value in observations.items()}
        step_logits, step_value, state = policy.step(now, actions[t], episode_start[t], state)
        assert torch.allclose(step_logits, logits[t], atol=1e-5)
        assert torch.allclose(step_value, values[t], atol=1e-5)


def test_an_episodes_start_forgets_all_before(seeded):
    policy = make_policy()
    observations, actions, episode_start = experience()
    episode_start[3] = True
    other, other_actions, _ = experience(seed=1)
    changed = {name: torch.cat([other[name][:3], value[3:]]) for name, value in observations.items()}
    changed_actions = torch.cat([other_actions[:4], actions[4:]])  # the action before the start is forgotten, too
    start, other_start = torch.randn(2, ENVS, policy.core.state_size)
    logits, values = policy.sequence(observations, actions, episode_start, start)
    changed_logits, changed_values = policy.sequence(changed, changed_actions, episode_start, other_start)
    assert torch.allclose(logits[3:], changed_logits[3:], atol=1e-6)
    assert torch.allclose(values[3:], changed_values[3:], atol=1e-6)
    assert not torch.allclose(logits[:3], changed_logits[:3])


def test_without_a_start_memory_and_previous_action_matter(seeded):
    policy = make_policy()
    observations, actions, _ = experience()
    now = {name: value[0] for name, value in observations.items()}
    no_start = torch.zeros(ENVS, dtype=torch.bool)
    state = torch.randn(ENVS, policy.core.state_size)
    usual = policy.step(now, actions[0], no_start, state)[0]
    variants = {
        "memory": (actions[0], no_start, -state),
        "previous action": ((actions[0] + 1) % 4, no_start, state),
        "start": (actions[0], ~no_start, state),
    }
    for name, arguments in variants.items():
        assert ((policy.step(now, *arguments)[0] - usual).abs().max(-1).values > 1e-6).all(), name


def test_the_cell_is_a_gated_recurrent_unit(seeded):
    # Against torch's own, whose gates are in the same order.
    core, reference = GRU(6, 9), torch.nn.GRUCell(6, 9)
    with torch.no_grad():
        for own in (core.from_input.bias, core.from_state.bias):
            own.normal_()
        reference.weight_ih.copy_(core.from_input.weight)
        reference.weight_hh.copy_(core.from_state.weight)
        reference.bias_ih.copy_(core.from_input.bias)
        reference.bias_hh.copy_(core.from_state.bias)
    inputs, state = torch.randn(4, 6), torch.randn(4, 9)
    ours = core.step(inputs, torch.zeros(4, dtype=torch.bool), state)[0]
    assert torch.allclose(ours, reference(inputs, state), atol=1e-6)


def test_the_encoder_is_a_convolution(seeded):
    encoder = PatchEncoder((16, 24), (3, 5), 7)
    depth = torch.rand(2, 16, 24, 1)
    first, second = encoder.patches
    x = torch.exp(-4 * depth).permute(0, 3, 1, 2)
    kernel = first.weight.view(3, 4, 4, 1).permute(0, 3, 1, 2)
    x = torch.relu(torch.nn.functional.conv2d(x, kernel, first.bias, stride=4))
    kernel = second.weight.view(5, 2, 2, 3).permute(0, 3, 1, 2)
    x = torch.relu(torch.nn.functional.conv2d(x, kernel, second.bias, stride=2))
    expected = torch.relu(encoder.out(x.permute(0, 2, 3, 1).flatten(1)))
    assert torch.allclose(encoder({"depth": depth}), expected, atol=1e-5)


def test_the_encoder_names_sizes_it_cannot_take():
    with pytest.raises(AgentError, match=r"\(20, 24\).*multiples of 8"):
        PatchEncoder((20, 24), (3, 5), 7)


def test_goal_features_by_hand():
    goal = torch.tensor([[0.0, 0.0], [5.0, math.pi / 2], [1.0, math.pi]])
    expected = [[0, 1, 1, 1, 0], [1, math.exp(-10), math.exp(-40), 0, 1], [0.2, math.exp(-2), math.exp(-8), -1, 0]]
    assert torch.allclose(goal_features(goal), torch.tensor(expected), atol=1e-6)
    # No jump where the angle wraps around behind the agent.
    behind = goal_features(torch.tensor([[2.0, math.pi - 1e-4], [2.0, 1e-4 - math.pi]]))
    assert (behind[0] - behind[1]).abs().max() < 1e-3


def test_the_first_policy_explores_and_seldom_stops(seeded):
    observations, actions, episode_start = experience()
    policy = make_policy()
    logits, values = policy.sequence(observations, actions, episode_start, policy.initial_state(ENVS))
    probs = torch.softmax(logits, -1)
    assert (probs[..., 0] < 0.05).all()
    assert (probs[..., 1:] > 0.25).all()
    assert values.abs().max() < 1


def test_configs_fit_the_environment_and_come_back_from_json():
    goal = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    depth = gym.spaces.Box(0, 1, (48, 64, 1), np.float32)
    seeing = config_for(gym.spaces.Dict({"depth": depth, GOAL: goal}), gym.spaces.Discrete(6), hidden_size=8)
    assert (seeing.image_size, seeing.num_actions, seeing.hidden_size) == ((48, 64), 6, 8)
    blind = config_for(gym.spaces.Dict({GOAL: goal}), gym.spaces.Discrete(4), visual_channels=(8, 8))
    assert blind.images == ()
    rgb = gym.spaces.Box(0, 255, (48, 64, 3), np.uint8)
    semantic = gym.spaces.Box(0, 9, (48, 64, 1), np.int32)
    both = gym.spaces.Dict({"semantic": semantic, "rgb": rgb, "depth": depth})
    without_goal = config_for(both, gym.spaces.Discrete(3), ("forward", "left", "right"))
    assert (without_goal.images, without_goal.vectors, without_goal.stop_action) == (("depth", "rgb"), {}, None)
    several = gym.spaces.Dict({"front_depth": depth, "back_depth": depth, GOAL: goal})
    with pytest.raises(AgentError, match=r"one camera.*front_depth"):
        config_for(several, gym.spaces.Discrete(4))
    for config in (seeing, blind, without_goal):
        assert msgspec.json.decode(msgspec.json.encode(config), type=PolicyConfig) == config
        Policy(config)


@pytest.mark.parametrize("fusion", ["late", "product", "early"])
def test_a_goal_image_changes_what_is_done(seeded, fusion):
    sizes = {"image_size": (16, 16), "goal_image_size": (16, 16), "visual_channels": (4, 8), "hidden_size": 24}
    policy = Policy(PolicyConfig(images=("rgb",), vectors={}, goal_image="imagegoal", goal_fusion=fusion, **sizes))
    images = torch.randint(0, 256, (2, ENVS, 16, 16, 3), dtype=torch.uint8)
    start = torch.ones(ENVS, dtype=torch.bool)
    action, state = policy.blank_action(ENVS), policy.initial_state(ENVS)

    def value(own, goal, prepared=False):
        observation = {"rgb": own, "imagegoal": goal}
        observation = policy.prepare(observation) if prepared else observation
        return policy.step(observation, action, start, state)[1]

    first = value(images[0], images[0])
    assert not torch.allclose(first, value(images[0], images[1]), atol=1e-4)
    assert torch.allclose(first, value(images[0], images[0], prepared=True), atol=1e-3)


def test_images_of_different_sizes_are_not_stacked():
    sizes = {"image_size": (16, 16), "goal_image_size": (32, 32), "visual_channels": (4, 8)}
    with pytest.raises(AgentError, match=r"goal_fusion is early.*\(32, 32\).*\(16, 16\) have different sizes"):
        Policy(PolicyConfig(goal_image="imagegoal", goal_fusion="early", **sizes))
    with pytest.raises(AgentError, match="goal_fusion is 'sum'; expected one of late, product, early"):
        Policy(PolicyConfig(goal_image="imagegoal", goal_fusion="sum"))
