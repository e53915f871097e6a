"""Conversion between sRGB and linear light (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np


def srgb_to_linear(value: np.ndarray | list) -> np.ndarray:
    """Converts sRGB in [0, 1] to linear light."""
    value = np.asarray(value, np.float64)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(value: np.ndarray | list) -> np.ndarray:
    """Converts linear light in [0, 1] to sRGB."""
    value = np.asarray(value, np.float64)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * np.maximum(value, 1e-9) ** (1 / 2.4) - 0.055)


def unit_range(colors: np.ndarray) -> np.ndarray:
    """Converts colours of any component type to float32 in [0, 1]; integers are divided by their largest value."""
    if colors.dtype.kind in "ui":
        return np.clip(colors.astype(np.float32) / np.iinfo(colors.dtype).max, 0, 1)
    return np.clip(colors.astype(np.float32), 0, 1)
