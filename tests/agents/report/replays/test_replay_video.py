"""Videos as files: every frame in its place, and the heat map of the recurrent state."""

import base64
import io
import sys

import numpy as np
import pytest
from PIL import Image

from batchsim.agents.evaluation.replay import EpisodeReplay
from batchsim.agents.evaluation.saliency import PolicyTrace
from batchsim.agents.report.replays.memory_image import memory_image
from batchsim.agents.report.replays.replay_video import make_video, saliency_image
from batchsim.agents.report.replays.video import FRAMES_PER_SECOND, as_sheet, encode

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")


def numbered(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Frames that show their number as eight bars, white for 1, the highest bit on the left."""
    bits = np.arange(count)[:, None] >> np.arange(7, -1, -1) & 1
    bars = np.repeat(bits * 255, width // 8, 1).astype(np.uint8)
    return np.broadcast_to(bars[:, None, :, None], (count, height, width, 3)).copy()


def number_in(frame: np.ndarray) -> int:
    bars = frame.mean((0, 2)).reshape(8, -1)[:, 2:-2].mean(1) > 127
    return int(bars @ (1 << np.arange(7, -1, -1)))


def test_an_mp4_holds_every_frame_once_and_in_order(tmp_path):
    video = encode(numbered(100))
    assert (video.mime, video.width, video.height, video.columns) == ("video/mp4", 64, 48, 0)
    path = tmp_path / "video.mp4"
    path.write_bytes(video.data)
    reader = imageio_ffmpeg.read_frames(path)
    meta = next(reader)
    found = [number_in(np.frombuffer(frame, np.uint8).reshape(48, 64, 3)) for frame in reader]
    assert found == list(range(100))
    assert (meta["codec"], meta["fps"]) == ("h264", FRAMES_PER_SECOND)


def test_without_ffmpeg_a_sheet_holds_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    video = encode(numbered(100))
    sheet = np.asarray(Image.open(io.BytesIO(video.data)).convert("RGB"))
    assert video.mime == "image/webp"
    for k in range(100):
        row, column = divmod(k, video.columns)
        assert number_in(sheet[48 * row : 48 * row + 48, 64 * column : 64 * column + 64]) == k


def test_a_sheet_grows_no_larger_than_browsers_bear():
    video = as_sheet(np.broadcast_to(np.uint8(90), (200, 512, 768, 3)))
    width, height = Image.open(io.BytesIO(video.data)).size
    assert (video.width, video.height) == (384, 256)
    assert width * height <= 40_000_000
    assert max(width, height) <= 16383


def test_a_video_holds_the_images_where_it_says(tmp_path):
    rng = np.random.default_rng(0)
    depth = np.repeat(rng.integers(1, 256, (1, 4, 4, 1)), 16, 1).repeat(16, 2).repeat(6, 0).astype(np.uint8)
    rgb = np.full((6, 64, 64, 3), (200, 40, 90), np.uint8)
    trace = PolicyTrace({"depth": np.ones((5, 64, 64), np.float32)}, rng.normal(size=(5, 300)).astype(np.float32))
    replay = EpisodeReplay("s", "0", np.full((6, 256, 256, 3), 128, np.uint8), {"depth": depth, "rgb": rgb}, trace)
    made = make_video(replay)
    assert [panel.name for panel in made.panels] == [
        "View",
        "Depth, agent's input",
        "Saliency",
        "Colour, agent's input",
    ]
    areas = np.zeros((made.video.height, made.video.width), int)
    for panel in made.panels:
        areas[panel.top : panel.top + panel.height, panel.left : panel.left + panel.width] += 1
    assert areas.max() == 1  # none lies on another
    assert areas.sum() == sum(panel.width * panel.height for panel in made.panels)
    path = tmp_path / "video.mp4"
    path.write_bytes(made.video.data)
    reader = imageio_ffmpeg.read_frames(path)
    next(reader)
    frame = np.frombuffer(next(reader), np.uint8).reshape(made.video.height, made.video.width, 3)
    view, colour = made.panels[0], made.panels[3]
    for panel, expected in ((view, (128, 128, 128)), (colour, (200, 40, 90))):
        inside = frame[panel.top + 8 : panel.top + panel.height - 8, panel.left + 8 : panel.left + panel.width - 8]
        assert np.abs(inside.mean((0, 1)) - expected).max() < 6
    assert made.units == (96, 300)


def test_heat_lies_where_the_gradient_is_large():
    frames = np.full((3, 32, 32, 1), 100, np.uint8)
    saliency = np.zeros((2, 32, 32), np.float32)
    saliency[0, 5:9, 20:24], saliency[1, 25:29, 3:7] = 1e-6, 1e3  # the scale is each frame's own
    image = saliency_image("depth", frames, saliency).astype(int)
    redness = image[..., 0] - image[..., 2]
    for k, (row, column) in enumerate(((7, 22), (27, 5))):
        assert redness[k, row, column] > 60
        assert np.abs(redness[k, 15, 15]) < 5
    assert (image[2] == image[2, 0, 0]).all()  # nothing is known of the last step


def test_memory_is_sorted_by_its_peaks():
    steps = np.arange(60)
    peaks = np.random.default_rng(1).permutation(np.linspace(5, 55, 12))
    busy = 10 * np.exp(-(((steps[:, None] - peaks) / 4) ** 2))
    idle = np.full((60, 200), 0.3)
    png, rows = memory_image(np.concatenate([idle, busy], 1).astype(np.float32))
    image = np.asarray(Image.open(io.BytesIO(png)).convert("L")).astype(float)
    assert (rows, image.shape) == (96, (96, 60))
    brightest = image.argmax(1)[image.max(1) > image.min(1)]
    assert len(brightest) == 12
    assert (np.diff(brightest) >= 0).all()
    assert np.abs(brightest - np.sort(peaks)).max() <= 2.5


def test_base64_is_that_of_the_file():
    video = encode(numbered(3))
    assert base64.b64decode(video.base64) == video.data
