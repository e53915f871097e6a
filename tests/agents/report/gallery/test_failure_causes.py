"""Causes of failure, of paths made for each."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from batchsim import scenes
from batchsim.agents.evaluation.results import MEASURES, EpisodeRecord, Evaluation
from batchsim.agents.report import ReportedRun, write_report
from batchsim.agents.report.gallery.episode_gallery import draw_episodes
from batchsim.agents.report.gallery.failure_causes import (
    CIRCLES,
    NEVER_SEEN,
    ON_THE_WAY,
    OTHER,
    STOPPED,
    STUCK,
    count_causes,
)
from batchsim.agents.report.gallery.fog import AgentView, FogMap
from batchsim.agents.report.gallery.maps import draw_map
from tests.helpers.browser import needs_browser, open_browser

GOAL = (9.0, 0.0, 1.0)


@pytest.fixture(scope="module")
def scene():
    """A room of 10 x 8 m that a wall at x = 6 cuts in two, but for z > 6."""

    def quad(a, b, c, d):
        return [[a, b, c], [a, c, d], [c, b, a], [d, c, a]]

    triangles = [[[0, 0, 0], [0, 0, 8], [10, 0, 8]], [[0, 0, 0], [10, 0, 8], [10, 0, 0]]]
    for x0, z0, x1, z1 in ((0, 0, 10, 0), (10, 0, 10, 8), (10, 8, 0, 8), (0, 8, 0, 0), (6, 0, 6, 6)):
        triangles += quad([x0, 0, z0], [x1, 0, z1], [x1, 2.5, z1], [x0, 2.5, z0])
    return scenes.bake(scenes.Mesh.from_triangles(np.array(triangles, np.float32)), "halves", num_goals=4)


def failed(corners, count=60, headings=None, actions=None) -> EpisodeRecord:
    """Along `corners` (x, z) in `count` equal steps, looking ahead unless told otherwise."""
    corners = np.array(corners, float)
    along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))]
    at = np.linspace(0, along[-1], count + 1)
    path = np.stack([np.interp(at, along, corners[:, 0]), np.zeros(count + 1), np.interp(at, along, corners[:, 1])], 1)
    ahead = np.diff(path, axis=0, append=path[-1:])
    looks = np.arctan2(-ahead[:, 0], -ahead[:, 2]) if headings is None else np.full(count + 1, headings)
    measures = dict.fromkeys(MEASURES, 0.0) | {"distance_to_goal": 3.0}
    return EpisodeRecord(
        "halves", "0", 9.0, list(GOAL), measures, path.tolist(), looks.tolist(), actions or [1] * count
    )


EAST = -math.pi / 2
ROUND = [(1, 1), (3, 1), (3, 3), (1, 3)] * 4
CASES = {
    STOPPED: failed([(1, 1), (3, 1)], actions=[1] * 59 + [0]),
    STUCK: failed([(1, 1), (5.8, 1), *[(5.8, 1)] * 2], headings=EAST),
    ON_THE_WAY: failed([(1, 1), (1, 5), (6, 7), (8, 5)]),
    CIRCLES: failed(ROUND),
    NEVER_SEEN: failed([(4, 6), (2, 6), (2, 4), (5, 4), (5, 1), (1, 1)], headings=math.pi / 2),
    OTHER: failed([(1, 7), (5, 7), (8, 5), (8, 3), (9, 7), (7, 7)]),
}
# Stuck: the way to the wall in a third of the time, then against it.
stuck = CASES[STUCK]
stuck.path[20:] = [[5.8, 0.0, 1.0]] * len(stuck.path[20:])


@pytest.mark.parametrize("cause", CASES, ids=lambda cause: cause.key)
def test_each_cause_is_recognised(scene, cause) -> None:
    evaluation = Evaluation("a", "s", 0, (CASES[cause],))
    drawn = draw_episodes([evaluation], {"halves": scene}, 10, AgentView())
    assert list(drawn.causes.values()) == [cause]


@needs_browser
def test_the_report_counts_causes_and_shows_their_episodes(scene, tmp_path) -> None:
    chosen = [STOPPED, CIRCLES, STOPPED]
    records = tuple(replace(CASES[cause], episode_id=str(k)) for k, cause in enumerate(chosen))
    report = write_report(tmp_path / "r.html", [ReportedRun(Evaluation("a", "s", 0, records))], {"halves": scene})
    with open_browser() as browser:
        browser.open(report)
        rows = browser.run("[...document.querySelectorAll('.causes tbody tr')].map(r => r.innerText.trim())")
        assert [row.split("\t") for row in rows] == [
            ["Stopped short", "2", "3.00 m"],
            ["Went round in circles", "1", "3.00 m"],
        ]
        for cause in (STOPPED, CIRCLES):
            browser.run(f"document.querySelector('[data-filter={cause.key}]').click()")
            shown = "[...document.querySelectorAll('.card:not([hidden]) .cause')].map(c => c.textContent)"
            assert browser.run(shown) == [cause.title] * chosen.count(cause)
        browser.run("document.querySelector('[data-filter=all]').click()")
        assert browser.run("document.querySelectorAll('.card:not([hidden])').length") == 3
        assert browser.errors == []


def test_successes_have_no_cause(scene) -> None:
    record = failed([(1, 1), (3, 1)])
    record.measures["success"] = 1.0
    drawn = draw_episodes([Evaluation("a", "s", 0, (record,))], {"halves": scene}, 10, AgentView())
    assert drawn.causes == {}


def test_counts_leave_out_what_did_not_occur() -> None:
    records = [replace(record, episode_id=str(k)) for k, record in enumerate([CASES[STOPPED], failed(ROUND)] * 2)]
    records[1].measures["distance_to_goal"] = 5.0
    found = {records[0].key: STOPPED, records[1].key: CIRCLES, records[2].key: STOPPED}
    counts = count_causes(records, found, {records[0].key}, {records[0].key: 10, records[2].key: 20})
    assert [(each.cause, each.count, each.distance) for each in counts] == [(STOPPED, 2, 3.0), (CIRCLES, 1, 5.0)]
    assert [(each.shown, each.last_chance) for each in counts] == [(1, 15.0), (0, None)]


def test_failures_that_are_not_shown_count_too(scene) -> None:
    records = tuple(replace(CASES[cause], episode_id=str(k)) for k, cause in enumerate([STOPPED, CIRCLES, STOPPED]))
    drawn = draw_episodes([Evaluation("a", "s", 0, records)], {"halves": scene}, 1, AgentView())
    assert len(drawn.runs) == 1
    assert sorted(cause.key for cause in drawn.causes.values()) == ["circles", "stopped", "stopped"]


def test_how_much_of_the_surroundings_of_a_point_is_seen(scene) -> None:
    fog_map = FogMap(draw_map(scene), AgentView(hfov=90.0, reach=10.0))
    goal = np.array(GOAL)

    def share(x, z, heading, radius=2.0):
        return fog_map.share_seen(np.array([[x, 0.0, z]]), np.array([heading]), goal, radius)

    assert share(8, 7, 0.0) > 0.9  # ahead, through free space
    assert share(8, 7, math.pi) == 0.0  # behind
    assert share(2, 1, EAST) == 0.0  # behind the wall
    assert share(5.5, 5.0, EAST) < 0.1  # the wall hides it
    assert 0.05 < share(8, 3, 0.0, 3.0) < 0.95  # a look to one side
