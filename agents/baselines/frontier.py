"""Exploration that ends when the object is in sight: what one can do without learning anything about homes."""

from __future__ import annotations

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.baselines.oracles import path_follower
from batchsim.agents.errors import AgentError
from batchsim.scenes.categories import category_of
from batchsim.tasks import ObjectNav


class FrontierAgent:
    """ObjectNav: moves to the nearest place not seen yet, until the semantic image shows the category; then goes there.

    The walkable map is known, and so is the way to the nearest object of the category once one has been seen; where the
    objects are is not. Places are the scene's goal points, which are spread over all rooms.
    """

    _NEAR = 1.0
    """Metres from a place within which it counts as seen."""
    _LEAST_SHARE = 0.01
    """Share of the image that the object must fill."""

    def __init__(self, env: NavVectorEnv) -> None:
        if "semantic" not in env.simulator.options.sensors or env.label_names is None:
            raise AgentError("The baseline 'frontier' needs sensors=('semantic',) and scenes with one table of labels.")
        assert isinstance(env.task, ObjectNav)
        number = {name: k for k, name in enumerate(env.task.table)}
        categories = [number.get(category_of(name) or "", -1) for name in env.label_names]
        self._category = torch.tensor(categories, device=env.device)
        self._simulator = env.simulator
        self._path = path_follower(env)
        self._stop = env.task.action_names.index("stop")
        self._stop_distance = 0.9 * env.task.success_distance
        self._in_sight = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)
        self._seen = torch.zeros(env.num_envs, 1, dtype=torch.bool, device=env.device)
        self._target = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Decide by the semantic image and the distances to places."""
        state = self._simulator.state
        task = state.task
        shown = self._category[observation["semantic"].long().flatten(1)]
        share = (shown == observation["objectgoal"]).float().mean(-1)
        self._in_sight = (self._in_sight & ~episode_start) | (share >= self._LEAST_SHARE)
        walks = self._simulator.scenes.distances_to_goals(state.scene, state.position)
        self._seen = (self._seen & ~episode_start.unsqueeze(-1)) | (walks < self._NEAR)
        left = torch.where(self._seen, torch.inf, walks)
        reached = left.gather(-1, self._target.unsqueeze(-1)).squeeze(-1).isinf()
        self._target = torch.where(episode_start | reached, left.argmin(-1), self._target)
        action = self._path.towards(torch.where(self._in_sight, task["goal"], self._target))
        near = self._in_sight & (task["distance"] < self._stop_distance)
        return torch.where(near, self._stop, action)
