"""What the agent has seen, against straight lines between points."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from batchsim import scenes
from batchsim.agents.evaluation.results import EpisodeRecord
from batchsim.agents.report.gallery.fog import NEVER, AgentView, FogMap, fog_of, section
from batchsim.agents.report.gallery.maps import draw_map

WIDTH, DEPTH, GAP = 6.0, 4.0, 3.0  # metres; a wall at x = 3 leaves z > GAP open
WALLS = [
    *(((0, 0), (WIDTH, 0)), ((WIDTH, 0), (WIDTH, DEPTH)), ((WIDTH, DEPTH), (0, DEPTH)), ((0, DEPTH), (0, 0))),
    ((3, 0), (3, GAP)),
]
TABLE = ((1.0, 1.0), (2.0, 2.0))  # 0.7 m high: one looks over it


@pytest.fixture(scope="module")
def scene():
    def quad(a, b, c, d):
        return [[a, b, c], [a, c, d]]

    triangles = quad([0, 0, 0], [0, 0, DEPTH], [WIDTH, 0, DEPTH], [WIDTH, 0, 0])
    for (x0, z0), (x1, z1) in WALLS:
        both = quad([x0, 0, z0], [x1, 0, z1], [x1, 2.5, z1], [x0, 2.5, z0])
        triangles += both + [side[::-1] for side in both]
    (x0, z0), (x1, z1) = TABLE
    triangles += quad([x0, 0.7, z0], [x0, 0.7, z1], [x1, 0.7, z1], [x1, 0.7, z0])
    return scenes.bake(scenes.Mesh.from_triangles(np.array(triangles, np.float32)), "walled", num_goals=4)


@pytest.fixture(scope="module")
def image(scene):
    return draw_map(scene)


def crosses(a, b, c, d):
    """Whether the segments a-b and c-d, [..., 2] each, cross."""

    def side(p, q, r):
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])

    return (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)


def test_a_section_is_made_of_the_walls(scene):
    lines = section(scene, 1.25)
    lengths = np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1)
    # Each wall shows from both sides.
    assert lengths.sum() == pytest.approx(2 * (2 * WIDTH + 2 * DEPTH + GAP), rel=1e-5)
    walls = np.array(WALLS, float)
    for middle in lines.mean(1):
        along = np.clip(((middle - walls[:, 0]) * (walls[:, 1] - walls[:, 0])).sum(1), 0, None)
        share = np.clip(along / ((walls[:, 1] - walls[:, 0]) ** 2).sum(1), 0, 1)[:, None]
        assert np.linalg.norm(walls[:, 0] + share * (walls[:, 1] - walls[:, 0]) - middle, axis=1).min() < 1e-5
    assert len(section(scene, 0.35)) == len(lines)  # the table is a board without legs


@pytest.mark.parametrize(("place", "heading"), [((4.5, 2.0), 0.4), ((1.5, 3.5), -1.2), ((3.4, 3.6), 1.9)])
def test_cells_are_seen_along_straight_lines(image, place, heading):
    view = AgentView(hfov=80.0, eye_height=1.25, reach=3.5)
    fog_map = FogMap(image, view)
    seen = fog_map.first_seen(np.array([[place[0], 0.0, place[1]]]), np.array([heading])) == 0
    rows, columns = np.indices(fog_map.shape)
    metres = np.stack([columns + 0.5, rows + 0.5], -1) * 4 / image.plan.pixels_per_metre + image.plan.origin
    eye, walls = np.array(place), np.array(WALLS, float)
    hidden = np.zeros(fog_map.shape, bool)
    for wall in walls:
        hidden |= crosses(np.broadcast_to(eye, metres.shape), metres, wall[0], wall[1])
    gap = metres - eye
    distance = np.linalg.norm(gap, axis=-1)
    turn = np.arctan2(-gap[..., 0], -gap[..., 1]) - heading
    turn = np.abs(np.arctan2(np.sin(turn), np.cos(turn)))
    expected = ~hidden & (distance < view.reach) & (turn < np.radians(40))
    # Cells beside a wall, or on the edge of what can be seen, may go either way.
    inside = (metres > 0.25).all(-1) & (metres < [WIDTH - 0.25, DEPTH - 0.25]).all(-1)
    inside &= ~((np.abs(metres[..., 0] - 3) < 0.35) & (metres[..., 1] < GAP + 0.3))
    clear = inside & (np.abs(distance - view.reach) > 0.15) & (np.abs(turn - np.radians(40)) * distance > 0.15)
    clear &= distance > 0.3
    # The wall ends somewhere in a cell of 10 cm; its shadow's edge is the less certain the farther away.
    end = np.array([3.0, GAP]) - eye
    off = np.abs(gap[..., 0] * end[1] - gap[..., 1] * end[0]) / np.linalg.norm(end)
    clear &= (off > 0.15 * np.maximum(distance / np.linalg.norm(end), 1)) | ((gap * end).sum(-1) < 0)
    assert clear.sum() > 500
    assert (seen == expected)[clear].all()
    assert 30 < expected[clear].sum() < 0.9 * clear.sum()


def test_the_image_tells_since_when(image):
    fog_map = FogMap(image, AgentView())
    path = [[4.5 - 0.1 * k, 0.0, 3.5] for k in range(31)]
    record = EpisodeRecord("walled", "0", 3.0, [0, 0, 0], {}, path, [np.pi / 2] * 31, [1] * 30)
    shade = np.asarray(Image.open(io.BytesIO(base64.b64decode(fog_of(fog_map, record).split(",")[1]))))
    first = fog_map.first_seen(np.array(path), np.full(31, np.pi / 2))
    assert shade.shape == fog_map.shape
    assert ((shade == NEVER) == (first < 0)).all()
    for step in (0, 7, 30):
        # What the page shows as seen at `step`.
        assert ((shade <= 254 * step // 30) == ((first >= 0) & (first <= step))).all()
    assert {0, -1} < set(first.ravel().tolist())
    unknown = EpisodeRecord("walled", "0", 3.0, [0, 0, 0], {}, path)
    assert fog_of(fog_map, unknown) == ""
