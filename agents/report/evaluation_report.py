"""Writes the files of an evaluation session: results, and a report with curves and videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from batchsim.agents.evaluation.candidates import Candidate
from batchsim.agents.evaluation.replay import replay_episodes
from batchsim.agents.evaluation.result_files import save_evaluation
from batchsim.agents.evaluation.results import EpisodeRecord, Evaluation
from batchsim.agents.evaluation.session import EvalSession
from batchsim.agents.report.gallery.episode_choice import choose_episodes, choose_replays
from batchsim.agents.report.gallery.fog import AgentView
from batchsim.agents.report.gallery.goal_views import goal_views
from batchsim.agents.report.gallery.last_chance import last_chances
from batchsim.agents.report.page import GALLERY_EPISODES, write_report
from batchsim.agents.report.reported_run import ReportedRun
from batchsim.agents.runs.run_log import read_curves
from batchsim.agents.runs.shrink_record import load_record
from batchsim.tasks import choose_task

DEFAULT_VIDEOS = 20
"""Episodes per agent that a report shows with video."""


def write_evaluation(
    out: Path,
    session: EvalSession,
    candidates: Sequence[Candidate],
    evaluations: Sequence[Evaluation],
    videos: int = DEFAULT_VIDEOS,
) -> Path:
    """Write evaluation.json, episodes.csv and report.html into the folder `out`.

    The files in `out` are those of the first agent; each other agent has a folder in `out/compared`.

    Args:
        out: The folder.
        session: The session in which the agents were evaluated.
        candidates: The agents.
        evaluations: Their evaluations, in the same order.
        videos: How many episodes of each trained agent the report shows with video.

    Returns:
        The report's path.
    """
    for k, evaluation in enumerate(evaluations):
        save_evaluation(evaluation, out if k == 0 else out / "compared" / _folder_name(evaluation.agent))
    shown = choose_replays(evaluations[0], videos)
    runs = [
        # Other agents have videos of the same episodes; for baselines the path is enough.
        _reported(session, candidate, evaluation, shown if k == 0 or candidate.policy else (), k == 0)
        for k, (candidate, evaluation) in enumerate(zip(candidates, evaluations, strict=True))
    ]
    record = load_record(out) or (candidates[0].run and load_record(candidates[0].run)) or None
    runs[0] = replace(runs[0], shrunk=record)
    view = AgentView(candidates[0].config.hfov)
    goals = _goal_images(session, candidates[0], evaluations[0])
    return write_report(out / "report.html", runs, session.scenes, view=view, goal_images=goals)


def _goal_images(
    session: EvalSession, candidate: Candidate, evaluation: Evaluation
) -> dict[tuple[str, str], np.ndarray]:
    """The goal images of the episodes that the gallery shows; empty for tasks without."""
    name = choose_task(candidate.config.task).goal_image
    if not name:
        return {}
    records = [evaluation.records[i] for i in choose_episodes(evaluation, GALLERY_EPISODES).chosen]
    episodes, options = session.episodes_for(candidate).episodes, session.env_options(candidate)
    return goal_views(records, episodes, session.scenes, options, name)


def _reported(
    session: EvalSession,
    candidate: Candidate,
    evaluation: Evaluation,
    shown: Sequence[EpisodeRecord],
    is_first: bool,
) -> ReportedRun:
    """`evaluation` with its training log and configuration, and replays of the episodes in `shown`.

    For the first agent, the points of no return of its failures too.
    """
    wanted = {record.key for record in shown}
    records = [record for record in evaluation.records if record.key in wanted]
    options = session.env_options(candidate)
    episodes = session.episodes_for(candidate).episodes
    replays = replay_episodes(records, episodes, session.scenes, options, candidate.policy)
    chances = last_chances(evaluation.records, episodes, session.scenes, options) if is_first else {}
    if candidate.run is None:
        return ReportedRun(evaluation, replays=replays, last_chances=chances)
    curves, config = read_curves(candidate.run), candidate.config.to_json()
    return ReportedRun(evaluation, curves, config, replays, last_chances=chances)


def _folder_name(agent: str) -> str:
    """The agent's name without path separators and leading dots."""
    return agent.replace("/", "-").strip("-. ") or "agent"
