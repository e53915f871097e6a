"""An episode file of Habitat, with the stage that it names as it is on disk, from the command line."""

import gzip
import json

import pytest

from batchsim.agents.eval import main
from tests.helpers.habitat_files import Z_TO_Y, room_triangles, write_triangles


def test_the_oracle_walks_all_episodes(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path / "cache"))
    write_triangles(tmp_path / "scenes" / "gibson" / "room.glb", room_triangles(10.5, 10.8, 2.2) @ Z_TO_Y)
    entries = [
        {
            "episode_id": str(k),
            "scene_id": "data/scene_datasets/gibson/room.glb",
            "start_position": [3 - 0.1 * k, 0.1449, -2.5],
            "start_rotation": [0, 0, 0, 1],
            "goals": [{"position": [-3, 0.1449, 2.5 + 0.1 * k], "radius": 0.2}],
            "info": {"geodesic_distance": 7.9},
        }
        for k in range(6)
    ]
    file = tmp_path / "val.json.gz"
    file.write_bytes(gzip.compress(json.dumps({"episodes": entries}).encode()))
    folder, out = str(tmp_path / "scenes"), str(tmp_path / "out")
    with pytest.raises(SystemExit) as ended:
        main(["oracle", "--episodes-file", str(file), "--scenes-dir", folder, "--out", out, "--json"])
    assert ended.value.code == 0
    found = json.loads(capfd.readouterr().out)
    assert found["left_out"] == []
    (scene,) = found["per_scene"].values()
    assert scene["episodes"] == 6
    assert scene["success"] == 1
    assert scene["spl"] == pytest.approx(1, abs=0.06)
