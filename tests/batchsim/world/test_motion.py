"""Walking, bumping and sliding, against worked numbers and a plain loop over agents."""

import math

import numpy as np
import pytest
import torch

from batchsim.control import Command
from batchsim.scenes import AgentBody, Mesh, bake
from batchsim.world.motion import Motion
from batchsim.world.resident_scenes import ResidentScenes
from batchsim.world.state import State

CPU = torch.device("cpu")
STEP, TURN = 0.25, math.radians(10)


@pytest.fixture(scope="module")
def room(one_room):
    return ResidentScenes([one_room], CPU)


@pytest.fixture(scope="module")
def mixed(one_room, four_rooms, homes):
    return ResidentScenes([one_room, four_rooms, *homes], CPU)


def bodies(positions, headings, scene=None):
    state = State.empty(len(positions), CPU)
    state.position = torch.tensor(np.asarray(positions), dtype=torch.float32)
    state.heading = torch.tensor(np.asarray(headings), dtype=torch.float32)
    if scene is not None:
        state.scene = torch.as_tensor(scene)
    return state


def command(turn, walking, step=STEP):
    """The command of `turn` turns to the left and a step of `step` metres where `walking`."""
    return Command(torch.zeros(len(turn), dtype=torch.int64), walking * step, turn * TURN, torch.zeros(len(turn)))


def walk(motion, state, steps, turn=0.0, walking=True, step=STEP):
    for _ in range(steps):
        count = len(state.heading)
        motion.apply(state, command(torch.full((count,), turn), torch.full((count,), walking), step))


def test_one_step_in_the_open_is_a_quarter_of_a_metre(room):
    motion = Motion(room, STEP, True)
    headings = [0, math.pi / 2, math.pi, -math.pi / 2, 0.3]
    state = bodies([(0, 0, 0)] * 5, headings)
    walk(motion, state, 1)
    expected = [[0, 0, -0.25], [-0.25, 0, 0], [0, 0, 0.25], [0.25, 0, 0], [-0.25 * 0.2955202, 0, -0.25 * 0.9553365]]
    assert torch.allclose(state.position, torch.tensor(expected), atol=1e-6)
    assert torch.allclose(state.path_length, torch.full((5,), 0.25))
    assert not state.collided.any()


def test_turns_left_and_right(room):
    motion = Motion(room, STEP, True)
    state = bodies([(0, 0, 0)] * 2, [0, 0])
    motion.apply(state, command(torch.tensor([1.0, -1.0]), torch.tensor([False, False])))
    assert torch.allclose(state.heading, torch.tensor([TURN, -TURN]))
    walk(motion, state, 35, turn=1.0, walking=False)
    assert torch.allclose(state.heading, torch.tensor([0.0, -2 * TURN]), atol=1e-5)
    assert not state.position.any()
    assert not state.path_length.any()


@pytest.mark.parametrize("sliding", [True, False])
def test_a_wall_ahead_stops(room, sliding):
    state = bodies([(0, 0, 0)] * 2, [0, math.pi / 2])
    walk(Motion(room, STEP, sliding), state, 40)
    # The wall is 5 m away, the body's radius 0.1 m, a cell 0.05 m.
    reached = torch.tensor([state.position[0, 2], state.position[1, 0]])
    assert (reached <= -4.85 + 1e-5).all()
    assert (reached >= -4.9 - 1e-5).all()
    assert state.position[0, 0].abs() < 1e-5
    assert state.collided.all()
    # 19 whole steps lead to 4.75 m, the 20th is cut short.
    assert state.collisions.tolist() == [21, 21]
    assert torch.allclose(state.path_length, -reached, atol=1e-5)


def test_sliding_along_a_wall_keeps_the_part_along_it(room):
    state = bodies([(0, 0, -4.875), (0, 0, 4.875)], [math.pi / 4, math.pi * 5 / 4])
    motion = Motion(room, STEP, True)
    walk(motion, state, 2)  # up to the very border of the last cell
    before = state.position.clone()
    walk(motion, state, 8)
    moved = state.position - before
    along = 8 * STEP * math.sqrt(0.5)
    assert torch.allclose(moved, torch.tensor([[-along, 0, 0], [along, 0, 0]]), atol=1e-5)
    assert state.collisions.min() >= 8


