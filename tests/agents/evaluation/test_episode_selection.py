"""What can be run is run, and what cannot is listed with its reason."""

import gzip
import json

import numpy as np
import pytest

from batchsim import scenes
from batchsim.agents.errors import AgentError
from batchsim.agents.evaluation.episode_selection import episodes_of_file, episodes_of_set
from batchsim.scenes import SceneError

FLOOR = "v 0 0 0\nv 4 0 0\nv 4 0 -4\nv 0 0 -4\nf 1 2 3 4\n"
FAR_FLOOR = "v 9 0 0\nv 13 0 0\nv 13 0 -4\nv 9 0 -4\nf 5 6 7 8\n"


@pytest.fixture
def folder(tmp_path):
    """Four files: a floor, another, one that is damaged, and one with two floors that nothing joins."""
    folder = tmp_path / "rooms"
    folder.mkdir()
    for name, text in {"a": FLOOR, "b": FLOOR, "damaged": "f 1 2 x\n", "split": FLOOR + FAR_FLOOR}.items():
        (folder / f"{name}.obj").write_text(text)
    return folder


def entry(scene, number, start=(1.0, 0.0, -1.0), goal=(3.0, 0.0, -3.0)):
    return {
        "episode_id": number,
        "scene_id": f"data/{scene}",
        "start_position": list(start),
        "start_rotation": [0.0, 0.0, 0.0, 1.0],
        "goals": [{"position": list(goal)}],
    }


def write(path, document):
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    return path


def test_a_set_without_faults_is_the_standard_one(folder):
    (folder / "damaged.obj").unlink()
    chosen = episodes_of_set(str(folder), 8)
    standard = scenes.standard_episodes(str(folder), 8)
    assert chosen.left_out == ()
    assert [scene.name for scene in chosen.scenes] == [str(folder / f"{name}.obj") for name in ("a", "b", "split")]
    for name in ("scene_names", "episode_id"):
        assert getattr(chosen.episodes, name) == getattr(standard, name)
    for name in ("scene_index", "start_position", "start_heading", "goal", "goal_index", "geodesic_distance"):
        assert np.array_equal(getattr(chosen.episodes, name), getattr(standard, name))


def test_a_damaged_scene_of_a_folder_leaves_the_others_their_episodes(folder):
    chosen = episodes_of_set(str(folder), 10)
    ran = [
        (chosen.episodes.scene_names[k].rsplit("/")[-1], e)
        for k, e in zip(chosen.episodes.scene_index, chosen.episodes.episode_id, strict=True)
    ]
    assert ran == [
        ("a.obj", "0"),
        ("b.obj", "0"),
        ("split.obj", "0"),
        ("a.obj", "1"),
        ("b.obj", "1"),
        ("split.obj", "1"),
        ("a.obj", "2"),
        ("b.obj", "2"),
    ]
    assert [(out.scene.rsplit("/")[-1], out.episode_id) for out in chosen.left_out] == [
        ("damaged.obj", "0"),
        ("damaged.obj", "1"),
    ]
    assert "damaged.obj" in chosen.left_out[0].reason
    alone = episodes_of_set(str(folder / "a.obj"), 3).episodes
    mine = chosen.episodes.select([k for k, (name, _) in enumerate(ran) if name == "a.obj"])
    assert np.array_equal(mine.start_position, alone.start_position)


def test_bad_episodes_of_a_file_are_left_out(folder, tmp_path):
    entries = [
        entry("a.obj", 1),
        entry("missing.obj", 2),
        entry("damaged.obj", 3),
        entry("split.obj", 4, goal=(11.0, 0.0, -2.0)),
        {**entry("b.obj", 5), "goals": []},
        entry("b.obj", 6, start=(7.0, 0.0, 7.0)),
        entry("a.obj", 7, goal=(2.0, 0.0, -3.5)),
        entry("split.obj", 8),
    ]
    chosen = episodes_of_file(write(tmp_path / "val.json.gz", {"episodes": entries}), folder)
    assert chosen.name == "val"
    assert chosen.episodes.episode_id == ("1", "7", "8")
    assert [scene.name for scene in chosen.scenes] == [str(folder / "a.obj"), str(folder / "split.obj")]
    assert np.array_equal(chosen.episodes.goal, np.array([[3, 0, -3], [2, 0, -3.5], [3, 0, -3]], np.float32))
    reasons = {out.episode_id: out.reason for out in chosen.left_out}
    assert reasons.keys() == {"2", "3", "4", "5", "6"}
    assert "missing.obj" in reasons["2"]
    assert "damaged.obj" in reasons["3"]
    assert "no path to its goal" in reasons["4"]
    assert "malformed" in reasons["5"]
    assert "start is not on walkable floor" in reasons["6"]


def test_the_first_episodes_of_a_file(folder, tmp_path):
    file = write(tmp_path / "val.json.gz", {"episodes": [entry("a.obj", k) for k in range(5)]})
    assert episodes_of_file(file, folder, 2).episodes.episode_id == ("0", "1")


def test_files_that_are_none(folder, tmp_path):
    plain = tmp_path / "plain.json.gz"
    plain.write_text("{}")
    for file, said in (
        (tmp_path / "nowhere.json.gz", "does not exist"),
        (plain, "Not a gzipped file"),
        (write(tmp_path / "list.json.gz", [1]), "not an episode file"),
        (write(tmp_path / "empty.json.gz", {"episodes": []}), "holds no episodes"),
        (write(tmp_path / "bad.json.gz", {"episodes": [entry("c.obj", 1)]}), r"all 1 episodes are bad.*c\.obj"),
    ):
        with pytest.raises(SceneError, match=said):
            episodes_of_file(file, folder)


def test_nothing_is_left(folder, tmp_path):
    with pytest.raises(AgentError, match=r"None of the 3 episodes.*damaged\.obj"):
        episodes_of_set(str(folder / "damaged.obj"), 3)
    file = write(tmp_path / "val.json.gz", {"episodes": [entry("split.obj", 1, goal=(11.0, 0.0, -2.0))]})
    with pytest.raises(AgentError, match=r"none of its 1 episodes.*no path to its goal"):
        episodes_of_file(file, folder)
    with pytest.raises(AgentError, match="episodes is 0; expected 1 to 1,000,000"):
        episodes_of_set("one-room", 0)
    with pytest.raises(AgentError, match="episodes is 0; expected 1 to 1,000,000"):
        episodes_of_file(file, folder, 0)
