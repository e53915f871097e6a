"""A fixed set of episodes, and the agents that run it, one after the other and in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress, TextColumn

from batchsim import NavVectorEnv
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import Candidate
from batchsim.agents.evaluation.episode_selection import EvalEpisodes
from batchsim.agents.evaluation.replay import film_episodes
from batchsim.agents.evaluation.results import EpisodeRecord, Evaluation
from batchsim.agents.evaluation.run_episodes import StepSnapshot, run_episodes
from batchsim.agents.report import AgentView, ReportedRun, choose_replays, write_report
from batchsim.agents.runs.run_log import read_curves
from batchsim.scenes import Scene
from batchsim.tasks import choose_task

MAX_EPISODE_STEPS = 500
"""Habitat's limit, whatever agents were trained with."""
RENDERER = "raycast"
"""The backend for evaluation: its images are the same, bit for bit, whatever is drawn beside them."""
FILMS = 20
"""Episodes that a report shows from inside, as the agent saw them."""


class EvalSession:
    """Runs agents through `chosen`, each with its own body, camera and task.

    - `num_envs`: environments stepped together; no figure depends on it. `seed`: of what agents draw.
    - `deterministic`: policies take the likeliest action in place of drawing one.
    - `renderer`, `device`, `max_episode_steps`: as in `NavVectorEnv`.
    - `quiet`: no progress is shown.
    """

    def __init__(
        self,
        chosen: EvalEpisodes,
        num_envs: int = 64,
        seed: int = 0,
        deterministic: bool = False,
        renderer: str = RENDERER,
        device: str = "auto",
        max_episode_steps: int = MAX_EPISODE_STEPS,
        quiet: bool = False,
    ) -> None:
        if num_envs < 1:
            raise AgentError(f"num_envs is {num_envs}; expected at least 1.")
        if not 0 <= seed < 2**32:
            raise AgentError(f"seed is {seed}; expected 0 to {2**32 - 1}.")
        self.chosen = chosen
        self._of_task: dict[str, EvalEpisodes] = {}
        self.num_envs, self.seed, self.deterministic, self._quiet = num_envs, seed, deterministic, quiet
        self._setting = {"renderer": renderer, "device": device, "max_episode_steps": max_episode_steps}

    @property
    def scenes(self) -> dict[str, Scene]:
        """The episodes' scenes by name."""
        return {scene.name: scene for scene in self.chosen.scenes}

    def env_options(self, candidate: Candidate) -> dict[str, Any]:
        """The keywords of the `NavVectorEnv` that `candidate` is evaluated in."""
        return candidate.env_options() | self._setting

    def run(
        self,
        candidate: Candidate,
        which: Sequence[int] | np.ndarray | None = None,
        on_step: Callable[[StepSnapshot], None] | None = None,
        sensors: Sequence[str] = (),
    ) -> Evaluation:
        """Let `candidate` run the episodes, each exactly once.

        - `which`: numbers of episodes to run, all without it. They go the same way as among all the others, so that
          chosen ones can be run again to look at them.
        - `on_step`: sees each decision, see `StepSnapshot`. `sensors`: images wanted there beside those the agent uses.
        """
        chosen = self._ready_for(candidate)
        chosen = chosen if which is None else _part(chosen, np.asarray(which, np.int64))
        options = self.env_options(candidate)
        options["sensors"] = tuple(dict.fromkeys((*options["sensors"], *sensors)))
        num_envs = min(self.num_envs, len(chosen.episodes))
        env = NavVectorEnv(num_envs, chosen.scenes, episodes=chosen.episodes, **options)
        with closing(env), _one_thread() if not options["sensors"] else nullcontext():
            agent = candidate.agent(env, self.deterministic)
            with _progress(self._quiet) as bar:
                task = bar.add_task(f"Evaluating {candidate.name}", total=len(chosen.episodes))
                found = run_episodes(
                    env,
                    agent,
                    chosen.episodes,
                    candidate.name,
                    chosen.name,
                    self.seed,
                    lambda done, _: bar.update(task, completed=done),
                    on_step,
                )
        return replace(found, left_out=chosen.left_out, deterministic=self.deterministic)

    def _ready_for(self, candidate: Candidate) -> EvalEpisodes:
        """The episodes as the task of `candidate` needs them; what that takes is done once, not for every agent."""
        task = candidate.config.task
        if task not in self._of_task:
            scenes, episodes = choose_task(task).prepare(self.chosen.scenes, self.chosen.episodes)
            self._of_task[task] = replace(self.chosen, scenes=tuple(scenes), episodes=episodes)
        return self._of_task[task]

    def write(
        self, out: Path, candidates: Sequence[Candidate], evaluations: Sequence[Evaluation], films: int = FILMS
    ) -> Path:
        """Write evaluation.json, episodes.csv and report.html into the folder `out`; returns the report's path.

        - `candidates`: who the `evaluations` are of. The files are those of the first; those of the others lie in
          `out/compared`, in a folder each.
        - `films`: how many episodes the report shows from inside.
        """
        for k, evaluation in enumerate(evaluations):
            folder = out if k == 0 else out / "compared" / _file_name(evaluation.agent)
            folder.mkdir(parents=True, exist_ok=True)
            evaluation.save(folder / "evaluation.json")
            evaluation.save_csv(folder / "episodes.csv")
        chosen = choose_replays(evaluations[0], films)
        runs = [
            # Of baselines beside an agent the way they took says enough.
            self._reported(candidate, evaluation, chosen if k == 0 or candidate.policy else ())
            for k, (candidate, evaluation) in enumerate(zip(candidates, evaluations, strict=True))
        ]
        return write_report(out / "report.html", runs, self.scenes, sight=AgentView(candidates[0].config.hfov))

    def _reported(self, candidate: Candidate, evaluation: Evaluation, filmed: Sequence[EpisodeRecord]) -> ReportedRun:
        """`evaluation` with what its run left behind, and films of the episodes in `filmed`."""
        wanted = {(record.scene, record.episode_id) for record in filmed}
        records = [record for record in evaluation.records if (record.scene, record.episode_id) in wanted]
        options = self.env_options(candidate)
        episodes = self._ready_for(candidate).episodes
        films = film_episodes(records, episodes, self.scenes, options, candidate.policy)
        if candidate.run is None:
            return ReportedRun(evaluation, films=films)
        return ReportedRun(evaluation, read_curves(candidate.run), candidate.config.to_json(), films)


def _part(chosen: EvalEpisodes, which: np.ndarray) -> EvalEpisodes:
    episodes = chosen.episodes.select(which).without_idle_scenes()
    scenes = {scene.name: scene for scene in chosen.scenes}
    return replace(chosen, episodes=episodes, scenes=tuple(scenes[name] for name in episodes.scene_names))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch work with one thread on the CPU.

    Without images a step is made of small operations, at which a second thread gains next to nothing. Where other
    programs hold the cores, each of them waits until that thread has its turn: 200 episodes took 66 s of 2 busy cores
    in place of 3.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _progress(quiet: bool) -> Progress:
    columns = (*Progress.get_default_columns(), TextColumn("{task.completed:.0f}/{task.total:.0f} episodes"))
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet)


def _file_name(agent: str) -> str:
    return agent.replace("/", "-").strip("-. ") or "agent"
