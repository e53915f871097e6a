"""The report's player in a real browser: images, map and charts move together, in all themes and widths."""

import io
import json

import numpy as np
import pytest
from PIL import Image

import batchsim.agents.report.replays.replay_video
from batchsim.agents.evaluation.replay import EpisodeReplay
from batchsim.agents.evaluation.results import MEASURES, EpisodeRecord, Evaluation
from batchsim.agents.evaluation.saliency import PolicyTrace
from batchsim.agents.report import ReportedRun, write_report
from batchsim.agents.report.replays.video import as_sheet
from tests.helpers.browser import needs_browser, open_browser

pytestmark = needs_browser

STEPS = 120
# Reads the number that the frames show as eight bars off the first image.
NUMBER = """(() => {
  const canvas = document.querySelector('#views canvas');
  const { width, height } = canvas;
  const data = canvas.getContext('2d').getImageData(0, height / 2, width, 1).data;
  let number = 0;
  for (let bar = 0; bar < 8; bar++) number = 2 * number + (data[4 * Math.floor((bar + 0.5) * width / 8)] > 127);
  return number;
})()"""


def numbered_replay(scene: str, episode: str, traced: bool) -> EpisodeReplay:
    bits = np.arange(STEPS + 1)[:, None] >> np.arange(7, -1, -1) & 1
    frames = np.repeat(bits * 255, 16, 1).astype(np.uint8)
    view = np.broadcast_to(frames[:, None, :, None], (STEPS + 1, 128, 128, 3))
    depth = np.full((STEPS + 1, 64, 64, 1), 80, np.uint8)
    rng = np.random.default_rng(0)
    trace = PolicyTrace({"depth": rng.random((STEPS, 64, 64)).astype(np.float32)}, rng.normal(size=(STEPS, 40)))
    return EpisodeReplay(scene, episode, view, {"depth": depth}, trace if traced else None)


@pytest.fixture(scope="module")
def evaluation(one_room):
    angle = np.linspace(0, 2, STEPS + 1)
    path = np.stack([2 * np.cos(angle), 0 * angle, 2 * np.sin(angle)], 1)
    records = []
    for k in range(3):
        measures = dict.fromkeys(MEASURES, 0.5) | {"success": float(k == 2), "distance_to_goal": 1.0 + k}
        goal = [2.0, 0.0, 1.0 + k]
        headings = (-angle).tolist()
        records.append(EpisodeRecord(one_room.name, str(k), 3.0, goal, measures, path.tolist(), headings, [1] * STEPS))
    return Evaluation("runs/x", "one-room", 0, tuple(records))


@pytest.fixture(params=["mp4", "sheet"])
def report(request, tmp_path, evaluation, one_room, monkeypatch):
    if request.param == "mp4":
        pytest.importorskip("imageio_ffmpeg")
    else:
        monkeypatch.setattr(batchsim.agents.report.replays.replay_video, "encode", as_sheet)
    replays = [numbered_replay(one_room.name, str(k), traced=k == 0) for k in (0, 1)]
    return write_report(tmp_path / "r.html", [ReportedRun(evaluation, replays=replays)], {one_room.name: one_room})


@pytest.fixture
def browser():
    with open_browser() as browser:
        yield browser


def play(browser, number: int) -> None:
    browser.run(f"document.querySelector('[data-episode=\"{number}\"]').click()")


def card_of(report, episode: str) -> int:
    plays = report.read_text(encoding="utf-8").split('id="episode-data">')[1].split("</script>")[0]
    return next(i for i, one in enumerate(json.loads(plays)) if one["episode"] == episode)