def test_sliding_at_a_steep_angle(room):
    # 70 degrees off the wall's direction: a third of the step is left along it.
    state = bodies([(0, 0, -4.875)], [math.radians(20)])
    motion = Motion(room, STEP, True)
    walk(motion, state, 1)
    before = state.position.clone()
    walk(motion, state, 5)
    assert torch.allclose(state.position - before, torch.tensor([[-5 * STEP * 0.3420201, 0, 0]]), atol=1e-5)


def test_without_sliding_a_body_stays_at_the_wall(room):
    state = bodies([(0, 0, -4.875)], [math.pi / 4])
    motion = Motion(room, STEP, False)
    walk(motion, state, 2)
    before = state.position.clone()
    walk(motion, state, 5)
    assert torch.equal(state.position, before)
    assert state.collided.all()


def test_standing_still_is_no_collision(room):
    state = bodies([(0, 0, -4.9 + 1e-4)], [0])
    motion = Motion(room, STEP, True)
    walk(motion, state, 3, walking=False)
    assert not state.collisions.any()
    walk(motion, state, 1)
    assert state.collisions.tolist() == [1]
    walk(motion, state, 1, walking=False)
    assert not state.collided.any()


def test_large_steps_do_not_jump_over_walls(four_rooms):
    rooms = ResidentScenes([four_rooms], CPU)
    # From the middle of the room at x < 0 straight at the walls, 2 m thick, between it and the next room.
    state = bodies([(-2, 0, -1.5), (-2, 0, -6.5)], [-math.pi / 2] * 2)
    walk(Motion(rooms, 6.0, False), state, 1, step=6.0)
    assert (state.position[:, 0] < -1.05).all()
    assert state.collided.all()


def test_ahead_looks_without_moving(mixed):
    state, _ = scattered(mixed, 32, seed=1)
    motion = Motion(mixed, STEP, True)
    before = state.position.clone()
    ahead = motion.ahead(state.scene, state.position, state.heading)
    assert torch.equal(state.position, before)
    walk(motion, state, 1)
    assert torch.allclose(state.position, ahead, atol=1e-5)


def scattered(resident, count, seed):
    """Bodies all over the scenes, with a numpy generator to go on with."""
    rng = np.random.default_rng(seed)
    index = np.arange(count) % len(resident)
    positions = [resident.scenes[k].sample_navigable(1, rng)[0] for k in index]
    return bodies(positions, rng.uniform(-math.pi, math.pi, count), index), rng


def random_turns_and_walks(rng, count):
    turn = torch.tensor(rng.integers(-1, 2, count), dtype=torch.float32)
    return turn, torch.tensor(rng.random(count) < 0.8)


def test_nobody_ever_leaves_the_walkable_surface(mixed):
    state, rng = scattered(mixed, 64, seed=2)
    motion = Motion(mixed, STEP, True)
    bumped = 0
    for _ in range(200):
        before = state.position
        motion.apply(state, command(*random_turns_and_walks(rng, 64)))
        bumped += int(state.collided.sum())
        moved = (state.position - before)[:, [0, 2]].norm(dim=-1)
        assert moved.max() <= STEP + 1e-5
        for k, scene in enumerate(mixed.scenes):
            mine = state.position[state.scene == k].numpy()
            assert scene.is_navigable(mine).all()
            # On the floor itself, not only within a step of it.
            cells = scene.walkable.locate(mine)
            assert np.allclose(mine[:, 1], scene.walkable.heights[cells])
    assert bumped > 500  # or else the fuzz says nothing about walls


