"""Visual encoders and vector sensors, against what they are defined by."""

import math

import pytest
import torch
from torch.nn import functional

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.encoders.images import image_channels, to_nested_patches
from batchsim.agents.networks.encoders.patch_encoder import PatchEncoder
from batchsim.agents.networks.encoders.registry import make_encoder
from batchsim.agents.networks.encoders.se_resnet import FixupBlock, SEResNet9
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.networks.vector_features import GOAL, feature_count, vector_features
from batchsim.agents.presets import preset

LARGE = {"visual": "se_resnet9", "core": "lstm", "hidden_size": 512, "core_layers": 2}
SENSES = {"fine_goal": False, "action_embedding_size": 32}


def random_images(count=3, height=64, width=64):
    generator = torch.Generator().manual_seed(0)
    depth = torch.rand(count, height, width, 1, generator=generator)
    rgb = torch.randint(0, 256, (count, height, width, 3), generator=generator, dtype=torch.uint8)
    return {"depth": depth, "rgb": rgb}


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_the_depth_policy_has_the_papers_number_of_parameters():
    policy = Policy(PolicyConfig(**LARGE, **SENSES))
    assert count(policy) == 10_988_085
    # The same by hand. No bias where one of Fixup's scalars or LayerNorm's shift does its work.
    stem = 11 * 4**2 * 64
    blocks = 0
    for inputs, outputs in [(64, 64), (64, 128), (128, 256), (256, 512)]:
        shortcut = 0 if inputs == outputs else inputs * outputs
        squeezed = outputs // 16
        excite = 2 * outputs * squeezed + outputs + squeezed
        blocks += 9 * inputs * outputs + 9 * outputs**2 + shortcut + excite + 5
    end = (9 * 512 * 256 + 256) + 1024 * 512 + 2 * 512
    assert count(policy.visual) == stem + blocks + end
    lstm = sum(4 * 512 * (inputs + 512 + 2) for inputs in (512 + 32 + 32, 512))
    assert count(policy) == stem + blocks + end + (3 * 32 + 32) + 5 * 32 + lstm + (512 * 4 + 4) + (512 + 1)


def test_the_presets_ask_for_that_policy():
    config = preset("pointnav-depth")
    shape = {**LARGE, **SENSES}
    assert {name: getattr(config, name) for name in shape} == shape
    assert preset("pointnav-rgb").sensors == ("rgb",)


def test_depth_channels_by_hand():
    depth = torch.tensor([0.0, 0.05, 0.1, 0.55, 0.999, 1.0]).view(1, 2, 3, 1)
    channels = image_channels({"depth": depth}, ("depth",))
    assert channels.shape == (1, 2, 3, 11)
    assert torch.equal(channels[..., :1], depth)
    bins = channels[..., 1:].view(6, 10)
    assert torch.equal(bins.sum(-1), torch.ones(6))
    assert bins.argmax(-1).tolist() == [0, 0, 1, 5, 9, 9]


def test_colour_channels_by_hand():
    rgb = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 1, 1, 3)
    depth = torch.full((1, 1, 1, 1), 0.25)
    channels = image_channels({"depth": depth, "rgb": rgb}, ("depth", "rgb"))
    expected = [0.25, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, -1, 1, -0.6]
    assert torch.allclose(channels.flatten(), torch.tensor(expected))


@pytest.mark.parametrize(("inputs", "stride"), [(16, 1), (16, 2), (32, 1)])
def test_a_block_begins_as_its_shortcut(seeded, inputs, stride):
    block = FixupBlock(inputs, 32, stride, 4)
    x = torch.randn(2, inputs, 8, 8)
    assert torch.equal(block(x), torch.relu(block.shortcut(x)))
    if inputs == 32:
        assert torch.equal(block(x.relu()), x.relu())


