from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from batchsim import scenes
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.results import MEASURES, EpisodeRecord, Evaluation, LeftOut
from batchsim.agents.report import ReportedRun, write_report
from batchsim.agents.report.formatting import STYLES, as_changes, duration, short_number, style_of
from batchsim.agents.report.gallery.drawing import path_data, simplify, view_of
from batchsim.agents.report.gallery.episode_choice import choose_episodes, choose_replays
from batchsim.agents.report.gallery.maps import draw_map
from batchsim.agents.report.plots.charts import nice_ticks
from batchsim.agents.report.plots.curves import resampled, thin_out
from batchsim.agents.report.plots.distances import bin_edges, binned
from batchsim.scenes.maps.top_down import OUTSIDE, TopDownMap
from tests.helpers.browser import needs_browser, open_browser

VOID = {"meta", "link", "input", "br", "image", "use", "path", "circle", "line", "img", "wbr"}


class Page(HTMLParser):
    """Checks that elements nest, and keeps what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, **wanted):
        return [
            (tag, attributes)
            for tag, attributes in self.elements
            if all(attributes.get(name.rstrip("_").replace("_", "-")) == value for name, value in wanted.items())
        ]


def walk(corners: np.ndarray, share: float) -> np.ndarray:
    """Along `corners` in steps of 0.25 m, given up after `share` of the way."""
    along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))]
    steps = np.arange(0, share * along[-1] + 1e-6, 0.25)
    return np.stack([np.interp(steps, along, corners[:, k]) for k in range(3)], 1)


def episode(name: str, number: int, goal: np.ndarray, path: np.ndarray, distance: float, left: float) -> EpisodeRecord:
    walked = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    success = float(left < 0.3)
    soft = max(0.0, 1 - left / distance) * distance / max(distance, walked)
    measures = {
        "success": success,
        "spl": success * distance / max(distance, walked),
        "soft_spl": soft,
        "distance_to_goal": left,
        "collisions": float(number % 3),
        "episode_length": float(len(path) - 1),
        "reward": 2.5 * success + distance - left,
    }
    moves = np.diff(path, axis=0)
    headings = np.arctan2(-moves[:, 0], -moves[:, 2]) if len(moves) else np.zeros(0)
    headings = [0.3, *headings.tolist()]
    return EpisodeRecord(name, str(number), distance, goal.tolist(), measures, path.tolist(), headings)


@pytest.fixture(scope="module")
def scene():
    """A room of 5 x 4 m that a wall cuts in two but for a gap."""

    def slab(x0: float, z0: float, x1: float, z1: float, y: float) -> list:
        a, b, c, d = [x0, y, z0], [x0, y, z1], [x1, y, z1], [x1, y, z0]
        return [[a, b, c], [a, c, d]]

    def wall(x0: float, z0: float, x1: float, z1: float) -> list:
        a, b, c, d = [x0, 0, z0], [x1, 0, z1], [x1, 2.5, z1], [x0, 2.5, z0]
        return [[a, b, c], [a, c, d], [c, b, a], [d, c, a]]

    outside = [wall(0, 0, 5, 0), wall(5, 0, 5, 4), wall(5, 4, 0, 4), wall(0, 4, 0, 0)]
    triangles = np.concatenate([slab(0, 0, 5, 4, 0), *outside, wall(2.5, 0, 2.5, 3)]).astype(np.float32)
    return scenes.bake(scenes.Mesh.from_triangles(triangles), "divided", num_goals=8)


@pytest.fixture(scope="module")
def evaluations(scene) -> list[Evaluation]:
    rng = np.random.default_rng(0)
    agents: dict[str, list[EpisodeRecord]] = {"runs/<b>&me": [], "greedy": [], "random": []}
    for number in range(20):
        name = "elsewhere" if number % 7 == 6 else "divided"  # the former has no map
        start, goal = scene.sample_navigable(1, rng)[0], scene.goals[number % len(scene.goals)]
        corners = scene.shortest_path(start, goal)
        shares = (rng.uniform(0.1, 0.8) if number % 2 else 1.0, 0.6 if number % 4 else 1.0, 0.2)
        paths = [walk(corners, share) for share in shares]
        distance, *left = scene.geodesic_distance(np.stack([start, *(path[-1] for path in paths)]), goal).tolist()
        for records, path, rest in zip(agents.values(), paths, left, strict=True):
            records.append(episode(name, number, goal, path, distance, rest))
    lost = (LeftOut("homes:val/<9>", "7", "The file is damaged."),)
    return [Evaluation(agent, "homes:val", 0, tuple(records), left_out=lost) for agent, records in agents.items()]


@pytest.fixture(scope="module")
def log() -> list[dict]:
    lines = [
        {"frames": 1000 * i, "seconds": float(i), "fps": 1000.0, "success": i / 500, "entropy": 1.4 - i / 1000}
        for i in range(1, 401)
    ]
    lines[0]["success"] = None
    lines[7]["entropy"] = float("nan")
    del lines[9]["fps"]
    return lines


CONFIG = {"preset": "quickstart", "env": {"scenes": "homes:train?count=4", "width": 64}, "note": "</script><b>"}


@pytest.fixture(scope="module")
def report(tmp_path_factory, evaluations, scene, log):
    path = tmp_path_factory.mktemp("report") / "deep" / "report.html"
    first, *others = evaluations
    runs = [ReportedRun(first, log, CONFIG), *(ReportedRun(other) for other in others)]
    return write_report(path, runs, {scene.name: scene}, gallery=12)


@pytest.fixture(scope="module")
def page(report) -> Page:
    return Page(report.read_text(encoding="utf-8"))


def test_the_table_holds_the_figures_of_the_evaluations(page, evaluations) -> None:
    for measure in MEASURES:
        cells = page.all(data_measure=measure)
        assert len(cells) == len(evaluations)
        for (_, attributes), evaluation in zip(cells, evaluations, strict=True):
            figure = evaluation.summary()[measure]
            assert float(attributes["data-value"]) == figure["mean"]
            style = STYLES[measure]
            assert style.text(figure["mean"]) in page.texts
            assert style.range_text(*figure["ci95"]) in page.texts


def test_the_best_of_each_measure_is_marked(page, evaluations) -> None:
    for measure in MEASURES:
        means = [evaluation.summary()[measure]["mean"] for evaluation in evaluations]
        marked = {float(attributes["data-value"]) for _, attributes in page.all(data_measure=measure, class_="best")}
        best = {1: max(means), -1: min(means)}
        assert marked == ({best[STYLES[measure].better]} if STYLES[measure].better else set())


def test_the_head_says_what_was_trained_and_how_well(page, evaluations) -> None:
    (_, attributes), *rest = page.all(class_="number")
    assert float(attributes["data-value"]) == evaluations[0].summary()["success"]["mean"]
    assert not rest
    for text in ("homes:train?count=4", "400k", "6 min 40 s", "1,000", "runs/<b>&me on homes:val"):
        assert text in page.texts
    assert "2 unseen scenes, homes:val" in page.texts


def test_the_page_is_whole_and_loads_nothing(report, page) -> None:
    text = report.read_text(encoding="utf-8")
    assert "http://" not in text
    assert "https://" not in text
    assert not re.search(r"url\((?!#)|@import|srcset", text)
    for tag, attributes in page.elements:
        for name in ("src", "href", "data", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    links = {attributes["href"] for tag, attributes in page.elements if tag == "use"}
    assert {link[1:] for link in links} <= set(identifiers)
    # Names from outside stay text.
    assert "<b>&me" in page.texts
    assert "&me" not in page.texts


def test_per_scene_table(page, evaluations) -> None:
    texts = [text.strip() for text in page.texts]
    for name, means in evaluations[0].per_scene().items():
        assert name in texts
        assert str(means["episodes"]) in texts
        assert STYLES["success"].text(means["success"]) in texts


def test_maps_are_shared_between_cards(report, page) -> None:
    maps = [attributes for tag, attributes in page.elements if attributes.get("id", "").startswith("map-")]
    cards = [attributes for tag, attributes in page.elements if tag == "li"]
    assert len(maps) == 1
    assert len(cards) == 12
    assert report.stat().st_size < 400_000


def test_a_map_file_has_the_pixels_of_the_map(scene) -> None:
    map_image = draw_map(scene)
    image = np.asarray(Image.open(io.BytesIO(map_image.png)).convert("RGBA"))
    outside = (map_image.plan.image == OUTSIDE).all(-1)
    assert 0 < outside.mean() < 0.5
    assert ((image[..., 3] == 0) == outside).all()
    assert (image[~outside][:, :3] == map_image.plan.image[~outside]).all()


def test_only_what_matters_of_a_map_is_shown() -> None:
    two = TopDownMap(np.zeros((40, 120, 3), np.uint8), np.array([0.0, 2.8]), 10.0, np.zeros(2), 60)
    assert view_of(two, np.array([[10, 20], [40, 30]])) == (0, 0, 60, 40)
    assert view_of(two, np.array([[70, 20.0]])) == (60, 0, 60, 40)
    assert view_of(two, np.array([[10, 20], [70, 20]])) == (0, 0, 120, 40)
    large = TopDownMap(np.zeros((400, 1120, 3), np.uint8), np.array([0.0, 2.8]), 10.0, np.zeros(2), 560)
    assert view_of(large, np.array([[600, 200], [710, 210.0]])) == pytest.approx((585, 152.5, 140, 105))


def summed(changes: list[float | None]) -> np.ndarray:
    """What was written as changes since the known number before, as numbers again; NaN where nothing is known."""
    values = np.array(changes, float)
    return np.where(np.isnan(values), np.nan, np.nancumsum(values))


def test_numbers_written_as_changes_do_not_drift() -> None:
    values = np.random.default_rng(0).normal(0, 30, 1000)
    assert np.abs(summed(as_changes(values.tolist(), 10)) / 10 - values).max() <= 0.0501
    assert as_changes([1.0, None, None, 1.5, 1.5], 100) == [100, None, None, 50, 0]


def test_played_data_is_the_path_on_the_map(page, scene, evaluations) -> None:
    data = next(text for text in page.texts if text.startswith('[{"scene"'))
    plays = json.loads(data)
    by_episode = [{(r.scene, r.episode_id): r for r in evaluation.records} for evaluation in evaluations]
    map_image = draw_map(scene)
    for play in plays:
        assert [run["agent"] for run in play["runs"]] == [evaluation.agent for evaluation in evaluations]
        for run, records in zip(play["runs"], by_episode, strict=True):
            record = records[play["scene"], play["episode"]]
            points = np.stack((summed(run["x"]) / 10, summed(run["y"]) / 10), -1)
            progress = summed(run["progress"]) / 100
            assert len(points) == len(record.path) == len(progress)
            assert run["outcome"] == ("success" if record.measures["success"] else "failure")
            assert np.allclose(summed(run["headings"]) / 100, record.headings, atol=0.0051)
            if play["map"] is not None:
                expected = map_image.plan.to_pixel(np.array(record.path))
                assert np.abs(points - expected).max() <= 0.051
                assert progress[-1] == pytest.approx(record.measures["distance_to_goal"], rel=0.01, abs=0.006)
    assert {play["map"] for play in plays} == {0, None}


def test_worst_failures_come_first_and_successes_spread(evaluations) -> None:
    records = evaluations[0].records
    choice = choose_episodes(evaluations[0], 12)
    chosen = [records[i] for i in choice.chosen]
    outcome = [record.measures["success"] for record in chosen]
    assert outcome == [0.0] * 6 + [1.0] * 6
    failures = sorted(r.measures["soft_spl"] for r in records if not r.measures["success"])
    assert [r.measures["soft_spl"] for r in chosen[:6]] == failures[:6]
    successes = sorted(r.measures["spl"] for r in records if r.measures["success"])
    shown = [r.measures["spl"] for r in chosen[6:]]
    assert (shown[0], shown[-1]) == (successes[0], successes[-1])
    assert shown == sorted(shown)
    assert len(set(choice.chosen)) == 12
    assert sorted(choose_episodes(evaluations[0], 1000).chosen) == list(range(len(records)))


def test_distance_bins_hold_every_episode_once(evaluations) -> None:
    evaluation = evaluations[0]
    distance = np.array([record.start_distance for record in evaluation.records])
    edges = bin_edges(distance)
    assert edges == sorted(set(edges))
    assert (edges[0] <= distance.min()) & (distance.max() < edges[-1])
    values = binned(evaluation, "success", edges)
    success = evaluation.values("success")
    for k, triple in enumerate(values):
        inside = (distance >= edges[k]) & (distance < edges[k + 1])
        assert triple[1] == success[inside].mean()
        assert triple[0] <= triple[1] <= triple[2]
    assert bin_edges(np.array([3.2, 3.2])) == [3.0, 4.0]


def test_curves_are_thinned_by_means_of_what_is_known() -> None:
    x = np.arange(1.0, 9.0)
    ends, (y,) = thin_out(x, [np.array([0, 2, np.nan, 4, np.nan, np.nan, 6, 8])], most=4)
    assert ends == [2.0, 4.0, 6.0, 8.0]
    assert y == [1.0, 4.0, None, 7.0]


def test_simplified_paths_stay_close() -> None:
    rng = np.random.default_rng(0)
    path = rng.normal(size=(300, 2)).cumsum(0)
    thin = simplify(path, 1.5)
    assert len(thin) < len(path)
    a, b = thin[:-1, None], thin[1:, None]
    share = np.clip(((path - a) * (b - a)).sum(-1) / ((b - a) ** 2).sum(-1), 0, 1)
    assert np.linalg.norm(path - a - share[..., None] * (b - a), axis=-1).min(0).max() <= 1.5 + 1e-9
    assert path_data(np.array([[0, 0], [1, 0], [50, 0], [51, 0]]), 30) == "M0.0,0.0 1.0,0.0M50.0,0.0 51.0,0.0"


def test_numbers_as_people_write_them() -> None:
    assert [short_number(v) for v in (0, 0.1234, 12, 999.4, 999600, 3276800, 2.5e9, -1500)] == [
        *("0", "0.123", "12", "999", "1M", "3.28M", "2.5G", "−1.5k"),
    ]
    assert [duration(v) for v in (41, 552, 8040, 273600, 3600)] == [
        "41 s",
        "9 min 12 s",
        "2 h 14 min",
        "3 d 4 h",
        "1 h",
    ]
    assert STYLES["reward"].text(-0.001) == "0.00"
    assert STYLES["distance_to_goal"].text(float("inf")) == "–"
    assert nice_ticks(0, 0.83) == [0, 0.25, 0.5, 0.75, 1.0]
    assert nice_ticks(-3.1, 6.2) == [-5, -2.5, 0, 2.5, 5, 7.5]


def test_videos_of_the_worst_of_near_misses_and_of_successes(evaluations) -> None:
    evaluation = evaluations[0]
    chosen = [record.measures for record in choose_replays(evaluation, 10)]
    failures = [record.measures for record in evaluation.records if not record.measures["success"]]
    assert [m["success"] for m in chosen] == [0.0] * 6 + [1.0] * 4
    worst = sorted(failures, key=lambda m: (m["soft_spl"], -m["distance_to_goal"]))
    assert chosen[:4] == worst[:4]
    assert chosen[4:6] == sorted(worst[4:], key=lambda m: m["distance_to_goal"])[:2]
    everything = choose_replays(evaluation, 1000)
    assert sorted(r.episode_id for r in everything) == sorted(r.episode_id for r in evaluation.records)
    assert choose_replays(evaluation, 0) == []


def test_curves_of_several_runs_share_their_axis() -> None:
    x = np.linspace(0, 100, 11)
    shown = resampled(np.array([20.0, 40.0, 60.0]), np.array([1.0, np.nan, 3.0]), x)
    assert shown == [None, None, 1.0, 1.5, 2.0, 2.5, 3.0, None, None, None, None]


def test_several_trained_runs(tmp_path, evaluations, scene, log) -> None:
    rival = [{**line, "success": 0.5} for line in log[:200]]
    runs = [ReportedRun(evaluations[0], log, CONFIG), ReportedRun(evaluations[1], rival, {"preset": "other"})]
    page = Page(write_report(tmp_path / "r.html", runs, {scene.name: scene}, gallery=2).read_text(encoding="utf-8"))
    charts = [json.loads(attributes["data-chart"]) for _, attributes in page.elements if "data-chart" in attributes]
    success = charts[0]
    assert [line["name"] for line in success["lines"]] == ["runs/<b>&me", "greedy"]
    known = [value for value in success["lines"][1]["y"] if value is not None]
    assert set(known) == {0.5}
    assert success["lines"][1]["y"][-1] is None  # its log ends earlier
    assert success["x"][-1] == 400_000
    assert "runs/<b>&me and greedy on homes:val" in page.texts
    assert any('"preset": "other"' in text for text in page.texts)


def test_what_was_left_out_is_listed(page) -> None:
    for text in ("homes:val/<9>", "The file is damaged.", "1 episode could not be run; no result counts it."):
        assert text in page.texts


def other_task(measures: list[dict[str, float]], scene, names: tuple[str, ...]) -> Evaluation:
    start = scene.goals[0]
    path = walk(scene.shortest_path(start, scene.goals[1]), 1.0)
    records = [
        EpisodeRecord("divided", str(k), float("inf"), start.tolist(), each, path.tolist(), [0.0] * len(path))
        for k, each in enumerate(measures)
    ]
    return Evaluation("runs/x", "homes:val", 0, tuple(records), names)


def test_tasks_without_goal_show_their_own_measures(tmp_path, scene) -> None:
    counted = {"collisions": 0.0, "episode_length": 20.0, "reward": 1.0}
    values = [3.0, 1.0, 2.0]
    measures = [{"distance_from_start": value, "flee_ratio": value / 4, "novelty": 7.0, **counted} for value in values]
    flee = other_task(measures, scene, ("distance_from_start", "flee_ratio", "novelty", *counted))
    page = Page(write_report(tmp_path / "r.html", [ReportedRun(flee)], {scene.name: scene}).read_text(encoding="utf-8"))
    (_, number), *_ = page.all(class_="number")
    assert float(number["data-value"]) == 2.0
    assert "Novelty" in page.texts
    assert not page.all(id="distance")
    assert not page.all(data_filter="all")
    assert not page.all(class_="goal")
    cards = [json.loads(attributes["data-values"]) for tag, attributes in page.elements if tag == "li"]
    assert [card["distance_from_start"] for card in cards] == [1.0, 2.0, 3.0]  # the worst first
    (play, *_) = json.loads(next(text for text in page.texts if text.startswith('[{"scene"')))
    assert (play["goal"], play["counted"]) == (None, "m from the start")
    path = np.array(flee.records[0].path)
    walked = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    progress = summed(play["runs"][0]["progress"]) / 100
    assert progress[0] == 0
    assert progress[-1] == pytest.approx(walked, rel=0.03)
    assert style_of("novelty").text(7.0) == "7.00"


def test_explored_cells_are_counted_as_one_counts_them(tmp_path, scene) -> None:
    counted = {"collisions": 0.0, "episode_length": 20.0, "reward": 1.0}
    explore = other_task([{"cells_visited": 3.0, **counted}], scene, ("cells_visited", *counted))
    page = Page(
        write_report(tmp_path / "r.html", [ReportedRun(explore)], {scene.name: scene}).read_text(encoding="utf-8")
    )
    (play,) = json.loads(next(text for text in page.texts if text.startswith('[{"scene"')))
    cells, expected = set(), []
    for x, _, z in explore.records[0].path:
        cells.add((int(np.floor(x)), int(np.floor(z))))
        expected.append(len(cells) - 1)
    assert (summed(play["runs"][0]["progress"]) / 100).tolist() == expected
    assert expected[-1] >= 2


def test_little_is_enough(tmp_path, evaluations) -> None:
    bare = EpisodeRecord("x", "0", 3.0, [0.0, 0.0, 0.0], {**dict.fromkeys(MEASURES, 0.0)})
    alone = [ReportedRun(Evaluation("a", "s", 0, (bare,)))]
    page = Page(write_report(tmp_path / "r.html", alone, {}).read_text(encoding="utf-8"))
    assert "The only episode. Click an episode to play it." in page.texts
    runs = [ReportedRun(each, [{"frames": 100, "success": 0.5}]) for each in evaluations]
    Page(write_report(tmp_path / "r.html", runs, {}, gallery=0).read_text(encoding="utf-8"))
    with pytest.raises(AgentError, match="at least one evaluation"):
        write_report(tmp_path / "r.html", [], {})
    with pytest.raises(AgentError, match="'a' has no episodes"):
        write_report(tmp_path / "r.html", [ReportedRun(Evaluation("a", "s", 0, ()))], {})


@needs_browser
def test_in_a_browser(report) -> None:
    with open_browser() as browser:
        browser.open(report)
        order = "[...document.querySelectorAll('.card')].map(c => %s)"
        rank, start = order % "Number(c.dataset.rank)", order % "JSON.parse(c.dataset.values).start"
        ranks = browser.run(rank)
        assert ranks == sorted(ranks)
        browser.run("sort.value = 'start'; sort.dispatchEvent(new Event('change'))")
        distances = browser.run(start)
        assert distances == sorted(distances, reverse=True)
        assert browser.run(rank) != ranks
        browser.run("document.querySelector('#direction').click()")
        assert browser.run(start) == distances[::-1]

        browser.run("document.querySelector('[data-filter=failure]').click()")
        assert (
            browser.run("[...document.querySelectorAll('.card:not([hidden])')].map(c => c.dataset.outcome)")
            == ["failure"] * 6
        )

        played = "JSON.parse(document.querySelector('#episode-data').textContent)"
        lengths = browser.run(f"{played}.map(episode => episode.runs[0].x.length)")
        browser.run(f"document.querySelector('[data-episode=\"{np.argmax(lengths)}\"]').click()")
        assert browser.run("player.open")
        position = "document.querySelector('#scene .agent').getAttribute('transform')"
        browser.run("step.value = 0; step.dispatchEvent(new Event('input'))")  # a short episode may be over by now
        first = browser.run(position)
        browser.run("document.querySelector('#play').click()")
        browser.wait(f"{position} !== {json.dumps(first)}")
        browser.run("step.value = step.max; step.dispatchEvent(new Event('input'))")
        shown = browser.run("document.querySelector('#count').textContent")
        assert shown == "{0} of {0}".format(browser.run("step.max"))
        browser.run("document.querySelectorAll('#runs button')[2].click()")
        assert browser.run("document.querySelectorAll('#runs button')[2].ariaPressed") == "true"
        browser.run("document.querySelector('#next').click()")

        before = browser.run("getComputedStyle(document.body).backgroundColor")
        browser.run("theme.click()")
        assert browser.run("getComputedStyle(document.body).backgroundColor") != before

        browser.run("document.querySelectorAll('.scenes th')[1].click()")
        counts = browser.run(
            "[...document.querySelectorAll('.scenes tbody tr')].map(r => +r.children[1].dataset.value)"
        )
        assert counts == sorted(counts, reverse=True)

        assert browser.errors == []
        assert {url.split(":")[0] for url in browser.requests} <= {"file", "data"}
