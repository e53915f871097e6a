"""The names that batchsim.agents exports, used as the docs show them."""

import subprocess
import sys

import pytest
import torch

import batchsim.agents
from batchsim.agents import TrainConfig, evaluate
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import Candidate
from batchsim.agents.evaluation.episode_selection import episodes_of_set
from batchsim.agents.evaluation.session import EvalSession
from batchsim.agents.networks.policy import Policy, PolicyConfig


def test_names_are_loaded_when_first_used():
    program = (
        "import sys, batchsim.agents\n"
        "assert 'torch' not in sys.modules\n"
        "assert {'evaluate', 'load_policy', 'PolicyAgent', 'TrainConfig'} <= set(dir(batchsim.agents))\n"
        "batchsim.agents.load_policy\n"
        "assert 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = batchsim.agents.nothing
    for name in batchsim.agents.__all__:
        assert getattr(batchsim.agents, name).__name__ == name


def test_evaluate_runs_baselines_and_policies():
    session = EvalSession(episodes_of_set("one-room", 4), quiet=True)
    assert evaluate("greedy", "one-room", 4).summary() == session.run(Candidate("greedy", TrainConfig())).summary()

    torch.manual_seed(0)
    blind = TrainConfig(blind=True)
    policy = Policy(PolicyConfig(images=(), hidden_size=16))
    found = evaluate(policy, "one-room", 4, blind, num_envs=3, seed=5)
    expected = EvalSession(episodes_of_set("one-room", 4), seed=5, quiet=True).run(Candidate("", blind, policy))
    assert found.summary() == expected.summary()
    assert len(found.records) == 4


def test_evaluate_names_what_does_not_fit():
    with pytest.raises(AgentError, match="depth"):
        evaluate(Policy(PolicyConfig(image_size=(32, 32), hidden_size=16)), "one-room", 2)
    spoiled = Policy(PolicyConfig(images=(), hidden_size=16))
    with torch.no_grad():
        spoiled.critic.bias.fill_(torch.inf)
    with pytest.raises(AgentError, match=r"policy: critic\.bias holds values that are not finite"):
        evaluate(spoiled, "one-room", 2, TrainConfig(blind=True))
    with pytest.raises(AgentError, match="neither a run folder nor a baseline"):
        evaluate("nothing-here", "one-room", 2)
