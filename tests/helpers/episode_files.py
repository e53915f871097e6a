"""Writes episode files by hand, and compares episode sets."""

import gzip
import json

import numpy as np

from batchsim.scenes import EpisodeSet


def assert_same(a: EpisodeSet, b: EpisodeSet, **tolerance):
    assert (a.scene_names, a.episode_id) == (b.scene_names, b.episode_id)
    for name in ("scene_index", "start_position", "start_heading", "goal", "geodesic_distance", "goal_radius"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), err_msg=name, **(tolerance or {"rtol": 0}))


def entry(scene_id="gibson/A.obj", **changes):
    return {
        "episode_id": 7,
        "scene_id": scene_id,
        "start_position": [1.0, 0.0, -1.0],
        # A quarter turn to the left, as a quaternion x, y, z, w.
        "start_rotation": [0.0, 0.5**0.5, 0.0, 0.5**0.5],
        "goals": [{"position": [3.0, 0.0, -3.0], "radius": 0.2}],
        "info": {"geodesic_distance": 2.83},
    } | changes


def write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = document if isinstance(document, str) else json.dumps(document)
    path.write_bytes(gzip.compress(text.encode()))
    return path
