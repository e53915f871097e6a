"""Recurrent cores against torch's own, against themselves step by step, and the paces at which they forget."""

import math

import pytest
import torch

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.recurrent.lstm import LSTM, MultiTimescaleLSTM, forget_bias, timescales
from batchsim.agents.networks.recurrent.registry import make_core

STEPS, ENVS, INPUTS, HIDDEN = 9, 6, 5, 7
CORES = [("gru", 1), ("lstm", 1), ("lstm", 2), ("mt_lstm", 2)]


def experience(seed=0):
    generator = torch.Generator().manual_seed(seed)
    episode_start = torch.rand(STEPS, ENVS, generator=generator) < 0.25
    episode_start[:, 0] = False
    episode_start[0, 1], episode_start[-1, 2] = True, True
    return torch.randn(STEPS, ENVS, INPUTS, generator=generator), episode_start


@pytest.mark.parametrize(("name", "layers"), CORES)
def test_a_sequence_is_its_steps(seeded, name, layers):
    core = make_core(name, INPUTS, HIDDEN, layers)
    features, episode_start = experience()
    state = start = torch.randn(ENVS, core.state_size)
    outputs = core.sequence(features, episode_start, start)
    assert outputs.shape == (STEPS, ENVS, HIDDEN)
    for t in range(STEPS):
        output, state = core.step(features[t], episode_start[t], state)
        assert torch.allclose(output, outputs[t], atol=1e-6)


@pytest.mark.parametrize(("name", "layers"), CORES)
def test_an_episodes_start_wipes_the_memory(seeded, name, layers):
    core = make_core(name, INPUTS, HIDDEN, layers)
    features, episode_start = experience()
    episode_start[4] = True
    other = torch.cat([experience(seed=1)[0][:4], features[4:]])
    starts = torch.randn(2, ENVS, core.state_size)
    outputs, others = core.sequence(features, episode_start, starts[0]), core.sequence(other, episode_start, starts[1])
    assert torch.equal(outputs[4:], others[4:])
    assert not torch.allclose(outputs[:4], others[:4])
    # A beginning is the empty memory, and nothing flows back over it.
    fresh = core.sequence(features[4:], episode_start[4:], torch.zeros(ENVS, core.state_size))
    assert torch.allclose(outputs[4:], fresh, atol=1e-6)
    starts.requires_grad_()
    core.sequence(features, episode_start, starts[0])[4:].sum().backward()
    assert not starts.grad.any()


def test_the_gradients_of_a_gru_are_those_of_differences(seeded):
    core = make_core("gru", 3, 4, 1).double()
    features, episode_start = torch.randn(5, 3, 3).double(), torch.rand(5, 3) < 0.3

    names = [f"core.{name}" for name, _ in core.named_parameters()]

    def outputs(features, state, *weights):
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(_Sequence(core), given, (features, episode_start, state))

    inputs = [features, torch.randn(3, 4).double(), *(p.detach() for p in core.parameters())]
    assert torch.autograd.gradcheck(outputs, [value.requires_grad_() for value in inputs])


def test_the_gru_is_torchs(seeded):
    core, reference = make_core("gru", INPUTS, HIDDEN, 1), torch.nn.GRU(INPUTS, HIDDEN)
    with torch.no_grad():
        for layer, theirs in ((core.from_input, "ih"), (core.from_state, "hh")):
            layer.bias.normal_()
            getattr(reference, f"weight_{theirs}_l0").copy_(layer.weight)
            getattr(reference, f"bias_{theirs}_l0").copy_(layer.bias)
    features, state = torch.randn(STEPS, ENVS, INPUTS), torch.randn(ENVS, HIDDEN)
    expected, _ = reference(features, state[None])
    never = torch.zeros(STEPS, ENVS, dtype=torch.bool)
    found = core.sequence(features, never, state)
    assert torch.allclose(found, expected, atol=1e-6)
    slopes = torch.randn_like(found)
    for outputs in (found, expected):
        (outputs * slopes).sum().backward()
    for layer, theirs in ((core.from_input, "ih"), (core.from_state, "hh")):
        for part in ("weight", "bias"):
            exact = getattr(reference, f"{part}_{theirs}_l0").grad
            assert torch.allclose(getattr(layer, part).grad, exact, atol=1e-5)


