import json

import pytest

from batchsim.scenes_cli import main
from tests.helpers.habitat_files import Z_TO_Y, room_triangles, write_json, write_triangles

FLOOR = "v 0 0 0\nv 4 0 0\nv 4 0 -4\nv 0 0 -4\nvt 0 0\nmtllib gone.mtl\nusemtl red\nf 1/1 2/1 3/1 4/1\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path / "cache"))
    scans = tmp_path / "scans"
    (scans / "below").mkdir(parents=True)
    (scans / "below" / "floor.obj").write_text(FLOOR)
    (scans / "damaged.obj").write_text("v 0 0 0\nf 1 2 3\n")
    return scans


def test_a_folder_with_a_damaged_file(folder, capfd):
    assert main(["check", str(folder), "--workers", "1"]) == 1
    text = capfd.readouterr().out
    row = next(line for line in text.splitlines() if "below/floor.obj" in line).split()
    # Scene, readable, triangles, textures, missing files, floors, area, islands, objects, labels, seconds.
    assert row[1:6] == ["yes", "2", "0", "1", "1"]
    assert float(row[6]) == pytest.approx(3.8**2, abs=0.5)
    assert row[7:9] == ["1", "1"]
    assert "damaged.obj" in text
    assert "2 scenes, 1 broken." in text
    assert main(["check", str(folder), "--workers", "1", "--json"]) == 1
    found = json.loads(capfd.readouterr().out)
    good, bad = found["scenes"]
    assert found["broken"] == 1
    assert good["cached"]
    assert good["missing_files"] == ["gone.mtl"]
    assert not bad["readable"]
    assert bad["error"].startswith(str(folder / "damaged.obj"))
    # A broken scene leaves nothing in the cache.
    assert len(list((folder.parent / "cache").rglob("*.scene"))) == 1


def test_a_habitat_dataset(folder, capfd):
    """Of two scene instances one names a stage that does not exist."""
    write_triangles(folder / "room.glb", room_triangles(4, 3, 2.5) @ Z_TO_Y)
    write_json(folder / "ok.scene_instance.json", {"stage_instance": {"template_name": "room"}})
    write_json(folder / "bad.scene_instance.json", {"stage_instance": {"template_name": "hall"}})
    dataset = {"stages": {"paths": {".glb": ["."]}}, "scene_instances": {"paths": {".json": ["."]}}}
    write_json(folder / "a.scene_dataset_config.json", dataset)
    assert main(["check", str(folder), "--workers", "1", "--json"]) == 1
    bad, good = json.loads(capfd.readouterr().out)["scenes"]
    assert "bad.scene_instance.json: the stage 'hall' is not in" in bad["error"]
    assert good["readable"]
    assert good["triangles"] == 12


def test_unknown_folder_is_bad_input(tmp_path, capfd):
    assert main(["check", str(tmp_path / "none")]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1
