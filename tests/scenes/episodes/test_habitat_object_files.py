"""Habitat's ObjectNav and InstanceImageNav files: written and read back, and a file made from Habitat's field names."""

import gzip
import json

import numpy as np
import pytest

from batchsim import NavVectorEnv
from batchsim.scenes import (
    SceneError,
    bake,
    link_object_goals,
    load_object_episodes,
    sample_episodes,
    save_object_episodes,
)
from batchsim.scenes.episodes import episode_json
from batchsim.scenes.episodes.habitat_object_files import holds_objects
from batchsim.scenes.homes import generate_home
from batchsim.tasks import InstanceImageNav, ObjectNav
from tests.helpers import episode_files as files


@pytest.fixture(scope="module")
def home(cache_of_this_session):
    from batchsim import scenes

    return scenes.load("homes:train/3", num_goals=8)


@pytest.mark.parametrize("task", [ObjectNav(), InstanceImageNav(image_size=16)])
def test_what_is_written_is_read_again(task, home, tmp_path):
    _, episodes = task.prepare([home], sample_episodes([home], 12))
    save_object_episodes(episodes, [home], tmp_path / "val.json.gz")
    loaded = load_object_episodes(tmp_path / "val.json.gz")
    again, fitted, bad = link_object_goals(loaded, [home])
    assert bad == []
    assert again.episode_id == episodes.episode_id
    np.testing.assert_array_equal(again.start_position, episodes.start_position)
    np.testing.assert_allclose(again.start_heading, episodes.start_heading, atol=1e-6)
    np.testing.assert_allclose(again.geodesic_distance, episodes.geodesic_distance, rtol=1e-3)
    np.testing.assert_allclose(again.goal, episodes.goal, atol=1e-5)
    sensors = ("depth",) if task.goal_image else ()
    options = {"task": task, "sensors": sensors, "renderer": "raycast", "width": 8, "height": 8, "device": "cpu"}
    envs = [
        NavVectorEnv(12, scenes, episodes=part, **options) for scenes, part in (([home], episodes), (fitted, again))
    ]
    first, second = (env.reset(seed=0)[0] for env in envs)
    for name in ("objectgoal", "gps", "compass"):
        if name in first:
            np.testing.assert_allclose(first[name], second[name])
    np.testing.assert_allclose(*(env.simulator.state.task["distance"] for env in envs), rtol=1e-3, atol=1e-3)
    for env in envs:
        env.close()


def write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(document).encode()))


def view(x, z):
    return {"agent_state": {"position": [x, 0.0, z], "rotation": [0, 0, 0, 1]}, "iou": 1.02}


def challenge_files(tmp_path, scene_id="hm3d_v0.2/minival/00800-TEEsavR23oF/TEEsavR23oF.basis.glb"):
    """A data set with the field names of the challenge's val_mini, around the room of a home."""
    positions = bake(generate_home(3).mesh, "TEEsavR23oF", num_goals=4).walkable.positions
    near, far = positions[100], positions[5000]
    ids = {"chair": 0, "bed": 1, "plant": 2, "toilet": 3, "tv_monitor": 4, "sofa": 5}
    head = {"category_to_task_category_id": ids, "category_to_scene_annotation_category_id": ids}
    goal = {
        **{"position": near.tolist(), "radius": None, "object_id": 16, "object_name": "bed_16", "object_name_id": 3},
        **{"object_category": "bed", "room_id": 1, "room_name": None},
        "view_points": [view(float(near[0]), float(near[2])), view(500.0, 0.0)],
    }
    episode = {
        **{"episode_id": "0", "scene_id": scene_id, "scene_dataset_config": "", "additional_obj_config_paths": []},
        **{"start_position": far.tolist(), "start_rotation": [0, 1, 0, 0], "goals": [], "start_room": None},
        "info": {"geodesic_distance": 3.0, "euclidean_distance": 2.0, "closest_goal_object_id": 16},
        **{"shortest_paths": None, "object_category": "bed"},
    }
    write(tmp_path / "val_mini.json.gz", {"episodes": []} | head)
    content = {"episodes": [episode], "goals_by_category": {f"{scene_id.rsplit('/', 1)[-1]}_bed": [goal]}} | head
    write(tmp_path / "content" / "TEEsavR23oF.json.gz", content)
    return tmp_path / "val_mini.json.gz", content, near


