"""Replays recorded episodes action by action, to collect the images that agents saw."""

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
from batchsim.agents.evaluation.saliency import PolicyTrace, PolicyTracer
from batchsim.agents.networks.policy import Policy
from batchsim.scenes import EpisodeSet, Scene
from batchsim.simulation.simulator import SimulatorOptions

# Minimum side of the view for people, pixels; a whole multiple of the agent's image size.
_VIEW_SIZE = 256
_VIEWS_AT_ONCE = 64
# Tolerance for recorded positions, which are rounded to millimetres; metres.
_SAME_PLACE = 2e-3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EpisodeReplay:
    """The images of one episode at each of its `steps + 1` states; the last one follows the last action.

    Attributes:
        scene: The scene's name.
        episode_id: The episode's id.
        view: Colour images for people, uint8 `[steps + 1, H, W, 3]`; drawn whatever the agent's sensors are.
        seen: The agent's images by sensor: `depth` uint8 `[steps + 1, h, w, 1]` (0 where nothing is hit, otherwise 1 to
            255 for 0 to `max_depth`), `rgb` uint8 `[steps + 1, h, w, 3]`.
        trace: The policy's inner values; None for other agents.
    """

    scene: str
    episode_id: str
    view: np.ndarray
    seen: dict[str, np.ndarray] = field(default_factory=dict)
    trace: PolicyTrace | None = None


def replay_episodes(
    records: Sequence[EpisodeRecord],
    episodes: EpisodeSet,
    scenes: Mapping[str, Scene],
    env_options: Mapping[str, Any],
    policy: Policy | None = None,
) -> Iterator[EpisodeReplay]:
    """Repeat the recorded actions of one agent's episodes and yield the images, one episode at a time.

    A record that does not reproduce its path, because it comes from another version or machine, is skipped with a
    warning.

    Args:
        records: The episodes to replay.
        episodes: A set that contains them.
        scenes: Scenes by name; episodes of other scenes are skipped.
        env_options: The keywords of the `NavVectorEnv` in which they were recorded.
        policy: The trained policy that acted, if any, whose inner values are recorded.
    """
    records = [record for record in records if record.scene in scenes and record.actions]
    if not records:
        return
    used = {name: scenes[name] for name in {record.scene: None for record in records}}
    seen, traces, same = _repeat_actions(records, episodes_of_records(episodes, records), used, env_options, policy)
    if not same.all():
        lost = ", ".join(f"{r.scene} {r.episode_id}" for r, kept in zip(records, same, strict=True) if not kept)
        _log.warning("These episodes did not reproduce their recorded paths and have no images: %s", lost)
    with closing(_ViewRenderer(used, env_options)) as view_renderer:
        for i in np.flatnonzero(same):
            view = view_renderer.draw(records[i])
            images = {name: frames[i] for name, frames in seen.items()}
            yield EpisodeReplay(records[i].scene, records[i].episode_id, view, images, traces[i] if traces else None)


def episodes_of_records(episodes: EpisodeSet, records: Sequence[EpisodeRecord]) -> EpisodeSet:
    """Returns the episodes of `records` in their order, without scenes that none of them uses."""
    names = [episodes.scene_names[index] for index in episodes.scene_index]
    place = {key: i for i, key in enumerate(zip(names, episodes.episode_id, strict=True))}
    which = np.array([place[record.key] for record in records])
    return episodes.select(which).without_idle_scenes()


def _repeat_actions(
    records: Sequence[EpisodeRecord],
    episodes: EpisodeSet,
    scenes: Mapping[str, Scene],
    env_options: Mapping[str, Any],
    policy: Policy | None,
) -> tuple[dict[str, list[np.ndarray]], list[PolicyTrace], np.ndarray]:
    """Run all `records` in one batch.

    Returns:
        For each sensor the images of each record, the policy's traces, and bool `[R]`, whether a record reproduced its
        path.
    """
    steps = np.array([len(record.actions) for record in records])
    options = {**env_options, "max_episode_steps": int(steps.max()) + 1, "autoreset_mode": "disabled"}
    if policy is None and not options.get("sensors"):
        return {}, [], np.ones(len(records), bool)  # the view, which is drawn from the recorded poses, is all there is
    # Episodes that have ended continue with action 0; the images after their end are cut off below.
    size = np.shape(records[0].actions[0])
    actions = np.zeros((int(steps.max()), len(records), *size), np.float32 if size else np.int64)
    for i, record in enumerate(records):
        actions[: steps[i], i] = record.actions
    env = NavVectorEnv(len(records), list(scenes.values()), episodes=episodes, **options)
    with closing(env):
        tracer = policy and PolicyTracer(policy.to(env.device), len(records))
        same = np.ones(len(records), bool)
        observation, _ = env.reset(seed=0)
        images = _ImageLog(observation)
        for step, action in enumerate(torch.as_tensor(actions)):
            if tracer:
                tracer.add(observation, action.to(env.device))
            observation, _, _, _, info = env.step(action)
            images.add(observation)
            same &= on_recorded_path(records, step, info["position"])
        seen = {
            name: [frames[: n + 1] for frames, n in zip(images.by_env(name), steps, strict=True)]
            for name in images.names
        }
        traces = [tracer.trace(i, n) for i, n in enumerate(steps)] if tracer else []
    return seen, traces, same


def on_recorded_path(records: Sequence[EpisodeRecord], step: int, position: Tensor) -> np.ndarray:
    """Returns whether each agent is at its recorded position after `step`, bool `[N]`; True after the episode's end."""
    here = position.cpu().numpy()
    there = [record.path[min(step + 1, len(record.path) - 1)] for record in records]
    ended = np.array([step >= len(record.actions) for record in records])
    return ended | (np.abs(here - np.array(there)).max(1) < _SAME_PLACE)


class _ImageLog:
    """The images of all environments at each step, as bytes."""

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

    def by_env(self, name: str) -> Iterator[np.ndarray]:
        """For each environment uint8 `[steps + 1, h, w, C]`."""
        frames = self._frames[name]
        return (np.stack([frame[i] for frame in frames]) for i in range(len(frames[0])))


class _ViewRenderer:
    """Draws colour images from the agent's eyes, from recorded poses."""

    def __init__(self, scenes: Mapping[str, Scene], env_options: Mapping[str, Any]) -> None:
        known = SimulatorOptions.__dataclass_fields__
        options = SimulatorOptions(**{name: value for name, value in env_options.items() if name in known})
        scale = max(1, round(_VIEW_SIZE / min(options.width, options.height)))
        size = (scale * options.width, scale * options.height)
        self._eye = torch.tensor([0.0, options.camera_height, 0.0])
        self._index = {name: i for i, name in enumerate(scenes)}
        self._renderer = BatchRenderer(list(scenes.values()), _VIEWS_AT_ONCE, *size, options.hfov, ("rgb",), "raycast")

    def draw(self, record: EpisodeRecord) -> np.ndarray:
        """Uint8 `[steps + 1, H, W, 3]`."""
        eyes = torch.tensor(record.path) + self._eye
        camera = torch.cat((eyes, poses.heading_to_quaternion(torch.tensor(record.headings))), -1)
        index = self._index[record.scene]
        parts = [
            self._renderer.render(part, torch.full((len(part),), index))["rgb"].cpu().numpy().copy()
            for part in camera.split(_VIEWS_AT_ONCE)
        ]
        return np.concatenate(parts)

    def close(self) -> None:
        self._renderer.close()
