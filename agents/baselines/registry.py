"""Baselines by name and by the tasks that they can do."""

from __future__ import annotations

from collections.abc import Callable

from batchsim import NavVectorEnv, Task
from batchsim.agents.baselines.agent import Agent
from batchsim.agents.baselines.frontier import FrontierAgent
from batchsim.agents.baselines.oracles import ExpertAgent, NearestUnvisitedAgent
from batchsim.agents.baselines.simple import ForwardAgent, GreedyAgent, RandomAgent
from batchsim.agents.baselines.velocities import VelocityAgent
from batchsim.agents.errors import AgentError
from batchsim.agents.search.mcts_agent import search_by_distances
from batchsim.control import VelocityControl
from batchsim.tasks import Explore, Flee, GoalNavigation, ObjectNav, PointNav

BASELINES = {
    "random": "moves and turns at random",
    "forward": "moves straight ahead and turns left after a collision",
    "greedy": "turns towards the goal and moves straight to it (PointNav)",
    "frontier": "explores until its semantic image shows the object, then goes there (ObjectNav)",
    "mcts": "tree search in copies of the environment, with values from distances to the goal; mcts:FOLDER takes values"
    " and probabilities of actions from the critic and policy of a run",
    "oracle": "knows the map: near-optimal where there is a goal and in Flee, a strong heuristic in Explore",
}
"""What each baseline does, by name."""

SENSORS: dict[str, tuple[str, ...]] = {"frontier": ("semantic",)}
"""Images that baselines look at; the others see nothing."""

_SLOW = ("mcts",)
"""Baselines that are not compared with by default."""

_MakeAgent = Callable[[NavVectorEnv], Agent]
_FOR_ANY_TASK: dict[str, _MakeAgent] = {"random": RandomAgent, "forward": ForwardAgent}
_FOR_TASK: dict[type[Task], dict[str, _MakeAgent]] = {
    PointNav: {"greedy": GreedyAgent, "mcts": search_by_distances, "oracle": ExpertAgent},
    Flee: {"oracle": ExpertAgent},
    Explore: {"oracle": NearestUnvisitedAgent},
    ObjectNav: {"frontier": FrontierAgent, "mcts": search_by_distances, "oracle": ExpertAgent},
    GoalNavigation: {"mcts": search_by_distances, "oracle": ExpertAgent},
}


def baselines_of(task: Task) -> dict[str, _MakeAgent]:
    """The baselines that can do `task`, by name."""
    kind = next((kind for kind in type(task).__mro__ if kind in _FOR_TASK), None)
    return _FOR_ANY_TASK | ({} if kind is None else _FOR_TASK[kind])


def default_baselines(task: Task) -> tuple[str, ...]:
    """The baselines that an agent of `task` is compared with by default."""
    known = baselines_of(task)
    left_out = {*_SLOW, *(["forward"] if "greedy" in known else [])}
    return tuple(name for name in BASELINES if name in known and name not in left_out)


def make_baseline(name: str, env: NavVectorEnv) -> Agent:
    """Make the baseline called `name` for `env`, whose actions may be numbered or velocities.

    Raises:
        AgentError: If the name is unknown, or its baseline cannot do the environment's task or use its velocities.
    """
    known = baselines_of(env.task)
    if name not in known:
        raise AgentError(
            f"{name!r} is not a baseline for the task {type(env.task).__name__}; expected one of {', '.join(known)}."
        )
    agent = known[name](env)
    return VelocityAgent(agent, env) if isinstance(env.simulator.transition.control, VelocityControl) else agent
