"""Keeps one array in memory for equal textures of different scenes: generated homes share most of theirs."""

from __future__ import annotations

import weakref
from hashlib import blake2b

import numpy as np

_textures: weakref.WeakValueDictionary[bytes, np.ndarray] = weakref.WeakValueDictionary()


def shared_texture(texture: np.ndarray) -> np.ndarray:
    """Returns an array equal to `texture`: one that was passed before and is still in use, or `texture` itself."""
    key = blake2b(texture.tobytes(), digest_size=16, person=str(texture.shape).encode()[:16]).digest()
    return _textures.setdefault(key, texture)
