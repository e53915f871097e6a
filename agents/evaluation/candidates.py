"""Who is evaluated: trained runs and baselines, by what the command line calls them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batchsim import NavVectorEnv
from batchsim.agents.baselines.registry import BASELINES, Agent, baselines_of, make_baseline
from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.policy_agent import PolicyAgent
from batchsim.agents.networks.policy import Policy
from batchsim.agents.runs.checkpoint import find_checkpoint, load_policy
from batchsim.tasks import choose_task

BLIND = "blind:"


@dataclass(frozen=True)
class Candidate:
    """An agent that can be evaluated.

    - `name`: what it is called in tables; `config`: the body, camera and task that it has or is given.
    - `policy`: a trained one, None for the baseline called `name`; `run`: the folder it comes from, if any.
    """

    name: str
    config: TrainConfig
    policy: Policy | None = None
    run: Path | None = None

    def env_options(self) -> dict[str, Any]:
        """The keywords of the `NavVectorEnv` that it acts in. Baselines do not look, so nothing is drawn for them."""
        options = self.config.env_options()
        return options if self.policy else options | {"sensors": ()}

    def agent(self, env: NavVectorEnv, deterministic: bool) -> Agent:
        """It, ready to act in `env`; raises `AgentError` for a policy that does not fit the config."""
        if self.policy is None:
            return make_baseline(self.name, env)
        check_fits(self.policy, self.config, str(self.run or self.name))
        return PolicyAgent(self.policy.to(env.device).eval(), env.num_envs, deterministic)


def find_candidates(names: Sequence[str], config: TrainConfig | None = None) -> list[Candidate]:
    """The agents called `names`: run folders, "blind:" and the folder of a run trained blind, or baselines.

    Baselines have the body and the task of the first run, else those of `config` or the defaults. Raises `AgentError`
    for what is neither, for checkpoints that cannot be read, for baselines that the task does not have, and for agents
    of different tasks.
    """
    if not names:
        raise AgentError(f"No agent is named: expected run folders or baselines ({', '.join(BASELINES)}).")
    if repeated := sorted({name for name in names if list(names).count(name) > 1}):
        raise AgentError(f"{', '.join(repeated)}: named twice; each agent is run once.")
    runs = {name: load_run(name) for name in names if name not in BASELINES}
    shared = next((run.config for run in runs.values()), config or TrainConfig())
    for run in runs.values():
        if run.config.task != shared.task:
            first = next(iter(runs.values()))
            raise AgentError(
                f"{first.run} was trained for {shared.task}, {run.run} for {run.config.task}: agents are compared at "
                "one task. Evaluate them one by one."
            )
    known = baselines_of(choose_task(shared.task))
    if unable := [name for name in names if name in BASELINES and name not in known]:
        raise AgentError(f"{', '.join(unable)}: no baseline of the task {shared.task}, which has {', '.join(known)}.")
    return _told_apart([runs.get(name) or Candidate(name, shared) for name in names])


def load_run(name: str) -> Candidate:
    """The trained agent in the folder `name`, or in that after "blind:"; raises `AgentError` where there is none."""
    folder = Path(name.removeprefix(BLIND))
    if not folder.is_dir():
        raise AgentError(f"{str(folder)!r} is neither a run folder nor a baseline ({', '.join(BASELINES)}).")
    config = TrainConfig.load(folder / "config.json")
    if name.startswith(BLIND) and not config.blind:
        raise AgentError(f"{folder} was trained with images; blind: needs a run of batchsim-train --blind.")
    policy = load_policy(find_checkpoint(folder))
    check_fits(policy, config, str(folder))
    return Candidate(folder.resolve().name, config, policy, folder)


def check_fits(policy: Policy, config: TrainConfig, name: str) -> None:
    """Raise `AgentError` if `policy` reads what the environment of `config` does not show, or knows other actions."""
    task = choose_task(config.task)
    given = dict.fromkeys(config.env_options()["sensors"], (config.height, config.width))
    given |= {sensor: space.shape for sensor, space in task.observation_spaces().items()}
    wanted = dict.fromkeys(policy.config.images, tuple(policy.config.image_size))
    wanted |= {sensor: (size,) for sensor, size in policy.config.vectors.items()}
    for sensor, shape in wanted.items():
        if given.get(sensor) != shape:
            raise AgentError(
                f"{name}: the checkpoint's policy reads {sensor} of {_size(shape)}, the environment of its config.json "
                f"gives {_size(given.get(sensor))}. It was trained for another task or image size."
            )
    if len(task.action_names) != policy.config.num_actions:
        raise AgentError(
            f"{name}: the checkpoint's policy chooses among {policy.config.num_actions} actions, the task "
            f"{config.task} of its config.json has {len(task.action_names)}. It was trained for another task."
        )


def _size(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else " x ".join(map(str, shape))


def _told_apart(candidates: list[Candidate]) -> list[Candidate]:
    """Runs whose folders have the same name are called by their whole paths."""
    names = [candidate.name for candidate in candidates]
    return [
        replace(c, name=str(c.run)) if c.run and (names.count(c.name) > 1 or c.name in BASELINES) else c
        for c in candidates
    ]
