"""`MctsAgent`: before each action it tries others in copies of the environments, and takes the one that did best."""

from __future__ import annotations

import torch
from torch import Tensor

from batchsim import NavVectorEnv
from batchsim.agents.errors import AgentError
from batchsim.agents.networks.policy import Policy
from batchsim.agents.search.evaluators import CriticEvaluator, DistanceEvaluator, Evaluator
from batchsim.agents.search.search_options import SearchOptions
from batchsim.agents.search.search_trees import SearchTrees
from batchsim.agents.search.state_keys import state_keys
from batchsim.random_streams import fresh_streams

_SEED = "simulator.seed"
_SEARCH = 0x3C75  # separates the noise that a search meets from the noise to come


class MctsAgent:
    """Monte-Carlo tree search (see `search_trees`), for all environments in one batch.

    Each tree has W slots of a second environment. In a round each slot gets a copy of a state of its tree, one `step`
    acts in all of them, and one call of the evaluator judges where it led. A tree is used again after the action that
    was taken, as long as the state that followed is in it.

    The search knows the simulator, so it knows the rewards of the actions that it tries: with it an agent can see that
    a stop will succeed. It does not know the noise to come.

    Args:
        env: The environments that the agent acts in; their scenes must not be swapped.
        evaluator: Judges states.
        options: How much to search.

    Attributes:
        simulated_steps: int64 `[N]`, simulator steps of the search in each environment's running episode.
    """

    def __init__(self, env: NavVectorEnv, evaluator: Evaluator, options: SearchOptions) -> None:
        if env.simulator.options.action_mode != "discrete":
            raise AgentError("Tree search needs numbered actions; action_mode is velocity.")
        self._env, self._evaluate, self.options = env, evaluator, options
        slots, device = env.num_envs * options.workers, env.device
        changes = {"autoreset_mode": "DISABLED", "reuse_buffers": True, "output": "torch", "expert": False}
        self._slots = env.sibling(slots, **changes | ({} if evaluator.needs_images else {"sensors": ()}))
        self._slots.reset(seed=0)
        self._every_slot = torch.arange(slots, device=device)
        actions = len(env.task.action_names)
        capacity = options.capacity
        self._trees = SearchTrees(env.num_envs, capacity, actions, evaluator.discount, options.exploration, device)
        self._first = torch.arange(env.num_envs, device=device) * (capacity + 1)  # of each tree's nodes in `_states`
        self._states: dict[str, Tensor] = {}
        self._memory = evaluator.blank_memory(env.num_envs * (capacity + 1)).to(device)
        self._own_memory = evaluator.blank_memory(env.num_envs).to(device)
        self._last_action = torch.zeros(env.num_envs, dtype=torch.int64, device=device)
        self.simulated_steps = torch.zeros(env.num_envs, dtype=torch.int64, device=device)

    def act(self, observation: dict[str, Tensor], episode_start: Tensor, uniform: Tensor) -> Tensor:
        """Searches, and returns the actions that were tried most, int64 `[N]`."""
        self.simulated_steps = torch.where(episode_start, 0, self.simulated_steps) + self.options.simulations
        root = self._set_roots(observation, episode_start)
        for _ in range(self.options.rounds):
            self._search(root)
        self._last_action = self._trees.best_action(root)
        return self._last_action

    def measures(self) -> dict[str, Tensor]:
        """Returns what the search has done in the running episodes, `[N]` each."""
        return {"search_steps": self.simulated_steps}

    def close(self) -> None:
        """Releases the slots of the search."""
        self._slots.close()

    def _set_roots(self, observation: dict[str, Tensor], episode_start: Tensor) -> Tensor:
        """Returns the nodes of the current states, int64 `[N]`, whose states and memories it stores."""
        prior, value, self._own_memory = self._evaluate(
            self._env, observation, self._last_action, episode_start, self._own_memory
        )
        keys = state_keys(self._env)
        root = self._trees.set_roots(keys, episode_start, prior, value, self.options.simulations)
        rows = self._env.state_dict(rows=torch.arange(len(root), device=root.device))
        rows[_SEED] = fresh_streams(rows[_SEED], torch.full_like(root, _SEARCH))
        self._store(self._first + root, rows, self._own_memory)
        return root

    def _search(self, root: Tensor) -> None:
        """Lets each worker try one action in one state of its tree."""
        trees, workers = self._trees, self.options.workers
        paths = trees.select(root, workers)
        place = (self._first.unsqueeze(-1) + paths.node).reshape(-1)
        self._slots.load_state_dict({name: value[place] for name, value in self._states.items()}, self._every_slot)
        action = paths.action.reshape(-1)
        observation, reward, terminated, truncated, _ = self._slots.step(action)
        ended = terminated | truncated
        prior, value, memory = self._evaluate(
            self._slots, observation, action, torch.zeros_like(ended), self._memory[place]
        )

        def by_tree(values: Tensor) -> Tensor:
            return values.view(-1, workers, *values.shape[1:])

        keys = by_tree(state_keys(self._slots))
        node = trees.expand(paths, keys, by_tree(prior), by_tree(value), by_tree(reward), by_tree(ended))
        target = (self._first.unsqueeze(-1) + node).reshape(-1)
        self._store(target, self._slots.state_dict(rows=self._every_slot), memory)
        trees.back_up(paths)

    def _store(self, place: Tensor, rows: dict[str, Tensor], memory: Tensor) -> None:
        if not self._states:
            count = len(self._memory)
            self._states = {name: value.new_zeros(count, *value.shape[1:]) for name, value in rows.items()}
        for name, value in rows.items():
            self._states[name][place] = value
        self._memory[place] = memory


def search_by_distances(env: NavVectorEnv, options: SearchOptions | None = None) -> MctsAgent:
    """Returns a search in `env` whose values come from the distances to the goal."""
    return MctsAgent(env, DistanceEvaluator(env), options or SearchOptions())


def search_by_critic(
    env: NavVectorEnv, policy: Policy, discount: float, options: SearchOptions | None = None
) -> MctsAgent:
    """Returns a search in `env` with the values and probabilities of `policy`, trained with `discount`."""
    return MctsAgent(env, CriticEvaluator(policy, discount), options or SearchOptions())
