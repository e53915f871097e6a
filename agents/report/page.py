"""Writes the report: one HTML file that needs no other files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.results import Evaluation
from batchsim.agents.report.costs import costs
from batchsim.agents.report.gallery.episode_gallery import Gallery, draw_episodes, episode_gallery
from batchsim.agents.report.gallery.fog import AgentView
from batchsim.agents.report.head import page_head
from batchsim.agents.report.images import jpeg_uri
from batchsim.agents.report.plots.curves import learning_curves
from batchsim.agents.report.plots.distances import distance_charts
from batchsim.agents.report.replays.video_set import make_videos
from batchsim.agents.report.reported_run import ReportedRun
from batchsim.agents.report.tables import category_table, comparison_note, comparison_table, left_out_table, scene_table
from batchsim.agents.report.templating import csp_hash, render, static_file
from batchsim.scenes import Scene
from batchsim.scenes.atomic_files import atomic_write

EpisodeKey = tuple[str, str]
GALLERY_EPISODES = 200


def write_report(
    path: str | os.PathLike[str],
    runs: Sequence[ReportedRun],
    scenes: Mapping[str, Scene],
    title: str | None = None,
    gallery: int = GALLERY_EPISODES,
    view: AgentView | None = None,
    goal_images: Mapping[EpisodeKey, np.ndarray] | None = None,
) -> Path:
    """Write the report of `runs` as one self-contained HTML file.

    Args:
        path: The file.
        runs: The agent that the report is about, then those that it is compared with.
        scenes: Scenes by name, for the maps; episodes in other scenes are drawn without a map.
        title: The title; by default the agents and the scenes.
        gallery: How many episodes to show on maps.
        view: The agents' camera, for what they have seen; the environment's default if None.
        goal_images: For tasks with goal images, uint8 `[H, W, 3]` by the scene and the id of the episode.

    Returns:
        The file's path.

    Raises:
        AgentError: If there is no evaluation, or one without episodes.
    """
    runs = list(runs)
    evaluations = [run.evaluation for run in runs]
    _check(evaluations)
    script = Markup("\n").join(static_file(name) for name in ("script.js", "player.js"))
    page = render(
        "page.html",
        title=title or _title(runs),
        style=static_file("style.css"),
        script=script,
        script_hash=csp_hash(script),
        head=page_head(runs[0]),
        comparison=comparison_table(evaluations),
        comparison_note=comparison_note(evaluations),
        costs=costs(runs[0].shrunk),
        categories=category_table(evaluations[0]),
        gallery=_gallery(runs, scenes, gallery, view or AgentView(), goal_images or {}) if gallery else None,
        distances=distance_charts(evaluations),
        curves=learning_curves(runs),
        scenes=scene_table(evaluations[0]),
        left_out=left_out_table(evaluations),
        configs=[(run.evaluation.agent, _pretty(run.config)) for run in runs if run.config],
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return atomic_write(path, page)


def _gallery(
    runs: Sequence[ReportedRun],
    scenes: Mapping[str, Scene],
    count: int,
    view: AgentView,
    goal_images: Mapping[EpisodeKey, np.ndarray],
) -> Gallery:
    """Draw the maps in a second thread while videos are drawn and encoded in this one, which may hold OpenGL."""
    evaluations = [run.evaluation for run in runs]
    with ThreadPoolExecutor(1) as pool:
        drawn = pool.submit(draw_episodes, evaluations, scenes, count, view)
        videos = make_videos(runs)
        goals = {key: jpeg_uri(image) for key, image in goal_images.items()}
        return episode_gallery(evaluations, drawn.result(), videos, view.hfov, goals, runs[0].last_chances)


def _check(evaluations: Sequence[Evaluation]) -> None:
    if not evaluations:
        raise AgentError("A report needs at least one evaluation; the first is that of the agent it is about.")
    for evaluation in evaluations:
        if not evaluation.records:
            raise AgentError(f"The evaluation of {evaluation.agent!r} has no episodes; there is nothing to report.")


def _title(runs: Sequence[ReportedRun]) -> str:
    """The trained agents, or the first agent if none was trained, and the scenes."""
    trained = [run.evaluation.agent for run in runs if run.config or run.curves]
    names = trained if len(trained) > 1 else [runs[0].evaluation.agent]
    return f"{' and '.join(names)} on {runs[0].evaluation.scenes}"


def _pretty(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=2, default=str, ensure_ascii=False)