@pytest.mark.parametrize("sliding", [True, False])
def test_nobody_squeezes_through_where_two_rooms_touch_at_a_corner(sliding):
    side = 4.0
    floor = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1]]).reshape(2, 3, 3) * side
    across = floor + np.array([side, 0, side])
    mesh = Mesh.from_triangles(np.concatenate([floor, across]))
    scene = bake(mesh, "corner", AgentBody(radius=0.01), num_goals=4)
    rooms = ResidentScenes([scene], CPU)
    cells = scene.walkable.locate(np.array([[side - 0.03, 0, side - 0.03], [side + 0.03, 0, side + 0.03]]))
    assert scene.walkable.islands[cells[0]] != scene.walkable.islands[cells[1]]
    # From all over the first room towards the corner, and onwards: exactly along the diagonal, and beside it.
    rng = np.random.default_rng(4)
    starts = rng.uniform(side - 1, side - 0.05, (200, 3)) * [1, 0, 1]
    starts[:50, 2] = starts[:50, 0]
    aim = np.array([side, 0, side]) - starts
    state = bodies(starts, np.arctan2(-aim[:, 0], -aim[:, 2]), np.zeros(200, int))
    walk(Motion(rooms, STEP, sliding), state, 12)
    assert (state.position[:, [0, 2]].max(1).values < side).all()
    assert state.collided.all()


def walk_by_hand(walkable, smallest_cell, position, heading, sliding):
    """One step of one body in plain numbers; returns where it ends and whether it bumped."""

    def floor_at(x, y, z):
        column = math.floor((x - walkable.origin[0]) / walkable.cell_size)
        row = math.floor((z - walkable.origin[1]) / walkable.cell_size)
        _, rows, columns = walkable.index.shape
        if not (0 <= row < rows and 0 <= column < columns):
            return None
        cells = walkable.index[:, row, column]
        heights = [float(walkable.heights[c]) for c in cells if c >= 0]
        near = [h for h in heights if abs(h - y) <= walkable.body.max_step]
        return min(near, key=lambda h: abs(h - y)) if near else None

    parts = math.ceil(STEP / smallest_cell)
    dx, dz = -math.sin(heading) * STEP / parts, -math.cos(heading) * STEP / parts
    tries = [(dx, dz)]
    if sliding:
        tries += [(dx, 0), (0, dz)] if abs(dx) >= abs(dz) else [(0, dz), (dx, 0)]
    x, y, z = position
    bumped = False
    for _ in range(parts):
        for k, (sx, sz) in enumerate(tries):
            floor = floor_at(x + sx, y, z + sz)
            squeezed = k == 0 and floor_at(x + dx, y, z) is None and floor_at(x, y, z + dz) is None
            if floor is not None and not squeezed:
                x, y, z = x + sx, floor, z + sz
                break
            bumped |= k == 0
    return (x, y, z), bumped


@pytest.mark.parametrize("sliding", [True, False])
def test_agrees_with_a_loop_over_agents(mixed, sliding):
    state, rng = scattered(mixed, 40, seed=3)
    motion = Motion(mixed, STEP, sliding)
    walked = torch.zeros(40)
    off, bumps, collisions = 0, 0, np.zeros(40, int)
    for _ in range(50):
        turn, walking = random_turns_and_walks(rng, 40)
        before, headings = state.position.clone(), state.heading.clone()
        motion.apply(state, command(turn, walking))
        rise_and_run = (state.position - before).double().numpy()
        walked += torch.as_tensor(np.sqrt((rise_and_run**2).sum(-1)), dtype=torch.float32)
        for i in walking.nonzero().squeeze(-1).tolist():
            walkable = mixed.scenes[state.scene[i]].walkable
            start, heading = before[i].tolist(), float(headings[i])
            end, bumped = walk_by_hand(walkable, mixed.smallest_cell, start, heading, sliding)
            same = np.allclose(state.position[i].numpy(), end, atol=1e-4) and bumped == bool(state.collided[i])
            off += not same
            bumps += bumped
            collisions[i] += bool(state.collided[i])
    # On the very border of two cells single and double precision may differ.
    assert off <= 4
    assert bumps > 100
    assert state.collisions.tolist() == collisions.tolist()
    assert torch.allclose(state.path_length, walked, atol=1e-4)
