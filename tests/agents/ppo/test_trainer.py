"""Tests of the training loop: what it stores, what it bootstraps, and that it learns."""

import pytest
import torch

from batchsim.agents.networks.policy import Policy, config_for
from batchsim.agents.networks.vector_features import GOAL
from batchsim.agents.ppo.episode_statistics import EpisodeStatistics
from batchsim.agents.ppo.ppo import PPOConfig
from batchsim.agents.ppo.trainer import Trainer
from batchsim.cuda_graph import sync_debug


@pytest.fixture
def make_trainer(make_env, one_room, seeded):
    def make(num_envs=4, steps=8, seed=0, scenes=one_room, policy=None, config=None, **options):
        torch.manual_seed(seed)
        env = make_env(num_envs, scenes, **{"sensors": (), **options})
        spaces = env.single_observation_space, env.single_action_space
        policy = policy or Policy(config_for(*spaces, hidden_size=32)).to(env.device)
        return Trainer(env, policy, config or PPOConfig(), steps, seed)

    return make


def test_a_blind_agent_learns_to_walk_to_the_goal(make_trainer):
    trainer = make_trainer(128, 16, config=PPOConfig(learning_rate=3e-3), turn_angle=30.0, max_episode_steps=100)
    history = [trainer.iteration() for _ in range(48)]

    def mean(name, rows):
        episodes = sum(row["episodes"] for row in rows)
        return sum(row[name] * row["episodes"] for row in rows if row["episodes"]) / episodes

    early, late = history[:12], history[-8:]
    assert mean("success", early) < 0.35
    assert mean("success", late) > 0.75
    assert mean("reward", late) > mean("reward", early) + 2
    assert history[-1]["entropy"] < history[0]["entropy"]


def test_an_iteration_reports_and_counts(make_trainer):
    trainer = make_trainer(max_episode_steps=5)
    first, second = trainer.iteration(), trainer.iteration()
    assert (first["frames"], second["frames"]) == (32, 64)
    assert (trainer.progress.frames, trainer.progress.updates) == (64, 2)
    assert second["seconds"] == pytest.approx(trainer.progress.seconds)
    wanted = {"fps", "us_collect", "us_learn", "loss", "value_loss", "entropy", "success", "spl", "reward"}
    assert wanted <= set(first)
    # Every fifth step ends all episodes that have not stopped before.
    assert first["episodes"] >= 4


def test_the_same_seed_learns_the_same(make_trainer):
    runs = []
    for _ in range(2):
        trainer = make_trainer(num_envs=6, max_episode_steps=9)
        rows = [trainer.iteration() for _ in range(3)]
        runs.append([(row["loss"], row["value_loss"], row["gradient_norm"]) for row in rows])
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1]


class Recorded:
    """An environment that keeps what went in and came out."""

    def __init__(self, env):
        self.env, self.steps = env, []

    def step_async(self, actions):
        self.actions = actions.clone()
        self.env.step_async(actions)

    def step_wait(self):
        result = self.env.step_wait()
        observation, reward, terminated, truncated, info = result
        final = {name: value.clone() for name, value in info["final_obs"].items()}
        now = {name: value.clone() for name, value in observation.items()}
        self.steps.append((self.actions, now, reward.clone(), terminated, truncated, final))
        return result

    def __getattr__(self, name):
        return getattr(self.env, name)


def test_what_a_rollout_holds(make_trainer):
    trainer = make_trainer(num_envs=5, steps=20, max_episode_steps=6)
    env, policy, rollout = trainer.env, trainer.policy, trainer.rollout
    (collector,) = trainer.collectors
    collector.env = recorded = Recorded(env)
    first = {name: value.clone() for name, value in collector.observation.items()}
    trainer.collect()

    gamma = trainer.config.gamma
    state, episode_start = policy.initial_state(5), torch.ones(5, dtype=torch.bool)
    previous = torch.zeros(5, dtype=torch.int64)
    observation, cuts = first, 0
    for t, (actions, following, reward, terminated, truncated, final) in enumerate(recorded.steps):
        assert torch.equal(rollout.observations[GOAL][t], observation[GOAL])
        assert torch.equal(rollout.episode_start[t], episode_start)
        assert torch.equal(rollout.actions[t], actions)
        with torch.no_grad():
            logits, value, state = policy.step(observation, previous, episode_start, state)
            # The value of the last observation, with the memory as it stood, wherever time ran out and only there.
            beyond = policy.step(final, actions, torch.zeros(5, dtype=torch.bool), state)[1]
        log_prob = torch.log_softmax(logits, -1).gather(-1, actions[:, None]).squeeze(-1)
        assert torch.allclose(rollout.log_probs[t], log_prob, atol=1e-5)
        assert torch.allclose(rollout.values[t], value, atol=1e-5)
        assert torch.allclose(rollout.rewards[t], reward + torch.where(truncated, gamma * beyond, 0.0), atol=1e-5)
        episode_start = terminated | truncated
        assert torch.equal(rollout.done[t], episode_start)
        previous, observation = actions, following
        cuts += int(truncated.sum())
    assert cuts > 5

    # The next rollout continues where this one ended.
    trainer.collect()
    assert torch.equal(rollout.episode_start[0], episode_start)
    assert torch.equal(rollout.previous_actions[0], previous)
    assert torch.allclose(rollout.state, state, atol=1e-6)