def test_the_images_are_those_of_the_step(report, browser):
    browser.open(report)
    play(browser, card_of(report, "0"))
    browser.wait("views.dataset.step > 3")  # it plays by itself, and the map with it
    for step in (0, 37, 119, 120, 64, 63):
        browser.run(f"step.value = {step}; step.dispatchEvent(new Event('input'))")
        browser.wait(f"views.dataset.step === '{step}'")
        assert browser.run(NUMBER) == step
        assert browser.run("document.querySelector('#count').textContent") == f"{step} of {STEPS}"
        needle = browser.run("document.querySelector('#memory .cursor').getAttribute('x1')")
        assert float(needle) == pytest.approx(300 * step / STEPS)
    browser.run("step.value = 10; step.dispatchEvent(new Event('input'))")
    browser.wait("views.dataset.step === '10'")
    browser.run("document.querySelector('#play').click()")
    for _ in range(5):
        shown, number, mapped = browser.run(f"[Number(views.dataset.step), {NUMBER}, Number(step.value)]")
        assert shown == number
        assert shown <= mapped
    browser.wait("Number(views.dataset.step) > 25")
    browser.run("document.querySelector('#play').click()")
    browser.wait("views.dataset.step === step.value")
    assert browser.run(NUMBER) == browser.run("Number(step.value)")
    assert browser.errors == []


def test_the_arrow_looks_where_the_record_says(report, browser, evaluation):
    browser.open(report)
    play(browser, card_of(report, "0"))
    for step in (0, 30, 120):
        browser.run(f"step.value = {step}; step.dispatchEvent(new Event('input'))")
        told = browser.run("document.querySelector('#scene .agent').getAttribute('transform')")
        angle = np.radians(float(told.split("rotate(")[1].rstrip(")")))
        heading = evaluation.records[0].headings[step]
        # On the map x points right and z down; heading 0 looks along -z.
        assert np.allclose([np.cos(angle), np.sin(angle)], [-np.sin(heading), -np.cos(heading)], atol=0.01)


def test_fog_lifts_as_the_episode_goes_on(report, browser):
    browser.open(report)
    play(browser, card_of(report, "1"))
    shares = []
    for step in (0, 60, STEPS):
        browser.run(f"step.value = {step}; step.dispatchEvent(new Event('input'))")
        shares.append(_fogged(browser))
    assert shares[0] > shares[1] + 0.02
    assert shares[1] > shares[2] + 0.02


def _fogged(browser) -> float:
    """The share of the map's pixels that the fog, made red for the test, covers."""
    browser.run(
        "document.documentElement.style.setProperty('--fog', 'rgb(255 0 255)');"
        "document.querySelectorAll('#scene path, #scene circle').forEach((e) => { e.style.display = 'none'; })"
    )
    box = browser.run("(({ x, y, width, height }) => ({ x, y, width, height }))(scene.getBoundingClientRect())")
    shot = browser.page.screenshot(clip=box)
    image = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
    return float(((image[..., 0] > 200) & (image[..., 1] < 60) & (image[..., 2] > 200)).mean())


def test_episodes_without_video_play_as_well(report, browser):
    browser.open(report)
    play(browser, card_of(report, "2"))
    assert not browser.run("playback.classList.contains('with-video')")
    assert browser.run("getComputedStyle(views).display") == "none"
    browser.wait("Number(step.value) > 2")
    play(browser, card_of(report, "1"))
    browser.wait("views.dataset.step > 2")
    assert browser.run("document.querySelectorAll('#views canvas').length") == 2
    assert browser.run("memory.hidden || getComputedStyle(memory).display === 'none'")  # without a trace
    browser.run("document.querySelector('#close').click()")
    assert not browser.run("player.open")
    assert browser.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 380])
def test_everything_fits_in_every_theme_and_width(tmp_path, evaluation, one_room, scheme, width):
    replays = [numbered_replay(one_room.name, "0", traced=True)]
    report = write_report(tmp_path / "r.html", [ReportedRun(evaluation, replays=replays)], {one_room.name: one_room})
    with open_browser(width, 800, color_scheme=scheme, is_mobile=width < 600) as browser:
        browser.open(report)
        assert browser.run("document.documentElement.scrollWidth") <= width
        brightness = browser.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)")
        assert (np.mean([int(value) for value in brightness]) > 128) == (scheme == "light")
        play(browser, card_of(report, "0"))
        browser.wait("views.dataset.step > 1")
        boxes = browser.run(
            "[...document.querySelectorAll('#scene, #views canvas, #progress, #memory, #facts dd, .player footer > *')]"
            ".map(e => e.getBoundingClientRect()).map(r => [r.left, r.right, r.width])"
        )
        for left, right, wide in boxes:
            assert 0 <= left <= right <= width
            assert wide > 0
        assert browser.run("player.scrollWidth <= player.clientWidth")
        assert browser.errors == []
