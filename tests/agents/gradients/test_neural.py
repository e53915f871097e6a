"""Neural gradients are changed where they pass, and the weights learn from what is left."""

from dataclasses import replace

import pytest
import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.gradients.neural import NeuralGradientRecorder, on_neural_gradients
from batchsim.agents.networks.policy import Policy, PolicyConfig
from batchsim.agents.training.build import make_trainer
from tests.helpers.small_runs import SMALL


def test_what_comes_back_goes_on(seeded):
    """By hand: with the gradient of the second layer doubled, everything before it doubles."""
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    inputs = torch.randn(5, 3)
    network(inputs).square().sum().backward()
    plain = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    remove = on_neural_gradients(network, lambda name, g: 2 * g if name == "2" else None)
    network(inputs).square().sum().backward()
    for before, parameter in zip(plain, network.parameters(), strict=True):
        assert torch.allclose(parameter.grad, 2 * before)
    remove()
    network.zero_grad()
    network(inputs).square().sum().backward()
    assert torch.equal(next(network.parameters()).grad, plain[0])


@pytest.mark.parametrize("core", ["gru", "lstm", "mt_lstm"])
def test_every_layer_of_a_policy_is_seen(seeded, core):
    policy = Policy(PolicyConfig(image_size=(16, 16), visual_channels=(4, 4), hidden_size=8, core=core))
    recorder = NeuralGradientRecorder(policy)
    observations = {"depth": torch.rand(3, 2, 16, 16, 1), "pointgoal_with_gps_compass": torch.randn(3, 2, 2)}
    start = torch.zeros(3, 2, dtype=torch.bool)
    logits, values = policy.sequence(observations, torch.zeros(3, 2, dtype=torch.int64), start, policy.initial_state(2))
    (logits.square().sum() + values.square().sum()).backward()
    found = recorder.distributions()
    layers = {name for name, module in policy.named_modules() if isinstance(module, torch.nn.Linear)}
    assert set(found) == layers
    assert all(each.fitted.sigma > 0 and 0 < each.distance <= 1 for each in found.values())
    assert found["actor"].elements == 3 * 2 * 4


@pytest.mark.parametrize("coding", ["pruned", "fp6"])
def test_a_trainer_counts_bytes_and_repeats_itself(coding):
    config = TrainConfig(**SMALL)
    config = replace(config, ppo=replace(config.ppo, neural_gradients=coding, minibatches=2))
    weights = []
    for _ in range(2):
        trainer = make_trainer(config)
        update = trainer.iteration()
        # Zeros of ReLUs are not sent by "pruned" either.
        low, high = (0.03, 0.2) if coding == "pruned" else (0.18, 0.35)
        assert low < update["neural_gradient_bytes"] < high
        weights.append(torch.cat([p.detach().flatten() for p in trainer.policy.parameters()]))
        trainer.close()
    assert torch.equal(*weights)


def test_layers_that_are_compiled_are_refused():
    config = replace(TrainConfig(), compile_update=True)
    with pytest.raises(AgentError, match="compile_update"):
        replace(config, ppo=replace(config.ppo, neural_gradients="fp6")).check()
    with pytest.raises(AgentError, match="neural_gradient_pruning is 1"):
        replace(TrainConfig().ppo, neural_gradient_pruning=1.0).check()
