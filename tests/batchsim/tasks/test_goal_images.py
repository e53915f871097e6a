"""ImageNav and InstanceImageNav: pictures show the goals, are drawn once, and last through an episode."""

import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from batchsim import BatchRenderer, NavVectorEnv, OptionError, poses, scenes
from batchsim.agents.baselines.oracles import ExpertAgent
from batchsim.scenes import link_goals, sample_episodes
from batchsim.tasks import InstanceImageNav
from tests.helpers.infos import measures

HOMES = "homes:train?count=2"
SMALL = {"width": 24, "height": 16, "renderer": "raycast", "device": "cpu"}


def make(task, num_envs=6, **options):
    env = NavVectorEnv(num_envs, HOMES, task=task, **SMALL | {"sensors": ("rgb",)} | options)
    observation, _ = env.reset(seed=0)
    return env, observation


def drawn(env, camera, wanted):
    """What a renderer of its own sees at `wanted` poses in the environments' scenes."""
    renderer = BatchRenderer(
        env.simulator.scenes.scenes, len(wanted), *camera, sensors=("rgb",), backend="raycast", device="cpu"
    )
    image = renderer.render(wanted, env.simulator.state.scene)["rgb"].clone()
    renderer.close()
    return image


def test_imagegoal_is_the_view_from_the_goal():
    env, observation = make("imagenav")
    space = env.single_observation_space
    assert set(space.spaces) == {"rgb", "imagegoal"}
    assert space["imagegoal"].shape == (16, 24, 3)
    state = env.simulator.state
    goal = env.simulator.scenes.goal_position(state.scene, state.task["goal"])
    wanted = torch.cat((goal, poses.heading_to_quaternion(state.task["goal_heading"])), -1)
    wanted[:, 1] += 1.25
    assert torch.equal(observation["imagegoal"], drawn(env, (24, 16, 90.0), wanted))
    assert len(state.task["goal_heading"].unique()) == 6


def test_instance_imagegoal_is_seen_by_its_own_camera():
    env, observation = make(InstanceImageNav(image_size=40, image_hfov=65.0), sensors=("depth",))
    assert set(observation) == {"depth", "instance_imagegoal", "instance_imagegoal_hfov", "gps", "compass"}
    assert observation["instance_imagegoal"].shape == (6, 40, 40, 3)
    assert observation["instance_imagegoal_hfov"].flatten().tolist() == [65.0] * 6
    state, objects = env.simulator.state, env.simulator.scenes.objects
    pose = objects.image_pose(state.scene, state.task["image"])
    wanted = torch.zeros(6, 7)
    wanted[:, :3] = pose[:, :3]
    for k in range(6):
        heading, pitch = float(pose[k, 3]), float(pose[k, 4])
        turn = torch.tensor([0, math.sin(heading / 2), 0, math.cos(heading / 2)])
        wanted[k, 3:] = poses.multiply(turn, torch.tensor([math.sin(pitch / 2), 0, 0, math.cos(pitch / 2)]))
    close = (observation["instance_imagegoal"].int() - drawn(env, (40, 40, 65.0), wanted).int()).abs() <= 1
    assert close.float().mean() > 0.999
    shown = objects.image_object(state.scene, state.task["image"]) + objects.first_object[state.scene]
    assert torch.equal(shown, state.task["goal"])


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_picture_is_drawn_once_an_episode(mode):
    env, observation = make("imagenav", autoreset_mode=mode, max_episode_steps=4)
    name, state = "imagegoal", env.simulator.state
    before, episode = observation[name].clone(), state.episode.clone()
    changed = 0
    for step in range(14):
        if mode == AutoresetMode.DISABLED and step % 5 == 4:
            mask = torch.arange(6) % 2 == 0
            observation, info = env.reset(options={"reset_mask": mask.numpy()})
        else:
            observation, _, _, _, info = env.step(torch.randint(0 if step % 3 else 1, 4, (6,)))
        new = state.episode != episode
        assert torch.equal(observation[name][~new], before[~new])
        different = (observation[name][new] != before[new]).flatten(1).any(1)
        assert different.all()
        changed += int(new.sum())
        if mode == AutoresetMode.SAME_STEP:
            assert torch.equal(info["final_obs"][name][new], before[new])
        before, episode = observation[name].clone(), state.episode.clone()
    assert changed >= 6


def test_pictures_are_part_of_a_checkpoint():
    env, observation = make("imagenav")
    saved = env.state_dict()
    other, _ = make("imagenav")
    other.reset(seed=50)
    other.load_state_dict(saved)
    assert torch.equal(other.observe()["imagegoal"], observation["imagegoal"])
    with pytest.raises(OptionError, match="Saved goal images: none; expected shape"):
        other.load_state_dict({k: v for k, v in saved.items() if not k.endswith("goal_image")})


def test_a_fixed_episode_shows_the_same_picture_in_every_batch():
    loaded = scenes.load_all(HOMES, progress=False)
    episodes, whole, _ = link_goals(sample_episodes(loaded, 6), loaded)
    options = SMALL | {"sensors": ("rgb",), "task": "imagenav"}
    together = NavVectorEnv(6, whole, episodes=episodes, **options)
    alone = NavVectorEnv(1, whole, episodes=episodes.select(np.array([3])), **options)
    assert torch.equal(together.reset(seed=0)[0]["imagegoal"][3:4], alone.reset(seed=9)[0]["imagegoal"])


@pytest.mark.parametrize("task", ["imagenav", "instance_imagenav_level"])
def test_the_oracle_arrives(task):
    env, observation = make(task, num_envs=24, sensors=("depth",), width=4, height=4, turn_angle=30)
    agent, start, success = ExpertAgent(env), torch.ones(24, dtype=torch.bool), []
    for _ in range(90):
        observation, _, terminated, truncated, info = env.step(agent.act(observation, start, torch.rand(24)))
        success += measures(info)["success"][terminated | truncated].tolist()
    assert len(success) > 24
    assert np.mean(success) >= 0.99


def test_wrong_options_are_named():
    assert make("imagenav", sensors=())[1] == {}
    with pytest.raises(OptionError, match="imagegoal is seen through the agent's one camera"):
        make("imagenav", cameras=[{"name": "front"}, {"name": "rear", "yaw": 180}])


def test_gymnasium_makes_them():
    for name, goal in (("ImageNav", "imagegoal"), ("InstanceImageNav", "instance_imagegoal")):
        env = gym.make_vec(f"batchsim/{name}-v0", num_envs=2, scenes=HOMES, **SMALL)
        assert goal in env.reset(seed=0)[0]
        env.close()