def test_terminated_episodes_are_not_bootstrapped(make_trainer):
    trainer = make_trainer(num_envs=2, steps=3)
    with torch.no_grad():
        trainer.policy.actor.bias.copy_(torch.tensor([50.0, 0.0, 0.0, 0.0]))  # always stop
        trainer.policy.critic.bias.fill_(1000.0)
    trainer.collect()
    assert trainer.rollout.done.all()
    assert trainer.rollout.rewards.abs().max() < 5
    assert torch.allclose(trainer.rollout.returns, trainer.rollout.rewards, atol=1e-3)


def test_a_seeing_agent_trains(make_trainer, homes):
    options = {"sensors": ("depth",), "width": 16, "height": 16, "renderer": "raster", "max_episode_steps": 5}
    row = make_trainer(num_envs=4, steps=6, scenes=homes[0], **options).iteration()
    assert row["frames"] == 24
    assert abs(row["approx_kl"]) < 0.1


def test_sums_over_episodes():
    sums = EpisodeStatistics(("success", "episode_return", "distance"), 3, torch.device("cpu"))
    assert sums.totals() == {"episodes": 0, "success": 0, "reward": 0, "distance": 0}
    measures = {
        "success": torch.tensor([1.0, 0.0, 1.0]),
        "episode_return": torch.tensor([5.0, 1.0, 100.0]),
        "distance": torch.tensor([2.0, 3.0, torch.inf]),
    }
    sums.add(measures, torch.tensor([True, True, False]))
    sums.add(measures, torch.tensor([False, False, False]))
    sums.add(measures, torch.tensor([False, True, False]))
    assert sums.totals() == {"episodes": 3, "success": 1, "reward": 5 + 1 + 1, "distance": 2 + 3 + 3}


@pytest.mark.parametrize("max_episode_steps", [3, 7, 100])
def test_truncated_values_are_the_same_at_once_and_at_the_end(make_trainer, homes, max_episode_steps):
    """A CPU computes them at once, a GPU at the end of the rollout, so that nothing waits for it."""
    rollouts = []
    for at_once in (True, False):
        options = {"sensors": ("depth",), "width": 16, "height": 16, "renderer": "raycast", "device": "cpu"}
        trainer = make_trainer(6, 20, scenes=homes, max_episode_steps=max_episode_steps, **options)
        with torch.no_grad():
            trainer.policy.critic.bias.fill_(10.0)
        trainer.collectors[0].truncation_bootstrap.at_once = at_once
        trainer.collect()
        trainer.collect()
        rollouts.append(trainer.rollout)
    now, later = rollouts
    assert torch.equal(now.actions, later.actions)
    torch.testing.assert_close(now.rewards, later.rewards, atol=1e-4, rtol=0)
    torch.testing.assert_close(now.advantages, later.advantages, atol=1e-3, rtol=0)
    assert (now.rewards > 5).any() == (max_episode_steps < 40)


@pytest.mark.gpu
def test_gpu_rollout_is_collected_without_waiting(make_trainer, homes):
    """Torch raises for whatever makes the host wait for the device."""
    options = {"sensors": ("depth",), "renderer": "raycast", "device": "cuda", "max_episode_steps": 10}
    trainer = make_trainer(16, 16, scenes=homes, **options)
    trainer.collect()
    with sync_debug("error"):
        trainer.collect()
    assert trainer.rollout.done.any()
