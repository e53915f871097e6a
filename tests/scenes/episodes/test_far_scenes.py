"""Episode files of scenes far from the origin: in the file's frame on disk, exact in the scene's."""

import gzip
import json

import numpy as np
import pytest

from batchsim import scenes
from batchsim.scenes import link_goals, load_episodes, sample_episodes, save_episodes

X, Z = 530_000, 5_180_000


@pytest.fixture
def building(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path / "cache"))
    corners = [(0, 0), (8, 0), (8, -8), (0, -8)]
    path = tmp_path / "survey.obj"
    path.write_text("".join(f"v {X + x} 20 {Z + z}\n" for x, z in corners) + "f 1 2 3 4\n")
    return path


def test_a_file_with_survey_coordinates_is_exact(building, tmp_path):
    entry = {
        "episode_id": "0",
        "scene_id": "survey.obj",
        "start_position": [X + 1.0625, 20, Z - 1.0625],
        "start_rotation": [0, 0, 0, 1],
        "goals": [{"position": [X + 5.0625, 20, Z - 4.0625]}],
    }
    (tmp_path / "e.json.gz").write_bytes(gzip.compress(json.dumps({"episodes": [entry]}).encode()))
    linked, loaded, bad = link_goals(load_episodes(tmp_path / "e.json.gz", tmp_path))
    assert bad == []
    assert loaded[0].offset == (X + 4, 0, Z - 4)
    np.testing.assert_array_equal(linked.start_position[0], [1.0625 - 4, 20, 4 - 1.0625])
    assert linked.geodesic_distance[0] == pytest.approx(5, rel=0.02)
    save_episodes(linked, tmp_path / "f.json.gz")
    saved = json.loads(gzip.decompress((tmp_path / "f.json.gz").read_bytes()))["episodes"][0]
    assert saved["start_position"] == entry["start_position"]
    assert saved["goals"][0]["position"] == entry["goals"][0]["position"]


def test_sampled_episodes_survive_a_file(building, tmp_path):
    scene = scenes.load(building, num_goals=8)
    sampled = sample_episodes([scene], 5)
    save_episodes(sampled, tmp_path / "e.json.gz")
    linked, _, bad = link_goals(load_episodes(tmp_path / "e.json.gz", tmp_path), [scene])
    assert bad == []
    np.testing.assert_allclose(linked.start_position, sampled.start_position, atol=1e-6)
    np.testing.assert_array_equal(linked.goal_index, sampled.goal_index)
