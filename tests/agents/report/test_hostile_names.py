"""Names from files and folders stay text in a real browser."""

from __future__ import annotations

import json

import numpy as np
import pytest

from batchsim import scenes
from batchsim.agents.evaluation.replay import EpisodeReplay
from batchsim.agents.evaluation.results import MEASURES, EpisodeRecord, Evaluation, LeftOut
from batchsim.agents.report import ReportedRun, write_report
from batchsim.agents.report.templating import visible
from tests.helpers.browser import needs_browser, open_browser

NAMES = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "' onmouseover='window.hacked = 1' x='",
    "<svg/onload=window.hacked=1>",
    "{{ 7 * 7 }}{% raw %}",
    "<!-- <script>",
    "]]>&lt;b&gt;&amp;",
    "javascript:window.hacked=1",
    "gnp.\u202eexe\u2066report",
    "line\r\nbreak\x00\x1b[31m",
    "\u2028\u2029 end",
    "العربية و English",
]
EXPECTED_BIDI = "gnp.[U+202E]exe[U+2066]report"


@pytest.fixture(scope="module")
def report(tmp_path_factory, one_room):
    scene = one_room
    records = []
    for number, name in enumerate(NAMES):
        measures = dict.fromkeys(MEASURES, 0.5) | {"success": float(number % 2), name: 1.0}
        path = [[0.1 * step, 0.0, 0.0] for step in range(4)]
        records.append(EpisodeRecord(name, name, 3.0, [1.0, 0.0, 1.0], measures, path, [0.0] * 4, [1] * 3))
    left_out = tuple(LeftOut(name, name, name) for name in NAMES)
    measures = (*MEASURES, NAMES[0], NAMES[2])
    records = [
        EpisodeRecord(
            r.scene, r.episode_id, 3.0, r.goal, dict.fromkeys(measures, 0.5) | r.measures, r.path, r.headings, r.actions
        )
        for r in records
    ]
    evaluations = [Evaluation(name, NAMES[1], 0, tuple(records), measures, left_out) for name in NAMES[:6]]
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    config = {"scenes": NAMES[1], NAMES[0]: NAMES[2], "list": NAMES}
    log = [{"frames": 100.0 * k, "success": 0.1 * k, NAMES[0]: k} for k in range(1, 9)]
    runs = [
        ReportedRun(one, log, config, [EpisodeReplay(NAMES[0], NAMES[0], frames)] if k == 0 else ())
        for k, one in enumerate(evaluations)
    ]
    known = dict.fromkeys(NAMES[:9], scene)
    return write_report(tmp_path_factory.mktemp("hostile") / "report.html", runs, known, title=NAMES[1])


@needs_browser
def test_hostile_names_stay_text_in_a_browser(report):
    with open_browser() as browser:
        browser.open(report)
        assert browser.run("document.title") == NAMES[1]
        assert browser.run("document.querySelector('h1').textContent") == NAMES[1]
        agents = browser.run("[...document.querySelectorAll('.comparison tbody th')].map(e => e.textContent.trim())")
        assert agents == [visible(name).strip() for name in NAMES[:6]]
        shown = browser.run("[...document.querySelectorAll('.card .name')].map(e => e.title)")
        # Browsers normalise line ends in attributes.
        assert sorted(shown) == sorted(visible(name) for name in NAMES)
        assert EXPECTED_BIDI in shown
        reasons = browser.run("[...document.querySelectorAll('.left-out td:last-child')].map(e => e.textContent)")
        assert reasons == [visible(name) for name in NAMES]
        assert json.loads(browser.run("document.querySelector('pre').textContent").replace("[U+", "<U+"))
        for number in range(len(NAMES)):
            browser.run(f"document.querySelector('[data-episode=\"{number}\"]').click()")
            title = browser.run("document.querySelector('#player-title').textContent")
            assert title in {visible(name) for name in NAMES}
            assert len(browser.run("[...document.querySelectorAll('#runs button')].map(b => b.textContent)")) == 6
        # Nothing but the report's own markup exists (the player has one image), and nothing has run.
        own = 'img[alt="Goal image"]:not([src]):not([onerror]):not([onload])'
        assert browser.run(f"document.querySelectorAll('{own}').length") == 1
        others = f"img:not({own}), iframe".replace("'", "")
        assert browser.run(f"document.querySelectorAll('{others}, object, embed, [onerror], [onload]').length") == 0
        assert browser.run("[...document.querySelectorAll('script')].filter(s => !s.type).length") == 1
        assert browser.run("typeof window.hacked") == "undefined"
        assert browser.errors == []
        assert {url.split(":")[0] for url in browser.requests} <= {"file", "data", "blob"}


@needs_browser
def test_the_policy_of_the_page_forbids_other_scripts(report):
    with open_browser() as browser:
        browser.open(report)
        browser.run(
            "(() => { const e = document.createElement('script'); e.textContent = 'window.hacked = 1';"
            " document.body.append(e); const i = document.createElement('img'); i.src = 'http://localhost:9/x.png';"
            " i.setAttribute('onerror', 'window.hacked = 1'); document.body.append(i); })()"
        )
        browser.page.wait_for_timeout(200)
        assert browser.run("typeof window.hacked") == "undefined"
        assert any("Content Security Policy" in error for error in browser.errors)


def test_control_characters_are_written_out() -> None:
    assert visible("a\u202eb\u200f\x07\x85") == "a[U+202E]b[U+200F][U+0007][U+0085]"
    assert visible("tab\tand\nline, naïve, 日本, العربية, 👩‍🚀") == "tab\tand\nline, naïve, 日本, العربية, 👩‍🚀"


def test_scene_files_with_hostile_names_make_a_report(tmp_path) -> None:
    triangles = np.array([[[0, 0, 0], [0, 0, 4], [5, 0, 4]], [[0, 0, 0], [5, 0, 4], [5, 0, 0]]], np.float32)
    scene = scenes.bake(scenes.Mesh.from_triangles(triangles), NAMES[2], num_goals=2)
    record = EpisodeRecord(scene.name, "0", 1.0, scene.goals[0].tolist(), dict.fromkeys(MEASURES, 0.0))
    report = write_report(tmp_path / "r.html", [ReportedRun(Evaluation("a", "s", 0, (record,)))], {scene.name: scene})
    text = report.read_text(encoding="utf-8")
    assert "<img" not in text.replace('<img alt="Goal image">', "")
    assert "&lt;img src=x" in text
