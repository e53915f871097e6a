"""What agents saw: recorded episodes walked again, action by action, with images."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from batchsim import BatchRenderer, NavVectorEnv, poses
from batchsim.agents.evaluation.results import EpisodeRecord
from batchsim.agents.evaluation.saliency import PolicyTrace, PolicyWatcher
from batchsim.agents.networks.policy import Policy
from batchsim.scenes import EpisodeSet, Scene
from batchsim.simulation.simulator import SimulatorOptions

# Pixels of a side at least, for the view in colours, which people look at; a whole multiple of what the agent is given.
_VIEW_SIZE = 256
_VIEWS_AT_ONCE = 64
# Recorded positions are rounded to millimetres.
_SAME_PLACE = 2e-3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EpisodeReplay:
    """One run of one episode from inside: `steps + 1` moments, the last one after the last action.

    - `view`: uint8 `[steps + 1, H, W, 3]`, in colours, drawn for people whatever the agent is given.
    - `seen`: the images that the agent was given, by sensor: `depth` uint8 `[steps + 1, h, w, 1]` (0 where nothing
      is, else 1 to 255 for 0 to `max_depth`), `rgb` uint8 `[steps + 1, h, w, 3]`.
    - `watched`: what went on in a policy, None for other agents.
    """

    scene: str
    episode_id: str
    view: np.ndarray
    seen: dict[str, np.ndarray] = field(default_factory=dict)
    watched: PolicyTrace | None = None


def film_episodes(
    records: Sequence[EpisodeRecord],
    episodes: EpisodeSet,
    scenes: Mapping[str, Scene],
    env_options: Mapping[str, Any],
    policy: Policy | None = None,
) -> Iterator[EpisodeReplay]:
    """Walk the episodes of `records`, which all are one agent's, again and yield what was seen, one film at a time.

    - `episodes`: a set that holds them; `scenes`: by name.
    - `env_options`: the keywords of the `NavVectorEnv` in which they were recorded.
    - `policy`: the trained one that acted, to be watched; agents without images get a view all the same.

    The recorded actions are done again, so nothing is drawn at random. A record that does not walk its recorded path
    again, because it comes from another version or machine, is left out with a warning.
    """
    records = [record for record in records if record.scene in scenes and record.actions]
    if not records:
        return
    used = {name: scenes[name] for name in {record.scene: None for record in records}}
    seen, watched, same = _replay(records, _subset(episodes, records), used, env_options, policy)
    if not same.all():
        lost = ", ".join(f"{r.scene} {r.episode_id}" for r, kept in zip(records, same, strict=True) if not kept)
        _log.warning("These episodes did not go the recorded way again and have no film: %s", lost)
    with closing(_Camera(used, env_options)) as camera:
        for i in np.flatnonzero(same):
            view = camera.follow(records[i])
            images = {name: frames[i] for name, frames in seen.items()}
            yield EpisodeReplay(records[i].scene, records[i].episode_id, view, images, watched[i] if watched else None)


def _subset(episodes: EpisodeSet, records: Sequence[EpisodeRecord]) -> EpisodeSet:
    names = [episodes.scene_names[index] for index in episodes.scene_index]
    place = {key: i for i, key in enumerate(zip(names, episodes.episode_id, strict=True))}
    which = np.array([place[record.scene, record.episode_id] for record in records])
    return episodes.select(which).without_idle_scenes()


def _replay(
    records: Sequence[EpisodeRecord],
    episodes: EpisodeSet,
    scenes: Mapping[str, Scene],
    env_options: Mapping[str, Any],
    policy: Policy | None,
) -> tuple[dict[str, list[np.ndarray]], list[PolicyTrace], np.ndarray]:
    """All `records` side by side: the images seen by sensor, what was watched, and who walked the recorded path."""
    steps = np.array([len(record.actions) for record in records])
    options = {**env_options, "max_episode_steps": int(steps.max()) + 1, "autoreset_mode": "disabled"}
    if policy is None and not options.get("sensors"):
        return {}, [], np.ones(len(records), bool)  # nothing to see that the camera does not draw
    # Environments whose episode has ended go on with any action; what they see is cut off below.
    actions = np.zeros((int(steps.max()), len(records)), np.int64)
    for i, record in enumerate(records):
        actions[: steps[i], i] = record.actions
    env = NavVectorEnv(len(records), list(scenes.values()), episodes=episodes, **options)
    with closing(env):
        watcher = policy and PolicyWatcher(policy.to(env.device), len(records))
        same = np.ones(len(records), bool)
        observation, _ = env.reset(seed=0)
        reel = _Reel(observation)
        for step, action in enumerate(torch.as_tensor(actions)):
            if watcher:
                watcher.watch(observation, action.to(env.device))
            observation, _, _, _, info = env.step(action)
            reel.add(observation)
            same &= _goes_on(records, step, info["position"])
        seen = {name: [frames[: n + 1] for frames, n in zip(reel.of(name), steps, strict=True)] for name in reel.names}
        watched = [watcher.of(i, n) for i, n in enumerate(steps)] if watcher else []
    return seen, watched, same


def _goes_on(records: Sequence[EpisodeRecord], step: int, position: Tensor) -> np.ndarray:
    """Whether each of the `records` stands where it stood after `step`, bool `[N]`; those that ended do."""
    here = position.cpu().numpy()
    there = [record.path[min(step + 1, len(record.path) - 1)] for record in records]
    ended = np.array([step >= len(record.actions) for record in records])
    return ended | (np.abs(here - np.array(there)).max(1) < _SAME_PLACE)


class _Reel:
    """The images of all environments, step by step, as bytes."""

    def __init__(self, observation: Mapping[str, Tensor]) -> None:
        self.names = [name for name in ("depth", "rgb") if name in observation]
        self._frames: dict[str, list[np.ndarray]] = {name: [] for name in self.names}
        self.add(observation)

    def add(self, observation: Mapping[str, Tensor]) -> None:
        for name in self.names:
            image = observation[name]
            if name == "depth":
                image = torch.where(image > 0, (image * 254).round() + 1, 0.0)
            self._frames[name].append(image.to(torch.uint8).cpu().numpy().copy())

    def of(self, name: str) -> Iterator[np.ndarray]:
        """For each environment uint8 `[moments, h, w, C]`."""
        frames = self._frames[name]
        return (np.stack([frame[i] for frame in frames]) for i in range(len(frames[0])))


class _Camera:
    """Draws what lies before an agent's eyes in colours."""

    def __init__(self, scenes: Mapping[str, Scene], env_options: Mapping[str, Any]) -> None:
        known = SimulatorOptions.__dataclass_fields__
        options = SimulatorOptions(**{name: value for name, value in env_options.items() if name in known})
        scale = max(1, round(_VIEW_SIZE / min(options.width, options.height)))
        size = (scale * options.width, scale * options.height)
        self._eye = torch.tensor([0.0, options.camera_height, 0.0])
        self._number = {name: i for i, name in enumerate(scenes)}
        self._renderer = BatchRenderer(list(scenes.values()), _VIEWS_AT_ONCE, *size, options.hfov, ("rgb",), "raycast")

    def follow(self, record: EpisodeRecord) -> np.ndarray:
        """Uint8 `[steps + 1, H, W, 3]` from the recorded poses."""
        eyes = torch.tensor(record.path) + self._eye
        looks = torch.cat((eyes, poses.heading_to_quaternion(torch.tensor(record.headings))), -1)
        number = self._number[record.scene]
        parts = [
            self._renderer.render(part, torch.full((len(part),), number))["rgb"].cpu().numpy().copy()
            for part in looks.split(_VIEWS_AT_ONCE)
        ]
        return np.concatenate(parts)

    def close(self) -> None:
        self._renderer.close()
