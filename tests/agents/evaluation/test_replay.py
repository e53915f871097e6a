"""Replays show what the agent saw in the recorded episode, and nothing else."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from batchsim.agents.baselines.registry import make_baseline
from batchsim.agents.evaluation.policy_agent import PolicyAgent
from batchsim.agents.evaluation.replay import replay_episodes
from batchsim.agents.evaluation.run_episodes import run_episodes
from batchsim.agents.networks.policy import Policy, config_for
from batchsim.scenes import sample_episodes

OPTIONS = {"sensors": ("depth", "rgb"), "width": 16, "height": 16, "renderer": "raycast", "turn_angle": 30.0}


@pytest.fixture(scope="module")
def episodes(homes):
    return sample_episodes(homes, 5, seed=11)


@pytest.fixture
def policy(seeded):
    def make(env):
        torch.manual_seed(3)
        config = config_for(env.single_observation_space, env.single_action_space)
        return Policy(replace(config, hidden_size=32, visual_channels=(4, 8))).eval()

    return make


def acted(make_env, homes, episodes, make_agent, **options):
    """What happened, and of each episode the images and the memory's inputs as the agent met them."""
    env = make_env(len(episodes), homes, episodes=episodes, max_episode_steps=25, **{**OPTIONS, **options})
    met = {k: [] for k in range(len(episodes))}

    def on_step(snapshot):
        for env_number, index in enumerate(snapshot.index.tolist()):
            if index >= 0:
                met[index].append({name: value[env_number].clone() for name, value in snapshot.observation.items()})

    found = run_episodes(env, make_agent(env), episodes, "agent", "test", on_step=on_step)
    return found.records, met


def by_name(homes):
    return {scene.name: scene for scene in homes}


def test_a_replay_holds_the_images_that_the_policy_met(make_env, homes, episodes, policy):
    kept = []

    def make_agent(env):
        kept.append(policy(env))
        return PolicyAgent(kept[0], env.num_envs)

    records, met = acted(make_env, homes, episodes, make_agent)
    chosen = [records[3], records[1]]
    replays = list(replay_episodes(chosen, episodes, by_name(homes), OPTIONS, kept[0]))
    assert [(replay.scene, replay.episode_id) for replay in replays] == [(r.scene, r.episode_id) for r in chosen]
    for replay, record, index in zip(replays, chosen, (3, 1), strict=True):
        steps = len(record.actions)
        depth = torch.stack([each["depth"] for each in met[index]]).numpy()
        rgb = torch.stack([each["rgb"] for each in met[index]]).numpy()
        assert replay.seen["depth"].shape == (steps + 1, 16, 16, 1)
        assert (replay.seen["rgb"][:steps] == rgb).all()
        again = np.where(replay.seen["depth"] > 0, (replay.seen["depth"].astype(float) - 1) / 254, 0)[:steps]
        assert ((again > 0) <= (depth > 0)).all()
        assert np.abs(again - depth)[depth > 0].max() <= 0.5 / 254 + 1e-6
        # Images of the view are larger ones of the same place; averaged over blocks they are the agent's.
        count, height, width, _ = replay.view.shape
        assert (count, height, width) == (steps + 1, 256, 256)
        small = replay.view.reshape(count, 16, 16, 16, 16, 3).mean((2, 4))
        assert np.abs(small - replay.seen["rgb"]).mean() < 8
        assert replay.trace.memory.shape == (steps, 32)
        assert replay.trace.saliency["depth"].shape == replay.trace.saliency["rgb"].shape == (steps, 16, 16)


def test_agents_that_do_not_look_have_a_view_all_the_same(make_env, homes, episodes):
    records, _ = acted(make_env, homes, episodes, lambda env: make_baseline("oracle", env), sensors=())
    options = {**OPTIONS, "sensors": ()}
    replays = list(replay_episodes(records[:2], episodes, by_name(homes), options))
    for replay, record in zip(replays, records, strict=False):
        assert replay.view.shape == (len(record.actions) + 1, 256, 256, 3)
        assert (replay.seen, replay.trace) == ({}, None)
        assert replay.view[0].std() > 1  # something is to be seen, and it changes
        assert (replay.view[0] != replay.view[-1]).mean() > 0.1


def test_records_of_another_way_are_left_out(make_env, homes, episodes, caplog):
    records, _ = acted(make_env, homes, episodes, lambda env: make_baseline("oracle", env), sensors=())
    tampered = replace(records[0], path=[[x + 0.1, y, z] for x, y, z in records[0].path])
    with caplog.at_level(logging.WARNING):
        replays = list(replay_episodes([tampered, records[1]], episodes, by_name(homes), OPTIONS))
    assert [replay.episode_id for replay in replays] == [records[1].episode_id]
    assert f"{records[0].scene} {records[0].episode_id}" in caplog.text


def test_nothing_to_replay(homes, episodes):
    assert list(replay_episodes([], episodes, by_name(homes), OPTIONS)) == []
