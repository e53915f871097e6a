"""Encodes frames as one file that a browser can show at any step: H.264 if ffmpeg is available, else a sheet."""

from __future__ import annotations

import base64
import io
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

FRAMES_PER_SECOND = 15
# Short distance between key frames, because the player seeks often.
_KEYFRAME_EVERY = 30
# x264's constant rate factor by number of frames (lower is better), to limit the size of long videos.
_CRF = ((150, 27), (300, 29), (10**9, 33))
# A third of the CPU time of "slow", for files of the same size.
_PRESET = "veryfast"
_SHEET_QUALITY = 60
_MAX_SHEET = 16383  # pixels per side, WebP's limit
_MAX_PIXELS = 40_000_000  # of a sheet, which browsers keep decoded


@dataclass(frozen=True)
class Video:
    """A video file, or a sheet of frames.

    Attributes:
        data: The file's content.
        mime: Its MIME type.
        width: Width of a frame, pixels.
        height: Height of a frame, pixels.
        columns: Frames in a row of a sheet. 0 for a video, in which frame k is shown from k to k + 1 in units of
            1 / `FRAMES_PER_SECOND` s.
    """

    data: bytes
    mime: str
    width: int
    height: int
    columns: int = 0

    @property
    def base64(self) -> str:
        """The file in base64."""
        return base64.b64encode(self.data).decode("ascii")


def encode(frames: np.ndarray) -> Video:
    """Encode `frames`, uint8 `[T, H, W, 3]` with even H and W.

    The result is an MP4 if imageio-ffmpeg (extra `report`) is installed, and otherwise a WebP sheet, which is larger.
    """
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):  # not installed, or no binary for this platform
        return as_sheet(frames)
    return as_mp4(frames)


def as_mp4(frames: np.ndarray) -> Video:
    """Encode as H.264, which all browsers play."""
    import imageio_ffmpeg

    count, height, width, _ = frames.shape
    crf = next(crf for most, crf in _CRF if count <= most)
    quality = ["-crf", str(crf), "-preset", _PRESET, "-g", str(_KEYFRAME_EVERY), "-bf", "2", "-movflags", "+faststart"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        writer = imageio_ffmpeg.write_frames(
            path,
            (width, height),
            fps=FRAMES_PER_SECOND,
            codec="libx264",
            quality=None,
            macro_block_size=2,
            ffmpeg_log_level="error",
            output_params=quality,
        )
        writer.send(None)
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
        writer.close()
        return Video(path.read_bytes(), "video/mp4", width, height)


def as_sheet(frames: np.ndarray) -> Video:
    """Encode all frames, row by row, in one WebP image; half the resolution if that would be too large."""
    count, height, width, _ = frames.shape
    columns = min(max(1, round(math.sqrt(count * height / width))), _MAX_SHEET // width)
    rows = -(-count // columns)
    if rows * height > _MAX_SHEET or rows * columns * height * width > _MAX_PIXELS:
        return as_sheet(frames[:, ::2, ::2])
    sheet = np.zeros((rows * columns, height, width, 3), np.uint8)
    sheet[:count] = frames
    tiled = sheet.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    out = io.BytesIO()
    Image.fromarray(tiled).save(out, "WEBP", quality=_SHEET_QUALITY, method=4)
    return Video(out.getvalue(), "image/webp", width, height, columns)
