"""A fixed set of episodes that several agents run one after the other, under the same conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TextColumn

from batchsim import NavVectorEnv
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.candidates import Candidate
from batchsim.agents.evaluation.episode_selection import EvalEpisodes
from batchsim.agents.evaluation.results import Evaluation
from batchsim.agents.evaluation.run_episodes import StepSnapshot, run_episodes
from batchsim.agents.search.mcts_agent import MctsAgent
from batchsim.scenes import Scene
from batchsim.settings import SETTINGS, find_setting
from batchsim.tasks import choose_task

MAX_EPISODE_STEPS = 500
"""Habitat's limit, whatever limit the agents were trained with."""
RENDERER = "raycast"
"""The renderer backend of evaluations: its images are identical, bit for bit, for any batch size."""

_NUM_ENVS = 64
_NUM_ENVS_WITHOUT_IMAGES = 256


class EvalSession:
    """Runs agents through `chosen`, each with its own body, camera and task.

    Args:
        chosen: The episodes.
        num_envs: Environments stepped together; by default 64, and 256 for agents without images. Results do not depend
            on it.
        seed: Seed of the agents' random numbers.
        deterministic: Whether policies take the most likely action instead of sampling.
        renderer: As in `NavVectorEnv`.
        device: As in `NavVectorEnv`.
        max_episode_steps: As in `NavVectorEnv`.
        quiet: Whether to hide the progress bar.
        setting: Name of a setting (`batchsim.settings`), whose body, camera and limits replace those of the agents.

    Raises:
        AgentError: If `num_envs` or `seed` is out of range.
    """

    def __init__(
        self,
        chosen: EvalEpisodes,
        num_envs: int | None = None,
        seed: int = 0,
        deterministic: bool = False,
        renderer: str = RENDERER,
        device: str = "auto",
        max_episode_steps: int = MAX_EPISODE_STEPS,
        quiet: bool = False,
        setting: str | None = None,
    ) -> None:
        if num_envs is not None and num_envs < 1:
            raise AgentError(f"num_envs is {num_envs}; expected at least 1.")
        if not 0 <= seed < 2**32:
            raise AgentError(f"seed is {seed}; expected 0 to {2**32 - 1}.")
        self.chosen = chosen
        self._of_task: dict[str, EvalEpisodes] = {}
        self.num_envs, self.seed, self.deterministic, self._quiet = num_envs, seed, deterministic, quiet
        self._setting: dict[str, Any] = {"renderer": renderer, "device": device}
        self._setting |= {"max_episode_steps": max_episode_steps} if setting is None else {"setting": setting}
        self._named = None if setting is None else find_setting(setting, SETTINGS)

    @property
    def scenes(self) -> dict[str, Scene]:
        """The episodes' scenes by name."""
        return {scene.name: scene for scene in self.chosen.scenes}

    def env_options(self, candidate: Candidate) -> dict[str, Any]:
        """The keywords of the `NavVectorEnv` in which `candidate` is evaluated."""
        options = candidate.env_options()
        if self._named is not None:
            options = {name: options[name] for name in ("sensors", "task")}
        return options | self._setting

    def episodes_for(self, candidate: Candidate) -> EvalEpisodes:
        """The episodes as the candidate's task prepares them; computed once per task."""
        task = candidate.config.task
        if task not in self._of_task:
            made = choose_task(task) if self._named is None else self._named.task
            scenes, episodes = made.prepare(self.chosen.scenes, self.chosen.episodes)
            self._of_task[task] = replace(self.chosen, scenes=tuple(scenes), episodes=episodes)
        return self._of_task[task]

    def run(
        self,
        candidate: Candidate,
        which: Sequence[int] | np.ndarray | None = None,
        on_step: Callable[[StepSnapshot], None] | None = None,
        sensors: Sequence[str] = (),
    ) -> Evaluation:
        """Run each episode once.

        Args:
            candidate: The agent.
            which: Indices of the episodes to run; all if None. A chosen episode is the same as in the whole set, so
                single episodes can be inspected.
            on_step: Called with a snapshot of each decision.
            sensors: Images that snapshots contain in addition to those that the agent uses.
        """
        chosen = self.episodes_for(candidate)
        chosen = chosen if which is None else _part(chosen, np.asarray(which, np.int64))
        options = self.env_options(candidate)
        options["sensors"] = tuple(dict.fromkeys((*options["sensors"], *sensors)))
        num_envs = self.num_envs or (_NUM_ENVS if options["sensors"] else _NUM_ENVS_WITHOUT_IMAGES)
        num_envs = min(num_envs, len(chosen.episodes))
        env = NavVectorEnv(num_envs, chosen.scenes, episodes=chosen.episodes, **options)
        with closing(env), _one_thread() if not options["sensors"] else nullcontext():
            agent = candidate.agent(env, self.deterministic)
            with closing(agent) if isinstance(agent, MctsAgent) else nullcontext(), _progress(self._quiet) as bar:
                task = bar.add_task(f"Evaluating {escape(candidate.name)}", total=len(chosen.episodes))
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
        setting = None if self._named is None else self._named.to_json()
        return replace(found, left_out=chosen.left_out, deterministic=self.deterministic, setting=setting)


def _part(chosen: EvalEpisodes, which: np.ndarray) -> EvalEpisodes:
    episodes = chosen.episodes.select(which).without_idle_scenes()
    scenes = {scene.name: scene for scene in chosen.scenes}
    return replace(chosen, episodes=episodes, scenes=tuple(scenes[name] for name in episodes.scene_names))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one torch thread on the CPU.

    Without images a step consists of small operations, which a second thread hardly speeds up. When other programs use
    the cores, each operation waits until that thread is scheduled: 200 episodes took 66 s instead of 3 s on 2 busy
    cores.
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