def test_the_branchs_first_weights_shrink_with_the_number_of_blocks(seeded):
    spread = [FixupBlock(64, 64, 1, depth).conv_1.weight.std() for depth in (1, 4, 16)]
    he = math.sqrt(2 / (9 * 64))
    assert torch.allclose(torch.stack(spread), torch.tensor([he, he / 2, he / 4]), rtol=0.02)


def test_a_block_by_its_formula(seeded):
    block = FixupBlock(16, 32, 2, 4)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(std=0.3)
    x = torch.randn(2, 16, 6, 6)
    weights = {name: p.detach().double() for name, p in block.named_parameters()}
    y = x.double() + weights["bias_1a"]
    branch = functional.conv2d(y, weights["conv_1.weight"], stride=2, padding=1) + weights["bias_1b"]
    branch = functional.conv2d(branch.clamp(min=0) + weights["bias_2a"], weights["conv_2.weight"], padding=1)
    branch = branch * weights["scale"] + weights["bias_2b"]
    mean = branch.mean((2, 3))
    squeezed = (mean @ weights["excite.squeeze.weight"].T + weights["excite.squeeze.bias"]).clamp(min=0)
    gate = torch.sigmoid(squeezed @ weights["excite.excite.weight"].T + weights["excite.excite.bias"])
    pooled = functional.avg_pool2d(y, 3, 2, padding=1)
    shortcut = torch.einsum("oi,bihw->bohw", weights["shortcut.1.weight"][..., 0, 0], pooled)
    expected = (branch * gate[:, :, None, None] + shortcut).clamp(min=0)
    assert torch.allclose(block(x).double(), expected, atol=1e-4)


def test_the_stem_is_a_convolution_of_one_pixel_over_patches(seeded):
    encoder = SEResNet9((32, 32), ("depth",), 16)
    seen = []
    encoder.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    observation = random_images(2, 32, 32)
    encoder(observation)
    channels = image_channels(observation, ("depth",)).permute(0, 3, 1, 2)
    kernel = encoder.stem.weight.view(64, 4, 4, 11).permute(0, 3, 1, 2)
    assert torch.allclose(seen[0], torch.relu(functional.conv2d(channels, kernel, stride=4)), atol=1e-5)


@pytest.mark.parametrize("name", ["patches", "se_resnet9", "resnet18"])
@pytest.mark.parametrize("images", [("depth",), ("rgb",), ("depth", "rgb")])
def test_every_encoder_sees_every_image(seeded, name, images):
    encoder = make_encoder(name, images, (32, 64), (4, 8), 24)
    seen = random_images(2, 32, 64)
    features = encoder(seen)
    assert features.shape == (2, 24)
    for image in ("depth", "rgb"):
        changed = encoder({**seen, image: 1 - seen[image]})
        assert torch.equal(changed, features) == (image not in images)
    with torch.no_grad():
        for parameter in encoder.parameters():  # Fixup begins with convolutions that let nothing through
            parameter.add_(0.02 * torch.randn_like(parameter))
    encoder(seen).square().sum().backward()
    assert [path for path, parameter in encoder.named_parameters() if not parameter.grad.any()] == []


@pytest.mark.parametrize("name", ["se_resnet9", "resnet18"])
def test_the_memory_layout_changes_nothing(seeded, name):
    policy = Policy(PolicyConfig(name, image_size=(32, 32), hidden_size=16, vectors={}))
    observation = random_images(2, 32, 32)
    plain = policy.visual(observation)
    policy.use_channels_last()
    assert policy.visual.memory_format == torch.channels_last
    assert torch.allclose(policy.visual(observation), plain, atol=1e-4)


def test_encoders_name_what_they_cannot_take():
    with pytest.raises(AgentError, match=r"\(48, 64\).*multiples of 32 for se_resnet9"):
        make_encoder("se_resnet9", ("depth",), (48, 64), (), 8)
    with pytest.raises(AgentError, match=r"\(48, 64\).*multiples of 32 for resnet18"):
        make_encoder("resnet18", ("depth",), (48, 64), (), 8)
    with pytest.raises(AgentError, match=r"'vgg'.*patches, se_resnet9, resnet18"):
        make_encoder("vgg", ("depth",), (64, 64), (), 8)
    with pytest.raises(AgentError, match="depth and rgb, not semantic"):
        make_encoder("patches", ("semantic",), (64, 64), (4,), 8)


