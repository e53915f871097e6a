import numpy as np
import pytest
import trimesh

from batchsim import scenes
from batchsim.scenes import LABELS, SceneError
from batchsim.scenes.sources.worlds import build_world

# Volume enclosed, by hand: rooms and the passages between them.
ROOM, PASSAGE = 6 * 6 * 2.74, 2 * 2 * 2.2
VOLUMES = {
    "one-room": 10 * 10 * 2.74,
    "four-rooms": 4 * ROOM + 4 * PASSAGE,
    "maze": 64 * 3 * 3 * 2.74 + 63 * 3 * 0.25 * 2.74,
}


@pytest.fixture(scope="module", params=VOLUMES)
def world(request):
    return request.param, build_world(request.param)


def test_worlds_are_closed_and_face_inwards(world):
    name, mesh = world
    corners = mesh.triangles.reshape(-1, 3)
    solid = trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3))
    solid.merge_vertices()
    assert solid.is_watertight, "neighbours share every corner, so no ray slips through"
    assert solid.volume == pytest.approx(-VOLUMES[name], rel=1e-5)


def test_textures_tile_the_surfaces_in_metres(world):
    _, mesh = world
    assert {LABELS[label] for label in mesh.labels} == {"floor", "ceiling", "wall"}
    assert all(texture.shape == (128, 128, 3) for texture in mesh.textures)
    # Texture area over surface area: 1 m a repeat on floors and walls, 2 m on ceilings.
    a, b = (mesh.triangles[:, i] - mesh.triangles[:, 0] for i in (1, 2))
    area = np.linalg.norm(np.cross(a, b), axis=1)
    p, q = (mesh.uvs[:, i] - mesh.uvs[:, 0] for i in (1, 2))
    covered = np.abs(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])
    ceiling = mesh.labels == LABELS.index("ceiling")
    np.testing.assert_allclose((covered / area)[~ceiling], 1, rtol=1e-4)
    np.testing.assert_allclose((covered / area)[ceiling], 0.25, rtol=1e-4)


def test_textures_are_not_mirrored_and_upright(world):
    _, mesh = world
    wall = mesh.labels == LABELS.index("wall")
    edges, turns = (mesh.triangles[:, 1:] - mesh.triangles[:, :1])[wall], (mesh.uvs[:, 1:] - mesh.uvs[:, :1])[wall]
    np.testing.assert_allclose(turns[..., 1], -edges[..., 1], atol=1e-4)
    # Seen from inside, u grows to the right where v grows down: the turn from u to v is clockwise.
    assert (turns[:, 0, 0] * turns[:, 1, 1] - turns[:, 0, 1] * turns[:, 1, 0] < 0).all()


def test_the_same_every_time():
    np.testing.assert_array_equal(build_world("maze").triangles, build_world("maze").triangles)
    np.testing.assert_array_equal(build_world("maze").textures[2], build_world("maze").textures[2])


def test_four_rooms_are_joined_in_a_ring():
    scene = scenes.load("four-rooms", num_goals=8)
    assert scene.walkable.islands.max() == 0
    # Straight through the opening at x from -5 to -3.
    assert scene.geodesic_distance([-4, 0, -4], [-4, 0, 4]) == pytest.approx(8, abs=0.1)
    # To the room across: a string around the inner corners (1, -3) and (3, -1), each grown by the radius of 0.1 m.
    leg = np.sqrt(26)
    turn = np.pi / 4 - (np.arctan2(1, 5) - np.arcsin(0.1 / leg))
    taut = 2 * np.sqrt(leg**2 - 0.01) + np.sqrt(8) + 2 * 0.1 * turn
    assert scene.geodesic_distance([-4, 0, -4], [4, 0, 4]) == pytest.approx(taut, rel=0.01)


def test_maze_joins_all_rooms_by_a_tree():
    scene = scenes.load("maze", num_goals=8)
    centres = np.array([[c * 3.25 + 1.5, 0, r * 3.25 + 1.5] for r in range(8) for c in range(8)])
    assert scene.is_navigable(centres).all()
    assert np.isfinite(scene.geodesic_distance(centres, centres[0])).all()
    # Neighbouring rooms are open to each other in exactly 63 places.
    middle = [(a + b) / 2 for a in centres for b in centres if abs(np.linalg.norm(a - b) - 3.25) < 0.1]
    assert scene.is_navigable(np.array(middle)).sum() == 2 * 63


def test_unknown_world():
    with pytest.raises(SceneError, match="'one-room', 'four-rooms', 'maze'"):
        build_world("two-rooms")
