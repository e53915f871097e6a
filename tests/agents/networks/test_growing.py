"""A grown network does what it did, and can learn more: its copies do not stay alike."""

import json
from dataclasses import replace

import pytest
import torch

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.growing.copies import Copies
from batchsim.agents.networks.growing.grow import grow
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.train import main
from tests.helpers.small_runs import SMALL

SMALL_NET = PolicyConfig(image_size=(32, 32), visual_channels=(4, 6), hidden_size=10)
GOAL_IMAGE = {"goal_image": "imagegoal", "goal_image_size": (16, 16)}
STEPS, ENVS = 7, 5

# (before, what changes)
GROWTH = {
    "wider core": (SMALL_NET, {"hidden_size": 17}),
    "wider encoder": (SMALL_NET, {"visual_channels": (7, 13)}),
    "deeper encoder": (SMALL_NET, {"visual_channels": (4, 6, 24)}),
    "two layers deeper": (replace(SMALL_NET, image_size=(64, 32)), {"visual_channels": (4, 6, 24, 96)}),
    "all at once": (SMALL_NET, {"visual_channels": (9, 6, 24), "hidden_size": 24}),
    "lstm": (replace(SMALL_NET, core="lstm", core_layers=2), {"hidden_size": 16}),
    "mt_lstm": (replace(SMALL_NET, core="mt_lstm", core_layers=2), {"hidden_size": 23}),
    "blind": (replace(SMALL_NET, images=()), {"hidden_size": 32}),
    "two encoders": (replace(SMALL_NET, **GOAL_IMAGE), {"visual_channels": (5, 8, 32), "hidden_size": 12}),
    "continuous": (replace(SMALL_NET, continuous=True, num_actions=2), {"hidden_size": 12}),
    "se_resnet9": (replace(SMALL_NET, visual="se_resnet9"), {"hidden_size": 20}),
    "resnet18": (replace(SMALL_NET, visual="resnet18"), {"hidden_size": 13}),
}


def outputs(policy, seed=1):
    """Logits and values of a walk with episodes that start in between."""
    generator = torch.Generator().manual_seed(seed)
    observations = {}
    for name, blank in policy.blank_observation(STEPS, ENVS).items():
        random = torch.rand(blank.shape, generator=generator)
        observations[name] = (255 * random).to(torch.uint8) if blank.dtype == torch.uint8 else random
    action = policy.blank_action(STEPS, ENVS)
    start = torch.rand(STEPS, ENVS, generator=generator) < 0.2
    with torch.no_grad():
        return torch.cat(
            [part.flatten() for part in policy.sequence(observations, action, start, policy.initial_state(ENVS))]
        )


def trained(config):
    """A policy whose weights are not those that it begins with."""
    policy = Policy(config)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return policy


@pytest.mark.parametrize("name", GROWTH)
def test_outputs_stay(seeded, name):
    before, changes = GROWTH[name]
    policy = trained(before)
    grown = grow(policy, replace(before, **changes))
    assert grown.config == replace(before, **changes)
    assert sum(p.numel() for p in grown.parameters()) > sum(p.numel() for p in policy.parameters())
    found, expected = outputs(grown), outputs(policy)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_copies_become_different(seeded):
    """Otherwise a wider network could learn nothing that the narrow one could not."""
    policy = trained(SMALL_NET)
    grown = grow(policy, replace(SMALL_NET, hidden_size=20))
    optimizer = torch.optim.SGD(grown.parameters(), lr=0.1)
    weight = grown.core.from_state.weight
    assert torch.equal(weight[:10], weight[10:20])
    observations = {name: torch.rand(value.shape) for name, value in grown.blank_observation(STEPS, ENVS).items()}
    start = torch.zeros(STEPS, ENVS, dtype=torch.bool)
    logits, _ = grown.sequence(observations, grown.blank_action(STEPS, ENVS), start, grown.initial_state(ENVS))
    logits.square().sum().backward()
    optimizer.step()
    assert not torch.allclose(weight[:10], weight[10:20], atol=1e-6)


def test_shares_of_copies_add_up():
    copies = Copies.make(7, 19, torch.Generator().manual_seed(0))
    assert copies.old == 7
    total = torch.zeros(7).index_add_(0, copies.unit, copies.share)
    assert torch.allclose(total, torch.ones(7))
    same = Copies.make(5, 5, torch.Generator().manual_seed(0))
    assert torch.equal(same.unit, torch.arange(5))
    assert torch.equal(same.share, torch.ones(5))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_size": 8}, "hidden_size is 8; the network to grow has 10"),
        ({"visual_channels": (4,)}, "expected at least the"),
        ({"visual_channels": (3, 6)}, "expected at least the"),
        ({"visual_channels": (4, 6, 12)}, "expected 24 channels in the new layer 3"),
        ({"visual_channels": (4, 6, 24, 96)}, "must be multiples"),
        ({"core": "lstm"}, "core is gru, not lstm"),
        ({"core": "lstm", "core_layers": 2}, "Only visual_channels and hidden_size"),
        ({"num_actions": 3}, "num_actions is 4, not 3"),
    ],
)
def test_what_cannot_grow_is_named(seeded, changes, said):
    config = replace(SMALL_NET, image_size=(16, 16))
    with pytest.raises(AgentError, match=said):
        grow(Policy(config), replace(config, **changes))


def command(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in arguments])
    return end.value.code, capsys.readouterr().err.strip().splitlines()


def test_the_command_grows_and_trains(tmp_path, capsys):
    small = {name.replace("_", "-"): value for name, value in SMALL.items() if name != "visual_channels"}
    options = [word for name, value in small.items() for word in (f"--{name}", value)]
    sizes = ["--visual-channels", 4, "--total-frames", 42, "--minibatches", 2]
    assert command([*options, *sizes, "--out", tmp_path / "a"], capsys)[0] == 0
    grown = ["--grow-from", tmp_path / "a", "--hidden-size", 24, "--visual-channels", 6, "--out", tmp_path / "b"]
    assert command(grown, capsys)[0] == 0
    before, after = (json.loads((tmp_path / name / "config.json").read_text()) for name in "ab")
    assert (after["hidden_size"], after["visual_channels"]) == (24, [6])
    assert after["ppo"]["learning_rate"] == pytest.approx(before["ppo"]["learning_rate"] / 10)
    assert after["scenes"] == before["scenes"]
    code, said = command(["--grow-from", tmp_path / "a", "--hidden-size", 8, "--out", tmp_path / "c"], capsys)
    assert code == 2
    assert len(said) == 1
    code, said = command(["--grow-from", tmp_path / "none", "--out", tmp_path / "c"], capsys)
    assert code == 2
    assert "is not a run folder" in said[0]
    code, said = command(["--grow-from", tmp_path / "a", "--resume", "--out", tmp_path / "b"], capsys)
    assert code == 2
    assert "--grow-from starts a new run" in said[0]
