"""What imitation stores and learns: with recurrent policies, double buffering and after a checkpoint."""

import math
from dataclasses import replace

import pytest
import torch

from batchsim import OptionError
from batchsim.agents.config import TrainConfig
from batchsim.agents.imitation.loss import imitation_terms
from batchsim.agents.imitation.schedule import Imitation, ImitationConfig
from batchsim.agents.ppo.ppo import PPOConfig, ppo_loss
from batchsim.agents.ppo.rollout_buffer import Batch
from batchsim.agents.runs.checkpoint import find_checkpoint, load_trainer, save_checkpoint
from tests.helpers.small_runs import SMALL

DAGGER = ImitationConfig(imitation=True, expert_share=0.5)
CONFIG = TrainConfig(**SMALL | {"blind": True}, imitation=DAGGER)


def test_loss_by_hand():
    # The expert stops (action 0) in the first step and turns (action 2) in the second.
    logits = torch.tensor([[[0.5, 0.25, 0.25]], [[0.2, 0.6, 0.2]]]).log()
    found = imitation_terms(logits, torch.tensor([[0], [2]]), 0, Imitation(stop_weight=3.0))
    assert float(found["imitation_loss"]) == pytest.approx((3 * math.log(2) + math.log(5)) / 4)
    assert float(found["expert_agreement"]) == 0.5
    even = imitation_terms(logits, torch.tensor([[0], [2]]), None, Imitation(stop_weight=3.0))
    assert float(even["imitation_loss"]) == pytest.approx((math.log(2) + math.log(5)) / 2)


def test_steps_of_the_expert_are_left_out_of_the_policy_loss():
    logits = torch.tensor([[[0.6, 0.4], [0.6, 0.4], [0.5, 0.5]]]).log().requires_grad_()
    none, row = torch.zeros(1, 3), torch.tensor([[0, 1, 0]])
    log_probs, advantages = torch.tensor([[0.48, 0.4, 0.1]]).log(), torch.tensor([[1.0, 5.0, -1.0]])
    by_expert = torch.tensor([[False, True, True]])
    batch = Batch({}, row, none.bool(), none, row, log_probs, none, advantages, none, row, by_expert)
    plain = PPOConfig(normalize_advantage=False)
    terms = ppo_loss(logits, none, batch, plain)
    assert float(terms["policy_loss"].detach()) == pytest.approx(-1.2)  # of the first alone: 0.6 / 0.48 is clipped
    assert float(terms["clip_fraction"]) == 1.0
    terms["policy_loss"].backward()
    assert not logits.grad[0, 1:].any()


def watch(trainer):
    """Returns a list that is filled with the expert's and the taken actions of each step."""
    seen = []
    for collector in trainer.collectors:
        step_async = collector.env.step_async

        def recorded(action, env=collector.env, step_async=step_async):
            seen.append((env.expert()[0], action.clone()))
            step_async(action)

        collector.env.step_async = recorded
    return seen


