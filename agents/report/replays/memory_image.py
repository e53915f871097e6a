"""A policy's recurrent state over time, as a heat map."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from scipy.ndimage import gaussian_filter1d

from batchsim.agents.report.images import palette_png

_MAX_ROWS = 96
_COLORS = 32


def memory_image(memory: np.ndarray) -> tuple[bytes, int]:
    """Draw the recurrent state as a heat map with one column per step.

    The rows are the units with the largest variance, each scaled from its minimum to its maximum, and sorted by the
    step of the maximum: early above, late below.

    Args:
        memory: The recurrent state after each step, float `[steps, S]`.

    Returns:
        A palette PNG, and its number of rows.
    """
    units = memory[:, np.argsort(-memory.std(0), kind="stable")[:_MAX_ROWS]].T
    low, high = units.min(1, keepdims=True), units.max(1, keepdims=True)
    shades = (units - low) / np.maximum(high - low, 1e-9)
    # Smoothed for sorting only, so that a single spike does not decide a unit's place.
    shades = shades[np.argsort(gaussian_filter1d(shades, 4.0, axis=1).argmax(1), kind="stable")]
    levels = np.round(shades * (_COLORS - 1)) / (_COLORS - 1)
    image = (255 * colormaps["viridis"](levels)[..., :3]).astype(np.uint8)
    return palette_png(image), len(image)
