"""The settings of Habitat's challenges and of its ImageNav benchmark.

Values are those of habitat-lab's configurations and of the habitat-challenge branches of each year.
"""

from __future__ import annotations

from typing import Any

from batchsim.control import VelocityOptions
from batchsim.noise import ActuationNoise, GaussianRgb, Noise, RedwoodDepth
from batchsim.settings.setting import Setting
from batchsim.tasks import HabitatPointNav, ImageNav, InstanceImageNav, ObjectNav, RealisticPointNav

_GENERATED = "Scenes are whatever `scenes` names; Habitat's own are Gibson, MP3D and HM3D."
_VIEWS = (
    "View points are found by this project's baking (places at most 1 m away from which the object can be seen by "
    "turning), unless an episode file brings Habitat's."
)
_POSES = (
    "Habitat draws goal headings with Python's salted hash, which cannot be repeated; here they follow from start and "
    "goal."
)


def _body(height: float, radius: float, camera_height: float) -> dict[str, Any]:
    return {"agent_height": height, "agent_radius": radius, "camera_height": camera_height}


def _camera(width: int, height: int, hfov: float, min_depth: float, max_depth: float) -> dict[str, Any]:
    return {"width": width, "height": height, "hfov": hfov, "min_depth": min_depth, "max_depth": max_depth}


def _moves(turn_angle: float, tilt_angle: float, allow_sliding: bool, max_episode_steps: int) -> dict[str, Any]:
    return {
        "action_mode": "discrete",
        "forward_step": 0.25,
        "turn_angle": turn_angle,
        "tilt_angle": tilt_angle,
        "allow_sliding": allow_sliding,
        "max_episode_steps": max_episode_steps,
    }


def _drives(max_episode_steps: int) -> dict[str, Any]:
    return {
        "action_mode": "velocity",
        "velocity": VelocityOptions(),
        "allow_sliding": False,
        "max_episode_steps": max_episode_steps,
    }


_NO_NOISE: dict[str, Any] = {"noise": Noise()}
_LOCOBOT: dict[str, Any] = {
    "noise": Noise(ActuationNoise("LoCoBot", "Proportional", 0.5), GaussianRgb(0.1), RedwoodDepth())
}
_RGBD: dict[str, Any] = {"sensors": ("rgb", "depth")}
_SPEED = (
    "One action lasts one second: at most 0.25 m and 10 degrees. The challenge's own server moved 1.5 cm per action "
    "(habitat-challenge, issue 174)."
)

SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting(
            "habitat-pointnav-2019",
            1,
            HabitatPointNav(success_distance=0.2),
            _body(1.5, 0.1, 1.25) | _camera(256, 256, 90, 0, 10) | _moves(10, 15, True, 500) | _NO_NOISE | _RGBD,
            (_GENERATED,),
        ),
        Setting(
            "habitat-pointnav-2020",
            1,
            RealisticPointNav(success_distance=0.36),
            _body(0.88, 0.18, 0.88) | _camera(640, 360, 70, 0.1, 10) | _moves(30, 30, False, 500) | _LOCOBOT | _RGBD,
            (
                _GENERATED,
                "Depth noise has no distortion table; give it by noise={'depth': {'model': 'redwood', 'table': FILE}}.",
            ),
        ),
        Setting(
            "habitat-objectnav-2022",
            1,
            ObjectNav(),
            _body(0.88, 0.18, 0.88) | _camera(640, 480, 79, 0.5, 5) | _moves(30, 30, False, 500) | _NO_NOISE | _RGBD,
            (_GENERATED, _VIEWS),
        ),
        Setting(
            "habitat-objectnav-2023",
            1,
            ObjectNav(),
            _body(1.41, 0.17, 1.31) | _camera(480, 640, 42, 0.5, 5) | _drives(500) | _NO_NOISE | _RGBD,
            (_GENERATED, _VIEWS, _SPEED),
        ),
        Setting(
            "habitat-imagenav",
            1,
            ImageNav(success_distance=0.2),
            _body(1.5, 0.1, 1.25) | _camera(256, 256, 90, 0, 10) | _moves(10, 15, True, 1000) | _NO_NOISE | _RGBD,
            (
                _GENERATED,
                _POSES,
                "Some papers count a stop within 1 m as a success; this is the configuration's 0.2 m.",
            ),
        ),
        Setting(
            "habitat-instance-imagenav-2023",
            1,
            InstanceImageNav(image_size=512),
            _body(1.41, 0.17, 1.31) | _camera(360, 640, 42, 0.5, 5) | _drives(1000) | _NO_NOISE | _RGBD,
            (
                _GENERATED,
                _VIEWS,
                _SPEED,
                "The depth camera sees as wide as the colour camera, 42 degrees; Habitat's sees 58.",
                "All goal images are 79 degrees wide; Habitat's are 65 to 92.",
            ),
        ),
    )
}
"""All settings by name."""
