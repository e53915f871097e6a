"""Look-ups in several scenes at once against look-ups in each scene alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from batchsim.errors import OptionError
from batchsim.scenes import SceneError
from batchsim.world.navigation_data import prepare_navigation
from batchsim.world.ragged_tensor import RaggedTensor, at_once
from batchsim.world.resident_scenes import ResidentScenes
from tests.helpers.rooms import make_room


@pytest.fixture(scope="module")
def all_scenes(one_room, four_rooms, homes):
    return [homes[1], one_room, homes[0], four_rooms, homes[2]]


@pytest.fixture(scope="module")
def resident(all_scenes):
    return ResidentScenes(all_scenes, torch.device("cpu"))


def random_points(scenes, count, seed, on_floor):
    """Scene numbers `[count]` and points `[count, 3]`, in mixed order."""
    rng = np.random.default_rng(seed)
    index = rng.integers(len(scenes), size=count)
    points = np.empty((count, 3), np.float32)
    for k, scene in enumerate(scenes):
        mine = index == k
        low, high = scene.bounds + np.array([[-1], [1]])
        anywhere = rng.uniform(low, high, (mine.sum(), 3))
        points[mine] = scene.sample_navigable(mine.sum(), rng) if on_floor else anywhere
    return torch.tensor(index), torch.tensor(points)


def each_scene(scenes, index):
    for k, scene in enumerate(scenes):
        yield k, scene, index.numpy() == k


@pytest.mark.parametrize("on_floor", [True, False])
def test_locate(all_scenes, resident, on_floor):
    index, points = random_points(all_scenes, 5000, 0, on_floor)
    if on_floor:  # up to just less than the step a body can take, above and below the floor
        points[:, 1] += torch.rand(len(points), generator=torch.Generator().manual_seed(0)) * 0.48 - 0.24
    cells = resident.locate(index, points)
    found = 0
    for k, scene, mine in each_scene(all_scenes, index):
        expected = scene.walkable.locate(points[mine].numpy())
        ours = cells[mine].numpy()
        local = np.where(ours >= 0, ours - int(resident.cell_offset[k]), -1)
        # Single precision may put a point on a cell's border into the neighbour.
        assert (local == expected).mean() >= 0.999
        assert (ours < int(resident.cell_offset[k] + resident.cell_count[k])).all()
        found += (expected >= 0).sum()
    assert found == len(points) if on_floor else 0 < found < len(points)


def test_look_ups_take_any_shape(all_scenes, resident):
    index, points = random_points(all_scenes, 24, 1, True)
    goal = torch.zeros_like(index)
    shaped = index.view(2, 3, 4), goal.view(2, 3, 4), points.view(2, 3, 4, 3)
    assert torch.equal(resident.locate(shaped[0], shaped[2]).flatten(), resident.locate(index, points))
    flat = resident.goal_distance(index, goal, points)
    assert torch.equal(resident.goal_distance(*shaped).flatten(), flat)


def test_positions_and_goals_of_all_scenes(all_scenes, resident):
    assert len(resident) == len(all_scenes)
    for k, scene in enumerate(all_scenes):
        first, count = int(resident.cell_offset[k]), int(resident.cell_count[k])
        assert count == scene.walkable.num_cells
        assert np.allclose(resident.cell_position[first : first + count].numpy(), scene.walkable.positions)
        numbers = torch.arange(len(scene.goals))
        goals = resident.goal_position(torch.full_like(numbers, k), numbers)
        assert np.allclose(goals.numpy(), scene.goals)


def test_cell_distance_is_the_baked_one(all_scenes, resident):
    rng = np.random.default_rng(2)
    index = torch.tensor(rng.integers(len(all_scenes), size=3000))
    goal = torch.tensor(rng.integers(0, 8, 3000))
    local = torch.tensor(rng.integers(0, resident.cell_count[index].numpy()))
    ours = resident.cell_distance(index, goal, resident.cell_offset[index] + local).numpy()
    for _, scene, mine in each_scene(all_scenes, index):
        assert (ours[mine] == scene.goal_distances[goal[mine], local[mine]].astype(np.float32)).all()
    assert resident.cell_distance(index[:1], goal[:1], torch.tensor([-1])).isinf().all()


def test_goal_distance_agrees_with_distances_between_points(all_scenes, resident):
    index, points = random_points(all_scenes, 1000, 3, True)
    goal = torch.tensor(np.random.default_rng(3).integers(0, 8, 1000))
    ours = resident.goal_distance(index, goal, points).numpy()
    for _, scene, mine in each_scene(all_scenes, index):
        expected = scene.geodesic_distance(points[mine].numpy(), scene.goals[goal[mine].numpy()])
        error = np.abs(ours[mine] - expected)
        assert np.isfinite(expected).all()
        # Half precision rounds by 4 mm below 16 m, by 8 below 32; interpolation smooths by less than a cell.
        assert error.mean() < 0.012
        assert error.max() < 0.06


def test_goal_distance_is_continuous(four_rooms):
    resident = ResidentScenes([four_rooms], torch.device("cpu"))
    x = torch.linspace(-6.5, -1.5, 5001)
    points = torch.stack((x, torch.zeros_like(x), torch.full_like(x, -4.0)), -1)
    zero = torch.zeros(len(x), dtype=torch.int64)
    distance = resident.goal_distance(zero, zero, points)
    # A millimetre of walking changes the distance by one millimetre and the rounding's share of it.
    assert distance.diff().abs().max() < 0.0015


def test_nowhere_is_infinitely_far(all_scenes, resident):
    index = torch.arange(len(all_scenes))
    above = torch.tensor([[0.0, 100.0, 0.0]]).expand(len(index), 3)
    outside = torch.tensor([[1e4, 0.0, -1e4]]).expand(len(index), 3)
    for points in (above, outside):
        assert (resident.locate(index, points) == -1).all()
        assert resident.goal_distance(index, torch.zeros_like(index), points).isinf().all()


def test_no_scenes():
    with pytest.raises(OptionError, match="at least one"):
        ResidentScenes([], torch.device("cpu"))


def assert_equal_look_ups(ours, slot, fresh, number, scene):
    """What `ours` says of its `slot` is what `fresh` says of its scene `number`."""
    rng = np.random.default_rng(5)
    points = torch.tensor(scene.sample_navigable(300, rng))
    goal = torch.tensor(rng.integers(len(scene.goals), size=300))
    mine, theirs = torch.full_like(goal, slot), torch.full_like(goal, number)
    cells, expected = ours.locate(mine, points), fresh.locate(theirs, points)
    assert torch.equal(cells - ours.cell_offset[slot], expected - fresh.cell_offset[number])
    assert torch.equal(ours.cell_position[cells], fresh.cell_position[expected])
    assert torch.equal(ours.goal_position(mine, goal), fresh.goal_position(theirs, goal))
    assert torch.equal(ours.goal_distance(mine, goal, points), fresh.goal_distance(theirs, goal, points))
    assert torch.equal(ours.farthest_distance(mine, goal), fresh.farthest_distance(theirs, goal))
    assert torch.equal(ours.coverage_cell(mine, points), fresh.coverage_cell(theirs, points))
    assert ours.goal_count[slot] == fresh.goal_count[number]
    assert ours.coverage_cell_count[slot] == fresh.coverage_cell_count[number] <= ours.max_coverage_cells
    assert ours.scenes[slot].triangles is scene.triangles
    assert ours.scenes[slot].goal_distances.size == 0


def test_scenes_take_each_others_place(all_scenes, resident):
    """A small scene gives way to one of two storeys, for which everything must grow, and that to a small one."""
    changing = ResidentScenes([all_scenes[1], all_scenes[3]], torch.device("cpu"), replaceable=True)
    slots = [1, 3]
    for slot, number in [(0, 0), (1, 2), (0, 3), (1, 0), (0, 4)]:
        for _ in changing.replace(slot, prepare_navigation(all_scenes[number])):
            other = 1 - slot
            assert_equal_look_ups(changing, other, resident, slots[other], all_scenes[slots[other]])
        slots[slot] = number
        for k in (0, 1):
            assert_equal_look_ups(changing, k, resident, slots[k], all_scenes[slots[k]])


def test_slots_in_which_episodes_may_begin(all_scenes):
    scenes = ResidentScenes(all_scenes, torch.device("cpu"))
    draws = torch.tensor([0.0, 0.3, 0.59, 0.6, 0.999999])
    assert scenes.sample_slot(draws).tolist() == [0, 1, 2, 3, 4]
    scenes.set_start_slots([4, 1])
    assert scenes.sample_slot(draws).tolist() == [4, 4, 1, 1, 1]
    scenes.set_start_slots(range(5))
    assert scenes.sample_slot(draws).tolist() == [0, 1, 2, 3, 4]


def test_a_scene_without_goals(one_room):
    no_goals = replace(one_room, goals=one_room.goals[:0], goal_distances=one_room.goal_distances[:0])
    with pytest.raises(SceneError, match="one-room: no goal"):
        ResidentScenes([one_room, no_goals], torch.device("cpu"))


def test_the_layout_changes_where_tensors_move_and_only_there(rooms_to_come):
    """Whoever has recorded a look-up asks it: addresses are what a recording keeps."""
    first, *others = rooms_to_come
    scenes = ResidentScenes([first, first], torch.device("cpu"), replaceable=True)
    held = [value for value in vars(scenes).values() if isinstance(value, RaggedTensor)]
    assert len(held) == 6

    def kept():
        return [(x.data.data_ptr(), x.offset.data_ptr()) for x in held] + [scenes._layers, scenes.max_coverage_cells]

    moved = []
    for number, scene in enumerate(others):
        before, layout = kept(), scenes.layout
        alive = [x.data for x in held]  # or its place may be taken by the new
        at_once(scenes.replace(number % 2, prepare_navigation(scene)))
        scenes.set_start_slots([number % 2])
        moved.append(kept() != before)
        assert (scenes.layout != layout) == moved[-1], len(alive)
    assert moved == [False, True, False, True, True, False]


@pytest.fixture(scope="module")
def rooms_to_come(homes):
    """Of 4 m a side; the same; with more goals; the same; with 5 m; a home of two floors; the first."""
    few = make_room(1)
    many = replace(few, goals=few.goals.repeat(4, 0), goal_distances=few.goal_distances.repeat(4, 0))
    return [few, few, many, many, make_room(2), homes[1], few]
