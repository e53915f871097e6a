"""Builds the simulator behind an environment from the arguments of its constructor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from batchsim.control import read_velocity_options
from batchsim.errors import OptionError
from batchsim.noise import read_noise
from batchsim.option_checks import flag, real_number, sequence
from batchsim.render.camera import read_cameras
from batchsim.scenes import AgentBody, EpisodeSet, Scene, resolve
from batchsim.simulation.episode_sources import FixedEpisodes
from batchsim.simulation.simulator import Simulator, SimulatorOptions
from batchsim.streaming.initial_scenes import InitialScenes
from batchsim.tasks import choose_task


@dataclass(frozen=True)
class BuiltSimulator:
    """A simulator, and what is known of its set of scenes.

    Attributes:
        simulator: The simulator.
        failed_scenes: Why scenes could not be loaded, by name.
        num_labels: Largest number of labels of any scene; None if that is not known yet.
        label_names: Names of the labels; None if they differ between scenes, or are not known yet.
    """

    simulator: Simulator
    failed_scenes: dict[str, str]
    num_labels: int | None
    label_names: tuple[str, ...] | None


def read_options(arguments: Mapping[str, Any]) -> SimulatorOptions:
    """Returns the options of the simulator among the arguments of `NavVectorEnv`.

    Raises:
        OptionError: If an option is invalid.
    """
    sensors, cameras = arguments["sensors"], arguments["cameras"]
    converted = {
        "sensors": sequence("sensors", sensors, f"({sensors!r},)" if isinstance(sensors, str) else "('depth',)"),
        "cameras": () if cameras is None else read_cameras(cameras),
        # NumPy arrays are copied anyway.
        "reuse_buffers": flag("reuse_buffers", arguments["reuse_buffers"]) or arguments["output"] == "numpy",
        "velocity": read_velocity_options(arguments["velocity"]),
        "noise": read_noise(arguments["noise"]),
    }
    given = {field.name: arguments[field.name] for field in fields(SimulatorOptions)}
    return SimulatorOptions(**(given | converted))


def build_simulator(
    num_envs: int, arguments: Mapping[str, Any], options: SimulatorOptions, device: torch.device
) -> BuiltSimulator:
    """Loads the scenes and builds the simulator.

    Args:
        num_envs: N.
        arguments: The arguments of `NavVectorEnv`.
        options: The result of `read_options`.
        device: Where the simulator runs.

    Raises:
        OptionError: If an option is invalid.
        SceneError: If no scene can be loaded.
    """
    task = choose_task(arguments["task"], arguments["success_distance"])
    body = AgentBody(
        radius=real_number("agent_radius", arguments["agent_radius"], 0.01, 5, "metres"),
        height=real_number("agent_height", arguments["agent_height"], 0.5, 10, "metres"),
    )
    sources, num_resident = resolve(arguments["scenes"], body), arguments["num_resident_scenes"]
    episodes = arguments["episodes"]
    if not isinstance(episodes, EpisodeSet | None):
        raise OptionError(f"episodes is of type {type(episodes).__name__}; expected an EpisodeSet or None.")
    source: FixedEpisodes | None = None
    if episodes is None:
        initial = InitialScenes.load(sources, num_resident, single=num_envs == 1)
        loaded: Sequence[Scene] = list(initial.resident.values())
    else:
        initial = InitialScenes.load_all(sources, num_resident)
        loaded, episodes = task.prepare(list(initial.resident.values()), episodes)
        source = FixedEpisodes(episodes, loaded, num_envs, device)
    swapped = initial if initial.has_more else None
    simulator = Simulator(loaded, num_envs, task, source, options, device, swapped)
    return BuiltSimulator(simulator, initial.failed_names, initial.num_labels, initial.label_names)
