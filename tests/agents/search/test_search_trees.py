"""Batched search trees on a made-up world, against the best actions by exhaustive search."""

import pytest
import torch

from batchsim.agents.search.search_trees import SearchTrees

STATES, ACTIONS, DISCOUNT, TREES = 40, 3, 0.9, 8


def make_worlds(seed):
    """A random world for each tree: next states, rewards and ends, `[TREES, STATES, ACTIONS]` each."""
    generator = torch.Generator().manual_seed(seed)
    shape = TREES, STATES, ACTIONS
    following = torch.randint(STATES, shape, generator=generator)
    reward = torch.randint(-1, 4, shape, generator=generator).float()
    ended = torch.rand(shape, generator=generator) < 0.1
    return following, reward, ended


def optimal_returns(following, reward, ended, depth):
    """The largest discounted return of each action, by all sequences of `depth` actions."""
    best = torch.zeros(TREES, STATES)
    for _ in range(depth):
        after = best.gather(1, following.flatten(1)).view_as(reward)
        returns = reward + DISCOUNT * torch.where(ended, 0.0, after)
        best = returns.amax(-1)
    return returns


def grow(trees, root, worlds, rounds, workers, states):
    """Lets workers search; the world's state is the key and its value 0."""
    following, reward, ended = worlds
    tree = torch.arange(TREES).unsqueeze(-1)
    for _ in range(rounds):
        paths = trees.select(root, workers)
        edge = tree, states[tree, paths.node], paths.action
        found = following[edge]
        prior = torch.full((TREES, workers, ACTIONS), 1 / ACTIONS)
        value = torch.zeros(TREES, workers)
        node = trees.expand(paths, found, prior, value, reward[edge], ended[edge])
        states[tree, node] = found
        trees.back_up(paths)


def start(trees, states, at):
    prior = torch.full((TREES, ACTIONS), 1 / ACTIONS)
    root = trees.set_roots(at, torch.ones(TREES, dtype=torch.bool), prior, torch.zeros(TREES), 0)
    states[torch.arange(TREES), root] = at
    return root


def new_trees(capacity=STATES):
    trees = SearchTrees(TREES, capacity, ACTIONS, DISCOUNT, 1.25, torch.device("cpu"))
    return trees, torch.zeros(TREES, capacity + 1, dtype=torch.int64)


@pytest.mark.parametrize("workers", [1, 4])
def test_best_actions_are_those_of_exhaustive_search(workers):
    near_best, count = 0, 0
    for seed in range(4):
        worlds = make_worlds(seed)
        best = optimal_returns(*worlds, depth=60)
        trees, states = new_trees()
        at = torch.arange(TREES)
        root = start(trees, states, at)
        grow(trees, root, worlds, 800 // workers, workers, states)
        chosen = best[torch.arange(TREES), at].gather(1, trees.best_action(root).unsqueeze(-1)).squeeze(-1)
        near_best += int((chosen >= best[torch.arange(TREES), at].amax(-1) - 0.5).sum())
        count += TREES
    # Means of returns lag behind maxima, so that close calls may go wrong. By chance a third would be right.
    assert near_best >= 0.85 * count


def test_bookkeeping():
    worlds = make_worlds(0)
    trees, states = new_trees()
    root = start(trees, states, torch.arange(TREES))
    grow(trees, root, worlds, 10, 4, states)
    assert not trees._under_way.any()  # no virtual loss is left
    assert (trees.visits[torch.arange(TREES), root].sum(-1) >= 40).all()  # more where cycles lead to the root again
    for tree in range(TREES):
        known = states[tree, : trees.count[tree]].tolist()
        assert len(set(known)) == len(known)  # equal states share a node
        reachable = {tree}
        for state in known:
            reachable |= set(worlds[0][tree, state].tolist())
        assert set(known) <= reachable


def test_a_tree_is_used_again_where_its_state_follows():
    worlds = make_worlds(1)
    trees, states = new_trees()
    root = start(trees, states, torch.arange(TREES))
    grow(trees, root, worlds, 20, 2, states)
    before, prior = trees.count.clone(), torch.full((TREES, ACTIONS), 1 / ACTIONS)
    known = states[:, 1].clone()
    keys = torch.where(torch.arange(TREES) < 4, known, torch.full_like(known, 999))  # 999: a state that is nowhere
    root = trees.set_roots(keys, torch.zeros(TREES, dtype=torch.bool), prior, torch.zeros(TREES), 0)
    assert root.tolist() == [1] * 4 + [0] * 4
    assert torch.equal(trees.count[:4], before[:4])
    assert trees.count[4:].tolist() == [1] * 4
    assert not trees.visits[4:].any()


def test_a_full_tree_is_dropped():
    worlds = make_worlds(2)
    trees, states = new_trees(capacity=12)
    root = start(trees, states, torch.arange(TREES))
    for _ in range(10):
        key = states[torch.arange(TREES), root]
        root = trees.set_roots(
            key, torch.zeros(TREES, dtype=torch.bool), torch.full((TREES, ACTIONS), 1 / 3), torch.zeros(TREES), 4
        )
        states[torch.arange(TREES), root] = key
        grow(trees, root, worlds, 2, 2, states)
        assert (trees.count <= 12).all()
