"""Evaluates an agent with one call."""

from __future__ import annotations

from pathlib import Path

from batchsim.agents.config import TrainConfig
from batchsim.agents.evaluation.candidates import Candidate, check_fits, find_candidates
from batchsim.agents.evaluation.episode_selection import episodes_of_set
from batchsim.agents.evaluation.results import Evaluation
from batchsim.agents.evaluation.session import EvalSession
from batchsim.agents.networks.policy import Policy, require_finite


def evaluate(
    agent: Policy | Path | str,
    scenes: str = "homes:val",
    episodes: int = 200,
    config: TrainConfig | None = None,
    num_envs: int = 64,
    seed: int = 0,
    deterministic: bool = False,
    device: str = "auto",
) -> Evaluation:
    """Runs `agent` through a fixed set of episodes, each exactly once.

    Args:
        agent: A run folder, the name of a baseline such as "greedy", or a policy.
        scenes: The scene set whose episodes are run.
        episodes: The number of episodes.
        config: The task, body and cameras of a policy or baseline (default: those of `TrainConfig()`); a run folder has
            its own.
        num_envs: Environments that are stepped together; the results do not depend on it.
        seed: Seed of the actions that are sampled.
        deterministic: Take the most likely action instead of sampling one.
        device: "auto", "cpu", "cuda" or "cuda:1".

    Returns:
        The records of all episodes; `summary()` gives the means with 95% intervals.

    Raises:
        AgentError: If the agent cannot be loaded, does not fit the task, or has weights that are not finite.
        SceneError: If the scenes cannot be loaded.
    """
    if isinstance(agent, Policy):
        candidate = Candidate("policy", config or TrainConfig(), agent)
        check_fits(agent, candidate.config, "policy")
        require_finite("policy", agent.state_dict())
    else:
        (candidate,) = find_candidates([str(agent)], config)
    session = EvalSession(episodes_of_set(scenes, episodes), num_envs, seed, deterministic, device=device, quiet=True)
    return session.run(candidate)