def test_a_gru_in_bfloat16_learns_alike(seeded):
    core = make_core("gru", 16, 32, 1)
    features, episode_start = torch.randn(STEPS, ENVS, 16), experience()[1]
    start, slopes = torch.randn(ENVS, 32), torch.randn(STEPS, ENVS, 32)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        core.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            outputs = core.sequence(features, episode_start, start)
        assert outputs.dtype == torch.float32
        (outputs * slopes).sum().backward()
        found.append([outputs.detach(), *(p.grad.clone() for p in core.parameters())])
    for exact, rounded in zip(*found, strict=True):
        assert rounded.dtype == torch.float32
        assert (rounded - exact).norm() < 0.01 * exact.norm()


class _Sequence(torch.nn.Module):
    def __init__(self, core):
        super().__init__()
        self.core = core

    def forward(self, *inputs):
        return self.core.sequence(*inputs)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_lstm_is_torchs(seeded, layers):
    core, reference = LSTM(INPUTS, HIDDEN, layers), torch.nn.LSTM(INPUTS, HIDDEN, layers)
    with torch.no_grad():
        for k, layer in enumerate(core.layers):
            for ours, theirs in (("from_input", "ih"), ("from_state", "hh")):
                linear = getattr(layer, ours)
                linear.bias.normal_()
                getattr(reference, f"weight_{theirs}_l{k}").copy_(linear.weight)
                getattr(reference, f"bias_{theirs}_l{k}").copy_(linear.bias)
    features, _ = experience()
    output, cell = torch.randn(2, layers, ENVS, HIDDEN)
    expected, _ = reference(features, (output, cell))
    state = torch.stack([output, cell], 1).permute(2, 0, 1, 3).flatten(1)
    never = torch.zeros(STEPS, ENVS, dtype=torch.bool)
    assert torch.allclose(core.sequence(features, never, state), expected, atol=1e-5)


def test_weights_begin_orthogonal(seeded):
    for layer in LSTM(INPUTS, HIDDEN).layers:
        for weight in (layer.from_input.weight, layer.from_state.weight):
            assert torch.allclose(weight.T @ weight, torch.eye(weight.shape[1]), atol=1e-5)


def test_forget_biases_by_hand():
    # sigmoid(b) = exp(-1 / T): after T steps a cell has fallen to 1 / e.
    timescale = torch.tensor([0.5, 1.0, 10.0, 1000.0])
    kept = torch.sigmoid(forget_bias(timescale).double()) ** timescale.double()
    assert torch.allclose(kept, torch.full((4,), 1 / math.e, dtype=torch.float64), rtol=1e-3)


def test_units_of_the_multi_timescale_lstm_forget_at_their_own_pace(seeded):
    core = MultiTimescaleLSTM(INPUTS, 64, layers=1)
    layer = core.layers[0]
    with torch.no_grad():
        for weight in (layer.from_input.weight, layer.from_state.weight):
            weight.zero_()
    enter, forget = layer.fixed_bias.chunk(2)
    assert torch.equal(enter, -forget)
    timescale = 1 / torch.log1p(torch.exp(-forget))
    state = torch.cat([torch.zeros(1, 64), torch.ones(1, 64)], -1)
    for _ in range(5):
        _, state = core.step(torch.zeros(1, INPUTS), torch.zeros(1, dtype=torch.bool), state)
    assert torch.allclose(state[0, 64:], torch.exp(-5 / timescale), atol=1e-5)