def test_vector_sensors_by_hand():
    cases = {
        (GOAL, False): ([2.0, math.pi / 2], [2, 0, 1]),
        (GOAL, True): ([1.0, math.pi], [0.2, math.exp(-2), math.exp(-8), -1, 0]),
        ("gps", False): ([-5.0, 2.5], [-1, 0.5]),
        ("compass", False): ([-math.pi / 2], [0, -1]),
        ("battery", False): ([0.3, 0.4, 0.5], [0.3, 0.4, 0.5]),
    }
    for (name, fine), (value, expected) in cases.items():
        features = vector_features(name, torch.tensor(value), fine)
        assert torch.allclose(features, torch.tensor(expected, dtype=torch.float32), atol=1e-6), name
        assert feature_count(name, len(value), fine) == len(expected)


def test_a_policy_reads_the_sensors_that_its_config_names(seeded):
    config = PolicyConfig(images=(), vectors={"gps": 2, "compass": 1}, num_actions=3, stop_action=None, hidden_size=8)
    policy = Policy(config)
    nothing = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.bool), policy.initial_state(1)
    here = {"gps": torch.tensor([[1.0, 2.0]]), "compass": torch.tensor([[0.5]])}
    usual = policy.step(here, *nothing)[0]
    assert torch.softmax(usual, -1).min() > 0.3
    for name in here:
        assert not torch.allclose(policy.step({**here, name: -here[name]}, *nothing)[0], usual, atol=1e-6)
    assert torch.equal(policy.step({**here, "depth": torch.zeros(1, 64, 64, 1)}, *nothing)[0], usual)


@pytest.mark.parametrize("images", [("depth",), ("rgb",), ("depth", "rgb")])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_prepared_images_are_read_as_the_images_are(images, dtype, seeded):
    policy = Policy(PolicyConfig(images=images, image_size=(32, 48), visual_channels=(4, 8, 8), hidden_size=16))
    policy.compute_dtype = dtype
    observation = policy.blank_observation(6)
    if "depth" in images:
        observation["depth"].uniform_()
    if "rgb" in images:
        observation["rgb"].random_(0, 256)
    prepared = policy.prepare(observation)
    assert not set(images) & set(prepared)
    rest = policy.blank_action(6), torch.ones(6, dtype=torch.bool), policy.initial_state(6)
    for plain, fast in zip(policy.step(observation, *rest), policy.step(prepared, *rest), strict=True):
        assert torch.allclose(plain, fast, atol=2e-2 if dtype else 1e-3)


def test_prepared_depth_keeps_a_centimetre_at_least(seeded):
    depth = torch.rand(2, 32, 32, 1)
    encoder = PatchEncoder((32, 32), (4, 8), 8)
    for dtype, metres in ((torch.float16, 0.0013), (torch.bfloat16, 0.01)):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            prepared = encoder.prepare("depth", depth)
        assert prepared.dtype == dtype
        error = (-prepared.double().log() / 4).flatten(1).sort().values - depth.double().flatten(1).sort().values
        assert 10 * error.abs().max() < metres


def test_nested_patches_by_hand():
    # Two smallest patches of 2 x 2 make one of 4 x 4, and there are two of these side by side.
    image = torch.arange(32).view(1, 4, 8, 1)
    expected = []
    for left in (0, 4):
        for y in (0, 2):
            for x in (0, 2):
                expected += [8 * (y + i) + left + x + j for i in (0, 1) for j in (0, 1)]
    for dtype in (torch.uint8, torch.float16, torch.float32, torch.int64):
        assert to_nested_patches(image.to(dtype), 2, 1).flatten().tolist() == expected
