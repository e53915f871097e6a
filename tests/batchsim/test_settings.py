"""Named settings: the published numbers, what they refuse, and that an environment really has them."""

import json

import gymnasium as gym
import pytest
import torch

from batchsim import NavVectorEnv, OptionError
from batchsim.noise import Noise, RedwoodDepth
from batchsim.scenes_cli import main
from batchsim.settings import SETTINGS, apply_setting, task_of_setting

# Body height and radius, camera width, height and field of view at what height, depth range, turn, sliding, steps.
PUBLISHED = {
    "habitat-pointnav-2019": (1.5, 0.1, 256, 256, 90, 1.25, 0, 10, 10, True, 500),
    "habitat-pointnav-2020": (0.88, 0.18, 640, 360, 70, 0.88, 0.1, 10, 30, False, 500),
    "habitat-objectnav-2022": (0.88, 0.18, 640, 480, 79, 0.88, 0.5, 5, 30, False, 500),
    "habitat-objectnav-2023": (1.41, 0.17, 480, 640, 42, 1.31, 0.5, 5, None, False, 500),
    "habitat-imagenav": (1.5, 0.1, 256, 256, 90, 1.25, 0, 10, 10, True, 1000),
    "habitat-instance-imagenav-2023": (1.41, 0.17, 360, 640, 42, 1.31, 0.5, 5, None, False, 1000),
}
NAMES = (
    *("agent_height", "agent_radius", "width", "height", "hfov", "camera_height", "min_depth", "max_depth"),
    *("turn_angle", "allow_sliding", "max_episode_steps"),
)


@pytest.mark.parametrize("name", PUBLISHED)
def test_options_are_those_published(name):
    options = SETTINGS[name].options
    assert tuple(options.get(option) for option in NAMES) == PUBLISHED[name]
    assert options["action_mode"] == ("velocity" if name.endswith("2023") else "discrete")
    assert json.loads(json.dumps(SETTINGS[name].to_json()))["version"] >= 1
    assert task_of_setting(name)


def test_only_the_realistic_pointnav_is_noisy():
    noisy = {name for name, setting in SETTINGS.items() if setting.options["noise"] != Noise()}
    assert noisy == {"habitat-pointnav-2020"}
    noise = SETTINGS["habitat-pointnav-2020"].to_json()["options"]["noise"]
    assert noise["actuation"] == {
        "model": "pyrobot",
        "robot": "LoCoBot",
        "controller": "Proportional",
        "multiplier": 0.5,
    }
    assert noise["rgb"] == {"model": "gaussian", "intensity": 0.1}
    assert SETTINGS["habitat-pointnav-2020"].task.success_distance == 0.36


def test_an_environment_has_the_options():
    env = gym.make_vec(
        "batchsim/ObjectNav-v0",
        num_envs=2,
        scenes="homes:train?count=1",
        setting="habitat-objectnav-2022",
        sensors=("depth",),
        renderer="raycast",
        device="cpu",
    )
    assert env.setting.name == "habitat-objectnav-2022"
    assert env.single_observation_space["depth"].shape == (480, 640, 1)
    options = env.simulator.options
    assert (options.turn_angle, options.tilt_angle, options.allow_sliding, options.min_depth) == (30, 30, False, 0.5)
    scene = env.simulator.scenes.scenes[0]
    assert (scene.body.height, scene.body.radius) == (0.88, 0.18)
    depth = env.reset(seed=0)[0]["depth"]
    assert 0 <= float(depth.min()) <= float(depth.max()) <= 1
    env.step(torch.tensor([4, 5]))
    assert env.simulator.state.pitch.tolist() == pytest.approx([0.5236, -0.5236], abs=1e-4)
    env.close()


def test_other_values_are_refused():
    name = "habitat-objectnav-2022"
    for given, message in (
        ({"turn_angle": 10}, r"fixes turn_angle=30; got 10\. Leave turn_angle out, or the setting"),
        ({"sensors": ("semantic",)}, "fixes sensors"),
        ({"task": "imagenav"}, "fixes task='ObjectNav'"),
        ({"noise": {"rgb": "gaussian"}}, "fixes noise"),
        ({"success_distance": 1.0}, "fixes success_distance=0.1"),
    ):
        with pytest.raises(OptionError, match=message):
            apply_setting(name, given)
    with pytest.raises(OptionError, match=r"setting='habitat-2030': expected one of habitat-pointnav-2019"):
        NavVectorEnv(2, "one-room", setting="habitat-2030")
    same = apply_setting(name, {"turn_angle": 30, "task": "objectnav", "num_envs": 7, "sensors": ("depth",)})
    assert (same["num_envs"], same["sensors"]) == (7, ("depth",))


def test_depth_noise_may_be_given_its_table(tmp_path):
    import numpy as np

    np.save(tmp_path / "table.npy", np.ones((80, 80, 5), np.float32))
    fixed = SETTINGS["habitat-pointnav-2020"].options["noise"]
    given = Noise(fixed.actuation, fixed.rgb, RedwoodDepth(table=str(tmp_path / "table.npy")))
    assert apply_setting("habitat-pointnav-2020", {"noise": given})["noise"] is given


def test_the_command_prints_them(capsys):
    assert main(["settings", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(SETTINGS)
    main(["settings", "habitat-imagenav"])
    assert "max_episode_steps = 1000" in capsys.readouterr().out


def test_the_realistic_pointnav_knows_where_the_goal_was(one_room):
    env = NavVectorEnv(4, one_room, task="realistic_pointnav", sensors=(), device="cpu")
    first = env.reset(seed=0)[0]["pointgoal"]
    for _ in range(5):
        observation = env.step(torch.tensor([1, 2, 3, 1]))[0]
    assert torch.equal(observation["pointgoal"], first)
