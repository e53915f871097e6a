"""A student comes to act as its teacher does, from what the teacher says of the student's own steps."""

from dataclasses import replace

import pytest
import torch

from batchsim.agents.config import TrainConfig
from batchsim.agents.ppo.action_distribution import kl_divergence
from batchsim.agents.ppo.trainer import Trainer
from batchsim.agents.shrinking.distillation import Distillation
from batchsim.agents.training.build import make_envs, make_policy
from tests.helpers.small_runs import SMALL

CONFIG = replace(TrainConfig(**SMALL), num_envs=8, rollout_steps=12)
CONFIG = replace(CONFIG, ppo=replace(CONFIG.ppo, minibatches=2, epochs=4))


@pytest.fixture
def trainer(seeded):
    """A trainer whose policy is to learn from another one, which is sure of itself."""
    (env,) = make_envs(CONFIG, CONFIG.scenes)
    student, teacher = make_policy(CONFIG, env), make_policy(replace(CONFIG, hidden_size=24), env)
    with torch.no_grad():
        teacher.actor.weight.mul_(100)
    learner = Distillation(student, teacher, CONFIG.ppo, lambda: 0.0)
    learner.set_learning_rate(1e-2)
    made = Trainer(env, student, CONFIG.ppo, CONFIG.rollout_steps, 0, learner=learner)
    yield made
    made.close()


def test_the_divergence_falls(trainer):
    teacher = {name: value.clone() for name, value in trainer.ppo.teacher.state_dict().items()}
    found = [trainer.iteration() for _ in range(25)]
    first, last = found[0], found[-1]
    assert last["teacher_kl"] < 0.3 * first["teacher_kl"]
    assert last["teacher_agreement"] > 0.8 > first["teacher_agreement"]
    assert all(torch.equal(value, teacher[name]) for name, value in trainer.ppo.teacher.state_dict().items())


def test_the_teacher_remembers_what_the_student_saw(trainer):
    """Over two rollouts, its answers are those of one walk through all observations."""
    learner, seen, said = trainer.ppo, [], []
    for _ in range(2):
        trainer.collect()
        rollout = trainer.rollout
        parts = (rollout.previous_actions, rollout.episode_start)
        seen.append(({n: v.float().clone() for n, v in rollout.observations.items()}, *(p.clone() for p in parts)))
        said.append(learner._ask_teacher(rollout)[0])
    observations = {name: torch.cat([part[0][name] for part in seen]) for name in seen[0][0]}
    action, start = (torch.cat([part[k] for part in seen]) for k in (1, 2))
    with torch.no_grad():
        expected, _ = learner.teacher.sequence(observations, action, start, learner.teacher.initial_state(8))
    torch.testing.assert_close(torch.cat(said), expected, atol=1e-4, rtol=1e-4)
    assert start[1:].any()


def test_divergences_are_torchs():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 5, 6, generator=generator)
    categorical = [torch.distributions.Categorical(logits=logits) for logits in (a, b)]
    expected = torch.distributions.kl_divergence(*categorical)
    assert torch.allclose(kl_divergence(a, b, False), expected, atol=1e-6)
    normal = [
        torch.distributions.Independent(torch.distributions.Normal(logits[:, :3], logits[:, 3:].exp()), 1)
        for logits in (a, b)
    ]
    assert torch.allclose(kl_divergence(a, b, True), torch.distributions.kl_divergence(*normal), atol=1e-5)