def test_a_challenge_file_names_the_scene_that_is_missing(tmp_path):
    path, _, _ = challenge_files(tmp_path)
    with pytest.raises(SceneError, match=r"TEEsavR23oF\.basis\.glb.*is a file; say in which folder|scene_folder"):
        load_object_episodes(path)
    (tmp_path / "scenes").mkdir()
    with pytest.raises(SceneError, match=r"TEEsavR23oF\.basis\.glb' is not in"):
        load_object_episodes(path, tmp_path / "scenes")
    bad = []
    with pytest.raises(SceneError, match="All 1 are bad"):
        load_object_episodes(path, tmp_path / "scenes", bad)
    assert bad[0].episode_id == "0"


def test_a_challenge_file_is_run_in_its_scene(tmp_path):
    path, _, near = challenge_files(tmp_path)
    scene = bake(generate_home(3).mesh, "TEEsavR23oF", num_goals=4)
    folder = tmp_path / "scenes" / "hm3d_v0.2" / "minival" / "00800-TEEsavR23oF"
    folder.mkdir(parents=True)
    (folder / "TEEsavR23oF.basis.glb").write_bytes(b"")  # only looked for, not read
    loaded = load_object_episodes(path, tmp_path / "scenes")
    assert loaded.asked == ("TEEsavR23oF.basis.glb_bed",)
    from dataclasses import replace

    named = replace(scene, name=loaded.episodes.scene_names[0])
    episodes, fitted, bad = link_object_goals(loaded, [named])
    assert bad == []
    exact = scene.geodesic_distance(episodes.start_position[0], near)
    assert float(episodes.geodesic_distance[0]) == pytest.approx(float(exact), abs=0.05)
    env = NavVectorEnv(1, fitted, episodes=episodes, task="objectnav", sensors=(), device="cpu")
    observation, _ = env.reset(seed=0)
    assert observation["objectgoal"].tolist() == [[1]]
    assert float(env.simulator.state.heading[0]) == pytest.approx(-np.pi, abs=1e-5) or float(
        env.simulator.state.heading[0]
    ) == pytest.approx(np.pi, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("goals_by_category"), "no goals are listed under 'one-room_bed'"),
        (lambda c: c["goals_by_category"]["one-room_bed"][0].pop("position"), "are malformed"),
        (lambda c: c["episodes"][0].update(start_rotation=[0, 0, 1]), "episode 0 is malformed"),
        (lambda c: c["episodes"][0].pop("object_category"), "episode 0 is malformed"),
    ],
)
def test_damaged_files_are_named(tmp_path, change, message):
    path, content, _ = challenge_files(tmp_path, "one-room")
    change(content)
    write(tmp_path / "content" / "TEEsavR23oF.json.gz", content)
    with pytest.raises(SceneError, match=message):
        load_object_episodes(path)


def test_goals_that_are_no_objects_are_refused(home, tmp_path):
    with pytest.raises(SceneError, match="the goals are points"):
        save_object_episodes(sample_episodes([home], 2), [home], tmp_path / "val.json.gz")


def test_a_null_category_does_not_make_object_episodes(tmp_path):
    point = files.entry("A.glb", object_category=None)
    chair = files.entry("A.glb", object_category="chair", goals=[])
    assert not holds_objects(files.write(tmp_path / "point.json.gz", {"episodes": [point]}))
    assert holds_objects(files.write(tmp_path / "chair.json.gz", {"episodes": [chair]}))
    split = files.write(tmp_path / "val" / "val.json.gz", {"episodes": []})
    assert not holds_objects(split)
    files.write(tmp_path / "val" / "content" / "A.json.gz", {"episodes": [chair]})
    assert holds_objects(split)


def test_object_files_with_too_many_values_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(episode_json, "MAX_VALUES", 1000)
    entry = files.entry("A.glb", object_category="chair", goals=[])
    path = files.write(
        tmp_path / "val.json.gz", {"episodes": [entry], "goals_by_category": {"A.glb_chair": [[]] * 2000}}
    )
    with pytest.raises(SceneError, match=r"val\.json\.gz holds about .* values, more than 1,000"):
        load_object_episodes(path, tmp_path)
