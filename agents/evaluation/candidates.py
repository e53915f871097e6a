"""The agents to evaluate, trained runs and baselines, from their names on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batchsim import NavVectorEnv
from batchsim.agents.baselines.agent import Agent
from batchsim.agents.baselines.registry import BASELINES, SENSORS, baselines_of, make_baseline
from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.onnx_policy import INT8_FILE, OnnxPolicy
from batchsim.agents.evaluation.policy_agent import PolicyAgent
from batchsim.agents.networks.policy import Policy
from batchsim.agents.runs.checkpoint import load_policy
from batchsim.agents.search.mcts_agent import search_by_critic, search_by_distances
from batchsim.agents.search.search_options import SearchOptions
from batchsim.tasks import TASKS, choose_task
from batchsim.tasks.registry import name_of_task

BLIND = "blind:"
MCTS = "mcts:"


@dataclass(frozen=True)
class Candidate:
    """An agent that can be evaluated.

    Attributes:
        name: The agent's name in tables.
        config: Its body, camera and task.
        policy: The trained policy; None for the baseline called `name`.
        run: The run folder, if any.
        onnx: An int8 export of the policy, which acts instead of it.
        search: How much to search before each action; None: the policy acts alone, or the baseline is no search.
    """

    name: str
    config: TrainConfig
    policy: Policy | None = None
    run: Path | None = None
    onnx: Path | None = None
    search: SearchOptions | None = None

    def env_options(self) -> dict[str, Any]:
        """The keywords of its `NavVectorEnv`; only images that a baseline looks at are drawn for it."""
        options = self.config.env_options()
        return options if self.policy else options | {"sensors": SENSORS.get(self.name, ())}

    def agent(self, env: NavVectorEnv, deterministic: bool) -> Agent:
        """Make the agent for `env`.

        Raises:
            AgentError: If the policy does not fit the config.
        """
        if self.policy is None:
            return search_by_distances(env, self.search) if self.search else make_baseline(self.name, env)
        check_fits(self.policy, self.config, str(self.run or self.name))
        trained = self.policy.to(env.device).eval()
        if self.search is not None:
            return search_by_critic(env, trained, self.config.ppo.gamma, self.search)
        policy = trained if self.onnx is None else OnnxPolicy(self.onnx, self.policy, env.device)
        return PolicyAgent(policy, env.num_envs, deterministic)


def find_candidates(
    names: Sequence[str],
    config: TrainConfig | None = None,
    trust: bool = False,
    search: SearchOptions | None = None,
) -> list[Candidate]:
    """Find the agents called `names`.

    Args:
        names: Run folders, "blind:FOLDER" for a run that must have been trained blind, "mcts:FOLDER" for a search with
            the policy and critic of a run, or baselines.
        config: Body, camera and task of baselines if no run is named, from the command line; runs may import its task.
        trust: Whether runs may import any task class that their config.json names; see `load_run`.
        search: How much the searches among the agents do before each action.

    Returns:
        One candidate per name. Baselines get the body and the task of the first run.

    Raises:
        AgentError: If a name is neither a run nor a baseline, a run cannot be loaded, a baseline cannot do the task, or
            the agents have different tasks.
    """
    if not names:
        raise AgentError(f"No agent is named; expected run folders or baselines ({', '.join(BASELINES)}).")
    if repeated := sorted({name for name in names if list(names).count(name) > 1}):
        raise AgentError(f"{', '.join(repeated)}: named twice; name each agent once.")
    trusted_task = config.task if config else None
    runs = {name: load_run(name, trust, trusted_task) for name in names if name not in BASELINES}
    shared = next((run.config for run in runs.values()), config or TrainConfig())
    for run in runs.values():
        if run.config.task != shared.task:
            first = next(iter(runs.values()))
            raise AgentError(
                f"{first.run} was trained for {shared.task}, {run.run} for {run.config.task}; only agents of the same "
                "task can be compared. Evaluate them separately."
            )
    known = baselines_of(choose_task(shared.task))
    if unable := [name for name in names if name in BASELINES and name not in known]:
        raise AgentError(f"{', '.join(unable)}: not a baseline for {shared.task}; expected one of {', '.join(known)}.")
    search = search or SearchOptions()
    found = [runs.get(name) or Candidate(name, shared) for name in names]
    return _with_unique_names(
        [replace(one, search=search) if one.search or one.name == "mcts" else one for one in found]
    )


def load_run(name: str, trust: bool = False, trusted_task: str | None = None) -> Candidate:
    """Load the trained agent of a run folder.

    A config.json may name a task "module:Class" of the user's own, which is imported and so runs code. Such a task is
    refused unless it is trusted, because a run folder may come from someone else.

    Args:
        name: The run folder, or "blind:" or "mcts:" and the run folder.
        trust: Whether to import any task that config.json names.
        trusted_task: A task that may be imported in any case, because the user has named it.

    Raises:
        AgentError: If the folder is not a run, its files are damaged or do not fit each other, or its task is not
            trusted.
    """
    folder = Path(name.removeprefix(BLIND).removeprefix(MCTS))
    if not folder.is_dir():
        raise AgentError(f"{str(folder)!r} is neither a run folder nor a baseline ({', '.join(BASELINES)}).")
    config = TrainConfig.load(folder / "config.json")
    if name_of_task(config.task) not in TASKS and config.task != trusted_task and not trust:
        raise AgentError(
            f"{folder / 'config.json'} names the task {config.task!r}, and importing it runs code of that module. If "
            f"you trust this run, add --trust or --task {config.task}."
        )
    if name.startswith(BLIND) and not config.blind:
        raise AgentError(f"{folder} was trained with images; blind: needs a run of batchsim-train --blind.")
    policy = load_policy(folder)
    check_fits(policy, config, str(folder))
    if name.startswith(MCTS):
        return Candidate(MCTS + folder.resolve().name, config, policy, folder, search=SearchOptions())
    int8 = folder / INT8_FILE
    return Candidate(folder.resolve().name, config, policy, folder, int8 if int8.exists() else None)


def check_fits(policy: Policy, config: TrainConfig, name: str) -> None:
    """Check that `policy` fits the environment of `config`.

    Raises:
        AgentError: If the policy reads sensors that the environment does not have, or has other actions.
    """
    task = choose_task(config.task)
    given: dict[str, tuple[int, ...] | None] = {}
    given |= dict.fromkeys(config.env_options()["sensors"], (config.height, config.width))
    given |= {sensor: space.shape for sensor, space in task.observation_spaces().items()}
    wanted: dict[str, tuple[int, ...]] = {}
    wanted |= dict.fromkeys(policy.config.images, tuple(policy.config.image_size))
    wanted |= {sensor: (size,) for sensor, size in policy.config.vectors.items()}
    wanted |= dict.fromkeys(policy.config.categories, (1,))
    for sensor, shape in wanted.items():
        if given.get(sensor) != shape:
            raise AgentError(
                f"{name}: the checkpoint's policy reads {sensor} of {_size(shape)}, but the environment of config.json "
                f"gives {_size(given.get(sensor))}. It was trained for another task or image size."
            )
    if policy.config.continuous != (config.action_mode == "velocity"):
        kind = "velocities" if policy.config.continuous else "numbered actions"
        raise AgentError(f"{name}: the checkpoint's policy gives {kind}; action_mode is {config.action_mode}.")
    if not policy.config.continuous and len(task.action_names) != policy.config.num_actions:
        raise AgentError(
            f"{name}: the checkpoint's policy has {policy.config.num_actions} actions, but the task {config.task} of "
            f"config.json has {len(task.action_names)}. It was trained for another task."
        )


def _size(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else " x ".join(map(str, shape))


def _with_unique_names(candidates: list[Candidate]) -> list[Candidate]:
    """Uses the whole path as the name of runs whose folder names are equal, or equal to a baseline's name."""
    names = [candidate.name for candidate in candidates]

    def path(candidate: Candidate) -> str:
        return (MCTS if candidate.search else "") + str(candidate.run)

    return [
        replace(c, name=path(c)) if c.run and (names.count(c.name) > 1 or c.name in BASELINES) else c
        for c in candidates
    ]