def test_labels_are_the_experts_actions_and_some_are_taken(make):
    trainer = make(replace(CONFIG, rollout_steps=60))
    seen, rollout = watch(trainer), trainer.rollout
    trainer.collect()
    assert torch.equal(rollout.labels, torch.stack([label for label, _ in seen]))
    assert torch.equal(rollout.actions, torch.stack([action for _, action in seen]))
    assert torch.equal(rollout.actions[rollout.by_expert], rollout.labels[rollout.by_expert])
    assert 0.4 < rollout.by_expert.float().mean() < 0.6
    # Log probabilities are the policy's, also of actions that the expert took.
    logits, _ = trainer.policy.sequence(
        rollout.observations, rollout.previous_actions, rollout.episode_start, rollout.state
    )
    expected = torch.log_softmax(logits, -1).gather(-1, rollout.actions.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(rollout.log_probs, expected, atol=1e-5, rtol=1e-4)


def test_in_behaviour_cloning_the_expert_acts_and_the_reward_does_not_count(make):
    trainer = make(replace(CONFIG, imitation=replace(DAGGER, expert_share=1.0)))
    row = trainer.iteration()
    assert trainer.rollout.by_expert.all()
    assert row["policy_loss"] == 0
    config = trainer.config
    expected = config.value_coefficient * row["value_loss"] - config.entropy_coefficient * row["entropy"]
    assert row["loss"] == pytest.approx(expected + 0.5 * row["imitation_loss"], rel=1e-4)


def test_without_labels_it_is_ppo(make):
    """After the end of imitation, updates and experience are those of a trainer that never imitated."""
    plain, ended = make(replace(CONFIG, imitation=ImitationConfig())), make(CONFIG)
    ended.set_share_done(0.75)
    assert plain.iteration()["loss"] == ended.iteration()["loss"]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_halves_collect_what_one_batch_does(make, share):
    config = replace(CONFIG, imitation=replace(DAGGER, expert_share=share))
    one, two = make(config), make(replace(config, double_buffering=True))
    for trainer in (one, two):
        trainer.collect()
    for name in ("labels", "by_expert", "actions", "rewards"):
        torch.testing.assert_close(getattr(one.rollout, name), getattr(two.rollout, name), atol=1e-5, rtol=1e-4)


def test_a_resumed_trainer_learns_the_same_bits(make, tmp_path):
    straight, first, second = make(CONFIG), make(CONFIG), make(CONFIG)
    for trainer in (straight, first):
        for done in (0.0, 0.1):
            trainer.set_share_done(done)
            trainer.iteration()
    save_checkpoint(tmp_path, first, None)
    assert load_trainer(find_checkpoint(tmp_path), second) is None
    for trainer in (straight, second):
        trainer.set_share_done(0.2)
    rows = [trainer.iteration() for trainer in (straight, second)]
    assert rows[0]["loss"] == rows[1]["loss"]
    assert torch.equal(straight.rollout.by_expert, second.rollout.by_expert)
    for a, b in zip(straight.policy.parameters(), second.policy.parameters(), strict=True):
        assert torch.equal(a, b)


def test_labels_in_infos_are_used_as_they_are(make):
    """As on CUDA, where the step's graph computes them."""
    asked = make(CONFIG)
    told = make(CONFIG)
    env = told.env
    env.simulator.options = replace(env.simulator.options, expert=True)
    env.simulator.transition._expert = env.simulator.expert
    told.begin_episodes()
    env.expert = None
    assert asked.iteration()["loss"] == told.iteration()["loss"]


def test_imitation_teaches_in_few_frames(make):
    sizes = {"num_envs": 64, "rollout_steps": 16, "hidden_size": 64, "max_episode_steps": 60, "precision": "float32"}
    learning = PPOConfig(learning_rate=3e-3)
    config = replace(CONFIG, **sizes, ppo=learning, imitation=ImitationConfig(imitation=True, imitation_weight=1.0))
    trainer = make(config)
    rows = [trainer.iteration() for _ in range(30)]
    # In part the expert's turns cannot be predicted: 0.73 to 0.81 of its actions were, over seeds and precisions.
    agreement = [row["expert_agreement"] for row in rows]
    assert sum(agreement[-5:]) / 5 > 0.7
    assert sum(agreement[-5:]) / 5 > agreement[0] + 0.05
    assert rows[-1]["success"] > 0.5 > rows[0]["success"]


def test_tasks_without_an_expert_are_refused(make):
    with pytest.raises(OptionError, match="no expert"):
        make(replace(CONFIG, task="explore"))


@pytest.mark.gpu
def test_gpu_labels_do_not_make_the_host_wait(make):
    from tests.agents.ppo.test_host_waits import waits

    trainer = make(replace(CONFIG, device="cuda", rollout_steps=8))
    trainer.iteration()
    assert waits(trainer.collect) == []
    assert len(waits(lambda: trainer.ppo.update(trainer.rollout, trainer.generator))) <= 2
