"""`SearchTrees`: B search trees as batched tensors, grown in rounds by W workers each.

Selection is PUCT (Silver et al., "A general reinforcement learning algorithm that masters chess, shogi, and Go through
self-play", 2018), with the best return of a state's actions in place of their mean (`SearchTrees._blended`). What an
action returned beyond the value of its state is scaled to [0, 1] by the smallest and largest such gain in the tree.
Schrittwieser et al., "Mastering Atari, Go, chess and shogi by planning with a learned model" (2020), scale the returns
themselves; here they change much more along a path than between the actions of a state.
Workers that are under way count as visits with the value 0, the virtual loss of Yang et al., "Practical massively
parallel Monte-Carlo tree search applied to molecular design" (ICLR 2021). Equal states share one node, so that trees
are graphs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

_DEEPEST = 32
"""Most actions from the root to a leaf: graphs have cycles, such as a turn to the left and one to the right."""

_MARGIN = 0.01
"""Differences of returns that do not matter."""
_OFFSET, _SCALE = 50.0, 0.1
"""Constants of Danihelka et al. for noisy values."""


@dataclass(frozen=True)
class Paths:
    """Paths from the roots to leaves, one for each worker.

    Attributes:
        nodes: int64 `[D, B, W]`, the nodes at which the actions are taken.
        actions: int64 `[D, B, W]`.
        used: bool `[D, B, W]`, whether the path is that long.
        node: int64 `[B, W]`, the node before the last action.
        action: int64 `[B, W]`, the last action, which has not been tried yet unless the path was cut off.
    """

    nodes: Tensor
    actions: Tensor
    used: Tensor
    node: Tensor
    action: Tensor


class SearchTrees:
    """B trees of at most C nodes with A actions each.

    Args:
        trees: B.
        capacity: C.
        actions: A.
        discount: Discount factor of rewards.
        exploration: The constant of the exploration term.
        device: Where the tensors are.

    Attributes:
        count: int64 `[B]`, nodes in each tree.
        unused: The number of a node that is never read. What must not be stored is written there, so that the host need
            not know what is stored.
        visits: float32 `[B, C + 1, A]`, finished searches through each action.
    """

    def __init__(
        self, trees: int, capacity: int, actions: int, discount: float, exploration: float, device: torch.device
    ) -> None:
        self.capacity = capacity
        self.unused = capacity
        self._discount, self._exploration = discount, exploration
        self._tree = torch.arange(trees, device=device)
        self._asks = device.type == "cpu"  # whether paths have ended; a GPU would have to be waited for
        shape = (trees, capacity + 1, actions)

        def zeros(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(size, dtype=dtype, device=device)

        self.count = zeros(trees, dtype=torch.int64)
        self.visits = zeros(*shape)
        self._child = zeros(*shape, dtype=torch.int64) - 1
        self._under_way, self._prior, self._reward = (zeros(*shape) for _ in range(3))
        self._ended = zeros(*shape, dtype=torch.bool)
        self._value, self._worth = (zeros(trees, capacity + 1) for _ in range(2))
        self._key = zeros(trees, capacity + 1, dtype=torch.int64)
        self._low, self._high = zeros(trees), zeros(trees)

    def set_roots(self, key: Tensor, fresh: Tensor, prior: Tensor, value: Tensor, reserve: int) -> Tensor:
        """Finds the nodes of the current states, and drops the trees that do not have them.

        Args:
            key: int64 `[B]`, the keys of the current states.
            fresh: bool `[B]`, trees to drop in any case.
            prior: float32 `[B, A]`, probabilities of the actions in these states.
            value: float32 `[B]`, the values of these states.
            reserve: Nodes that there must still be room for.

        Returns:
            The nodes, int64 `[B]`.
        """
        node, known = self._find(key)
        fresh = fresh | ~known | (self.count + reserve > self.capacity)
        self._clear(fresh)
        node = torch.where(fresh, 0, node)
        self.count = torch.where(fresh, 1, self.count)
        self._key[self._tree, node] = key
        self._prior[self._tree, node] = prior
        self._value[self._tree, node] = value
        self._worth[self._tree, node] = self._blended(self._tree, node)
        return node

    def select(self, root: Tensor, workers: int) -> Paths:
        """Chooses a leaf for each of `workers` workers in each tree, one after the other."""
        found = [self._descend(root) for _ in range(workers)]
        depth = max(len(nodes) for nodes, *_ in found)

        def joined(k: int) -> Tensor:
            """Stacks one part of all workers, filled up to the length of the longest path."""
            return torch.stack([nn.functional.pad(walk[k], (0, 0, 0, depth - len(walk[k]))) for walk in found], -1)

        last = (torch.stack([walk[k] for walk in found], -1) for k in (3, 4))
        return Paths(joined(0), joined(1), joined(2), *last)

    def expand(self, paths: Paths, key: Tensor, prior: Tensor, value: Tensor, reward: Tensor, ended: Tensor) -> Tensor:
        """Adds the states at the ends of `paths`.

        Args:
            paths: The paths.
            key: int64 `[B, W]`, the keys of the states.
            prior: float32 `[B, W, A]`, probabilities of the actions there.
            value: float32 `[B, W]`, their values.
            reward: float32 `[B, W]`, the rewards of the last actions.
            ended: bool `[B, W]`, whether these ended the episode.

        Returns:
            The new nodes, int64 `[B, W]`; `unused` where the state is known or the episode ended.
        """
        tree, added = self._tree, []
        for w in range(key.shape[1]):
            node, known = self._find(key[:, w])
            new = ~known & ~ended[:, w]
            node = torch.where(new, self.count, node)
            self.count = self.count + new
            added.append(torch.where(new, node, self.unused))
            place = tree, added[-1]
            self._key[place], self._prior[place] = key[:, w], prior[:, w]
            self._value[place] = self._worth[place] = value[:, w]
            parent = tree, paths.node[:, w], paths.action[:, w]
            self._child[parent] = torch.where(ended[:, w], -1, node)
            self._reward[parent], self._ended[parent] = reward[:, w], ended[:, w]
        return torch.stack(added, -1)

    def back_up(self, paths: Paths) -> None:
        """Updates the worth of all states on `paths`, the last ones first."""
        tree = self._tree.unsqueeze(-1).expand_as(paths.node)
        for nodes, actions, used in reversed(list(zip(paths.nodes, paths.actions, paths.used, strict=True))):
            edge, one = (tree, nodes, actions), used.float()
            self.visits.index_put_(edge, one, accumulate=True)
            self._under_way.index_put_(edge, -one, accumulate=True)
            known = used & ~self._ended[edge]
            gain = self._returns(tree, nodes).gather(-1, actions.unsqueeze(-1)).squeeze(-1) - self._value[tree, nodes]
            # A stop in the wrong place is so much worse than all else that it would hide the differences between moves.
            self._low = torch.where(known, gain, 0.0).amin(-1).minimum(self._low)
            self._high = torch.where(used, gain, 0.0).amax(-1).maximum(self._high)
            place = torch.where(used, nodes, self.unused)
            self._worth[tree, place] = self._blended(tree, place)

    def best_action(self, root: Tensor) -> Tensor:
        """Returns the action of each root, int64 `[B]`, that is likely and returned much, of those that were tried.

        The score is that of Danihelka et al., "Policy improvement by planning with Gumbel" (ICLR 2022).
        """
        visits = self.visits[self._tree, root]
        score = self._prior[self._tree, root].clamp(min=1e-8).log()
        score = score + _SCALE * (_OFFSET + visits.amax(-1, keepdim=True)) * self._scaled_gains(root)
        return torch.where(visits > 0, score, -torch.inf).argmax(-1)

    def _descend(self, root: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Walks from each root to a leaf and marks the actions on the way as under way."""
        node, walks = root, torch.ones_like(root, dtype=torch.bool)
        last_node, last_action = root, torch.zeros_like(root)
        nodes, actions, used = [], [], []
        for _ in range(_DEEPEST):
            action = self._best_to_try(node)
            last_node = torch.where(walks, node, last_node)
            last_action = torch.where(walks, action, last_action)
            nodes.append(node)
            actions.append(action)
            used.append(walks)
            self._under_way[self._tree, node, action] += walks.float()
            child = self._child[self._tree, node, action]
            walks = walks & (child >= 0)
            node = torch.where(walks, child, node)
            if self._asks and not walks.any():
                break
        return torch.stack(nodes), torch.stack(actions), torch.stack(used), last_node, last_action

    def _best_to_try(self, node: Tensor) -> Tensor:
        """Returns the action with the largest upper bound at each node, int64 `[B]`."""
        edges = self._tree, node
        visits, under_way, prior = self.visits[edges], self._under_way[edges], self._prior[edges]
        tried = visits + under_way
        mean = self._scaled_gains(node) * torch.where(tried > 0, visits / tried.clamp(min=1), 1.0)
        bonus = self._exploration * prior * (1 + tried.sum(-1, keepdim=True)).sqrt() / (1 + tried)
        return (mean + bonus).argmax(-1)

    def _returns(self, tree: Tensor, node: Tensor) -> Tensor:
        """Returns the reward of each action plus the discounted worth of where it leads, float32 `[..., A]`.

        Actions that were not tried are taken for as good as the state.
        """
        edges = tree, node
        after = self._worth[tree.unsqueeze(-1), self._child[edges].clamp(min=0)]
        found = self._reward[edges] + self._discount * torch.where(self._ended[edges], 0.0, after)
        return torch.where(self.visits[edges] > 0, found, self._value[edges].unsqueeze(-1))

    def _blended(self, tree: Tensor, node: Tensor) -> Tensor:
        """Returns the worth of states: the evaluator's value, and the best return, which counts once for each visit.

        The best and not the mean, because the simulator repeats itself exactly: trying a bad action again and again
        makes a state no worse.
        """
        visits = self.visits[tree, node]
        best = torch.where(visits > 0, self._returns(tree, node), -torch.inf).amax(-1)
        count = visits.sum(-1)
        value = self._value[tree, node]
        return torch.where(count > 0, (value + count * best) / (1 + count), value)

    def _scaled_gains(self, node: Tensor) -> Tensor:
        """Returns how much more each action at a node returned than the node's value, scaled to [0, 1]."""
        gain = self._returns(self._tree, node) - self._value[self._tree, node].unsqueeze(-1)
        low, high = self._low.unsqueeze(-1) - _MARGIN, self._high.unsqueeze(-1) + _MARGIN
        return ((gain - low) / (high - low)).clamp(0, 1)

    def _find(self, key: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the node with `key` (int64 `[B]`) in each tree, and whether there is one."""
        places = torch.arange(self.capacity + 1, device=key.device)
        same = (self._key == key.unsqueeze(-1)) & (places < self.count.unsqueeze(-1))
        return same.float().argmax(-1), same.any(-1)

    def _clear(self, mask: Tensor) -> None:
        """Empties the trees in `mask`, bool `[B]`."""
        self.count = torch.where(mask, 0, self.count)
        self._low = torch.where(mask, 0.0, self._low)
        self._high = torch.where(mask, 0.0, self._high)
        for table, blank in (
            (self.visits, 0.0), (self._under_way, 0.0), (self._child, -1), (self._ended, False)
        ):  # fmt: skip
            table.masked_fill_(mask.view(-1, 1, 1), blank)
