"""`SearchTrees`: B search trees as batched tensors, grown in rounds by W workers each.

Selection is PUCT (Silver et al., "A general reinforcement learning algorithm that masters chess, shogi, and Go through
self-play", 2018), with values scaled to [0, 1] by the smallest and largest return of the tree (Schrittwieser et al.,
"Mastering Atari, Go, chess and shogi by planning with a learned model", 2020). Workers that are under way count as
visits with the value 0, the virtual loss of Yang et al., "Practical massively parallel Monte-Carlo tree search applied to
molecular design" (ICLR 2021). Equal states share one node, so that the trees are graphs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

_DEEPEST = 32
"""Most actions from the root to a leaf: graphs have cycles, such as a turn to the left and one to the right."""


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
        self._total, self._under_way, self._prior, self._reward = (zeros(*shape) for _ in range(4))
        self._ended = zeros(*shape, dtype=torch.bool)
        self._value = zeros(trees, capacity + 1)
        self._key = zeros(trees, capacity + 1, dtype=torch.int64)
        self._low, self._high = zeros(trees) + torch.inf, zeros(trees) - torch.inf

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

    def expand(
        self, paths: Paths, key: Tensor, prior: Tensor, value: Tensor, reward: Tensor, ended: Tensor
    ) -> Tensor:
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
            self._key[place], self._prior[place], self._value[place] = key[:, w], prior[:, w], value[:, w]
            parent = tree, paths.node[:, w], paths.action[:, w]
            self._child[parent] = torch.where(ended[:, w], -1, node)
            self._reward[parent], self._ended[parent] = reward[:, w], ended[:, w]
        return torch.stack(added, -1)

    def back_up(self, paths: Paths, value: Tensor) -> None:
        """Adds the returns of `paths` to all their actions; `value` float32 `[B, W]`: the values of the last states."""
        tree = self._tree.unsqueeze(-1).expand_as(value)
        total = value
        for nodes, actions, used in reversed(list(zip(paths.nodes, paths.actions, paths.used, strict=True))):
            edge = tree, nodes, actions
            after = torch.where(self._ended[edge], 0.0, total)
            total = torch.where(used, self._reward[edge] + self._discount * after, total)
            self._low = torch.where(used, total, torch.inf).amin(-1).minimum(self._low)
            self._high = torch.where(used, total, -torch.inf).amax(-1).maximum(self._high)
            one = used.float()
            self.visits.index_put_(edge, one, accumulate=True)
            self._total.index_put_(edge, torch.where(used, total, 0.0), accumulate=True)
            self._under_way.index_put_(edge, -one, accumulate=True)

    def best_action(self, root: Tensor) -> Tensor:
        """Returns the most visited action of each root, int64 `[B]`; of equally visited ones the one worth most."""
        edges = self._tree, root
        visits = self.visits[edges]
        return (visits + 0.5 * self._scaled_means(root, visits)).argmax(-1)

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
        mean = self._scaled_means(node, visits) * torch.where(tried > 0, visits / tried.clamp(min=1), 1.0)
        bonus = self._exploration * prior * (1 + tried.sum(-1, keepdim=True)).sqrt() / (1 + tried)
        return (mean + bonus).argmax(-1)

    def _scaled_means(self, node: Tensor, visits: Tensor) -> Tensor:
        """Returns the mean returns of the actions at each node, scaled to [0, 1]; untried ones have the node's value."""
        mean = torch.where(
            visits > 0, self._total[self._tree, node] / visits.clamp(min=1), self._value[self._tree, node].unsqueeze(-1)
        )
        low, span = self._low.unsqueeze(-1), (self._high - self._low).unsqueeze(-1)
        return torch.where(span > 0, ((mean - low) / span).clamp(0, 1), 0.5)

    def _find(self, key: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the node with `key` (int64 `[B]`) in each tree, and whether there is one."""
        places = torch.arange(self.capacity + 1, device=key.device)
        same = (self._key == key.unsqueeze(-1)) & (places < self.count.unsqueeze(-1))
        return same.float().argmax(-1), same.any(-1)

    def _clear(self, mask: Tensor) -> None:
        """Empties the trees in `mask`, bool `[B]`."""
        self.count = torch.where(mask, 0, self.count)
        self._low = torch.where(mask, torch.inf, self._low)
        self._high = torch.where(mask, -torch.inf, self._high)
        for table, blank in (
            (self.visits, 0.0), (self._total, 0.0), (self._under_way, 0.0), (self._child, -1), (self._ended, False)
        ):  # fmt: skip
            table.masked_fill_(mask.view(-1, 1, 1), blank)