@pytest.mark.parametrize("count", [2, 7, 16, 128, 512])
def test_timescales_follow_the_inverse_gamma_distribution_and_reach_an_episode(count):
    found = timescales(count).double()
    assert found.shape == (count,)
    assert found.max() >= 499.9  # the steps of an evaluation
    assert (found.diff() > 0).all()
    if count < 128:
        return
    # P(T <= t) = Q(a, 1 / t), the upper regularised incomplete gamma function.
    for t in (0.5, 1.0, 3.0, 30.0, 300.0):
        expected = float(torch.special.gammaincc(torch.tensor(0.56), torch.tensor(1 / t)))
        assert float((found <= t).double().mean()) == pytest.approx(expected, abs=1 / count)


def test_an_episode_is_forgotten_as_the_timescales_prescribe(seeded):
    """Over 500 steps without input: exp(-t / T) in each unit, and the power law (1 + t)^-0.56 in their mean.

    1 / T has a gamma distribution, whose Laplace transform that power is.
    """
    hidden, steps = 128, 500
    core = MultiTimescaleLSTM(INPUTS, hidden, layers=1)
    with torch.no_grad():
        for weight in (core.layers[0].from_input.weight, core.layers[0].from_state.weight):
            weight.zero_()
    state = torch.cat([torch.zeros(1, hidden), torch.ones(1, hidden)], -1)
    cells = []
    with torch.no_grad():
        for _ in range(steps):
            _, state = core.step(torch.zeros(1, INPUTS), torch.zeros(1, dtype=torch.bool), state)
            cells.append(state[0, hidden:])
    t = torch.arange(1, steps + 1, dtype=torch.float64)[:, None]
    expected = torch.exp(-t / timescales(hidden).double())
    torch.testing.assert_close(torch.stack(cells).double(), expected, atol=1e-4, rtol=1e-3)
    law = (1 + t[:, 0]) ** -0.56
    assert (torch.stack(cells).double().mean(1) - law).abs().max() < 0.01
    # What an ordinary LSTM starts with, a bias of 0, forgets half at each step.
    plain = LSTM(INPUTS, hidden, layers=1)
    for weight in (plain.layers[0].from_input.weight, plain.layers[0].from_state.weight):
        torch.nn.init.zeros_(weight)
    state = torch.cat([torch.zeros(1, hidden), torch.ones(1, hidden)], -1)
    for _ in range(20):
        _, state = plain.step(torch.zeros(1, INPUTS), torch.zeros(1, dtype=torch.bool), state)
    assert state[0, hidden:].max() < 1e-5 < cells[-1].max()


def test_timescales_are_kept_not_learned(seeded):
    core = MultiTimescaleLSTM(INPUTS, HIDDEN)
    assert not any("fixed" in name for name, _ in core.named_parameters())
    # Those of a checkpoint are used, whatever a new network has.
    core.layers[0].fixed_bias.mul_(0.5)
    twin = MultiTimescaleLSTM(INPUTS, HIDDEN)
    assert not torch.equal(core.layers[0].fixed_bias, twin.layers[0].fixed_bias)
    twin.load_state_dict(core.state_dict())
    assert torch.equal(core.layers[0].fixed_bias, twin.layers[0].fixed_bias)


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_half_precision_gates_leave_the_memory_exact(seeded, name):
    core = make_core(name, INPUTS, HIDDEN)
    features, episode_start = experience()
    state = torch.randn(ENVS, core.state_size)
    exact = core.step(features[0], episode_start[0], state)[1]
    with torch.autocast("cpu", torch.bfloat16):
        coarse = core.step(features[0], episode_start[0], state)[1]
        outputs = core.sequence(features, episode_start, state)
    assert coarse.dtype == outputs.dtype == torch.float32
    assert not torch.equal(coarse, exact)
    assert torch.allclose(coarse, exact, atol=0.05)
    assert not torch.equal(coarse, coarse.bfloat16().float())


def test_unknown_cores_are_named():
    with pytest.raises(AgentError, match=r"'rnn'.*gru, lstm, mt_lstm"):
        make_core("rnn", 2, 3)
    with pytest.raises(AgentError, match="core_layers is 2"):
        make_core("gru", 2, 3, 2)
