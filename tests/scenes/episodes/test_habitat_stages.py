"""Episode files of Habitat in stages as they are on disk, without editing either."""

import gzip
import json

import numpy as np
import pytest

from batchsim.scenes import link_goals, load_episodes
from tests.helpers.habitat_files import Z_TO_Y, room_triangles, write_json, write_triangles


@pytest.fixture
def episodes(tmp_path):
    """Six episodes across a room of 10.5 x 10.8 m, in Habitat's frame."""
    entries = [
        {
            "episode_id": str(k),
            "scene_id": "gibson/room.glb",
            "start_position": [3 - 0.1 * k, 0.14, -2.5],
            "start_rotation": [0, 0, 0, 1],
            "goals": [{"position": [-3, 0.14, 2.5 + 0.1 * k], "radius": 0.2}],
            "info": {"geodesic_distance": 7.9},
        }
        for k in range(6)
    ]
    path = tmp_path / "val.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"episodes": entries}).encode()))
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The scenes of `--scenes-dir`: a room with z up that is longer along z, so that a wrong frame shows."""
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path / "cache"))
    scenes = tmp_path / "scenes"
    write_triangles(scenes / "gibson" / "room.glb", room_triangles(6.6, 10.8, 2.2) @ Z_TO_Y)
    return scenes


def check(episodes, folder, name):
    linked, scenes, bad = link_goals(load_episodes(episodes, folder))
    assert bad == []
    assert linked.scene_names == (str(folder / "gibson" / name),) == tuple(scene.name for scene in scenes)
    straight = np.linalg.norm((linked.goal - linked.start_position)[:, [0, 2]], axis=1)
    np.testing.assert_allclose(linked.geodesic_distance, straight, rtol=0.03)


def test_a_glb_without_configuration(episodes, folder):
    check(episodes, folder, "room.glb?habitat=yes")


def test_a_stage_configuration(episodes, folder):
    write_json(
        folder / "gibson" / "room.stage_config.json",
        {"render_asset": "room.glb", "up": [0, 0, 1], "front": [0, 1, 0]},
    )
    check(episodes, folder, "room.stage_config.json")


def test_a_dataset_configuration(episodes, folder):
    stages = {"paths": {".glb": ["*.glb"]}, "default_attributes": {"up": [0, 0, 1], "front": [0, 1, 0]}}
    write_json(folder / "gibson" / "g.scene_dataset_config.json", {"stages": stages})
    check(episodes, folder, "g.scene_dataset_config.json?scene=room")


def test_a_folder_of_links(tmp_path, episodes, folder):
    """Habitat's downloads are linked into the folder of scenes."""
    (folder / "gibson").rename(tmp_path / "gibson-1.0")
    (folder / "gibson").symlink_to(tmp_path / "gibson-1.0")
    check(episodes, folder, "room.glb?habitat=yes")


def test_a_scene_by_its_handle(tmp_path, episodes, folder):
    write_json(folder / "gibson" / "g.scene_dataset_config.json", {"stages": {"paths": {".glb": ["*.glb"]}}})
    document = json.loads(gzip.decompress(episodes.read_bytes()))
    for entry in document["episodes"]:
        entry["scene_id"] = "room"
    episodes.write_bytes(gzip.compress(json.dumps(document).encode()))
    check(episodes, folder, "g.scene_dataset_config.json?scene=room")
