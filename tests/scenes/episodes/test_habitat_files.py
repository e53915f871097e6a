"""Tests reading and writing Habitat's PointNav files: what is in them, what is wrong with them, hostile ones."""

import gzip
import json
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchsim.scenes import SceneError, link_goals, load_episodes, sample_episodes, save_episodes
from batchsim.scenes.episodes import episode_json
from tests.helpers.episode_files import assert_same, entry, write


@pytest.fixture(scope="module")
def many(worlds):
    return sample_episodes(worlds, 40, seed=3)


def test_habitat_file_round_trip(many, tmp_path):
    few = many.select(slice(0, 40))
    save_episodes(few, tmp_path / "val.json.gz")
    read = load_episodes(tmp_path / "val.json.gz")
    assert_same(few, read, atol=1e-5)
    assert (read.goal_index == -1).all()
    save_episodes(few, tmp_path / "again.json.gz")
    assert (tmp_path / "val.json.gz").read_bytes() == (tmp_path / "again.json.gz").read_bytes()


@pytest.mark.parametrize("scene_id", ["gibson/A.obj", "data/scene_datasets/gibson/A.obj", "somewhere\\gibson\\A.obj"])
def test_split_with_content_folder_and_scenes_of_any_prefix(folder, tmp_path, scene_id):
    split = write(tmp_path / "val" / "val.json.gz", {"episodes": []})
    write(tmp_path / "val" / "content" / "A.json.gz", {"episodes": [entry(scene_id), entry(scene_id, episode_id="8")]})
    episodes = load_episodes(split, folder)
    assert episodes.scene_names == (str(folder / "gibson/A.obj"),)
    assert episodes.episode_id == ("7", "8")
    assert episodes.start_heading[0] == pytest.approx(np.pi / 2)
    linked, _, bad = link_goals(episodes)
    assert not bad
    assert linked.geodesic_distance[0] == pytest.approx(8**0.5, abs=0.05)


@pytest.mark.parametrize(
    "scene_id", ["../outside.obj", "gibson/../../outside.obj", "/etc/hostname", "B.glb", "", "homes:val", "homes:x/1"]
)
def test_scene_ids_stay_inside_the_folder(folder, tmp_path, scene_id):
    with pytest.raises(SceneError, match=r"val\.json\.gz: "):
        load_episodes(write(tmp_path / "val.json.gz", {"episodes": [entry(scene_id)]}), folder)


def test_files_need_a_folder(tmp_path):
    with pytest.raises(SceneError, match="scene_folder"):
        load_episodes(write(tmp_path / "val.json.gz", {"episodes": [entry()]}))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "malformed JSON"),
        ("[" * 100_000, "not an episode file|malformed JSON"),
        ('{"episodes": ' + "[" * 100_000 + "]" * 100_000 + "}", "malformed JSON"),
        ([], "not an episode file"),
        ({"episodes": 3}, "not an episode file"),
        ({"episodes": {}}, "not an episode file"),
        ({"episode": []}, "not an episode file"),
        ({"episodes": []}, "holds no episodes"),
        ({"episodes": [3]}, "episode 0 is malformed"),
        ({"episodes": [entry(), 3]}, "episode 1 is malformed"),
        ({"episodes": [entry(goals=[])]}, "episode 0 is malformed.*no goal"),
        ({"episodes": [entry(goals={})]}, "episode 0 is malformed"),
        ({"episodes": [entry(goals=[{"position": [1, 2, 3], "radius": -1}])]}, "episode 0 is malformed.*radius"),
        ({"episodes": [entry(goals=[{"position": [0, 0, 0]}] * 60_000)]}, "episode 0 is malformed.*bytes"),
        ({"episodes": [entry(), entry(start_position=[1, 2])]}, "episode 1 is malformed.*start_position"),
        ({"episodes": [entry(start_rotation="no")]}, "episode 0 is malformed.*start_rotation"),
        ({"episodes": [entry(start_rotation=[0, 0, 0, 0])]}, "episode 0 is malformed.*start_rotation is zero"),
        ({"episodes": [entry(start_position=[10**400, 0, 0])]}, "episode 0 is malformed.*start_position"),
        ({"episodes": [entry(start_position=[1e18, 0, 0])]}, "episode 0 is malformed.*start_position"),
        ({"episodes": [entry(start_position=[True, 0, 0])]}, "episode 0 is malformed.*start_position"),
        ({"episodes": [entry(episode_id=10**400)]}, "episode 0 is malformed.*episode_id"),
        ({"episodes": [entry(episode_id=None)]}, "episode 0 is malformed.*episode_id"),
        ({"episodes": [entry(scene_id=7)]}, "episode 0 is malformed.*scene_id"),
        ({"episodes": [entry("x" * 5000)]}, "episode 0 is malformed.*scene_id"),
        ({"episodes": [entry("x" * 2000)]}, "scene 'xxx"),
        ({"episodes": [entry("a/" * 2000)]}, "scene 'a/a/"),
        ({"episodes": [entry("a\0b")]}, "scene 'a"),
        ({"episodes": [entry(info=[])]}, "episode 0 is malformed.*info"),
        ({"episodes": [entry(info={"geodesic_distance": "far"})]}, "episode 0 is malformed.*geodesic_distance"),
        ({"episodes": [entry(info={"geodesic_distance": 10**400})]}, "episode 0 is malformed.*geodesic_distance"),
        ('{"episodes": [{"scene_id": "A", "start_position": [NaN, 0, 0]}]}', "episode 0 is malformed"),
        ('{"episodes": [{"scene_id": "\\ud800"}]}', "malformed JSON"),
    ],
)
def test_malformed_files_say_where(folder, tmp_path, document, message):
    with pytest.raises(SceneError, match=message) as caught:
        load_episodes(write(tmp_path / "val.json.gz", document), folder)
    assert str(caught.value).startswith(str(tmp_path / "val.json.gz"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_good_episodes_among_malformed_ones_are_read(folder, tmp_path):
    entries = [entry(), 3, entry(episode_id="two", goals=7), {}, entry(episode_id="four", info=None), [entry()]]
    bad = []
    episodes = load_episodes(write(tmp_path / "val.json.gz", {"episodes": entries}), folder, bad)
    assert episodes.episode_id == ("7", "four")
    assert np.isnan(episodes.geodesic_distance[1])
    assert [(b.scene_name, b.episode_id) for b in bad] == [
        ("", "number 1"),
        ("gibson/A.obj", "two"),
        ("", "number 3"),
        ("", "number 5"),
    ]


def test_numbers_that_json_does_not_have_count_as_missing(folder, tmp_path):
    """Python's json module writes them."""
    document = {
        "episodes": [entry(info={"geodesic_distance": float("nan")}), entry(info={"geodesic_distance": np.inf})]
    }
    assert np.isnan(load_episodes(write(tmp_path / "val.json.gz", document), folder).geodesic_distance).all()
    negative = {"episodes": [entry(info={"geodesic_distance": -1}), entry(info={})]}
    assert np.isnan(load_episodes(write(tmp_path / "val.json.gz", negative), folder).geodesic_distance).all()


def test_goal_radii_are_kept(folder, tmp_path):
    goals = [[{"position": [3.0, 0.0, -3.0], "radius": radius}] for radius in (0.36, None)]
    goals.append([{"position": [3.0, 0.0, -3.0]}])
    path = write(tmp_path / "val.json.gz", {"episodes": [entry(goals=goal) for goal in goals]})
    episodes = load_episodes(path, folder)
    np.testing.assert_array_equal(episodes.goal_radius, np.array([0.36, np.nan, np.nan], np.float32))
    save_episodes(episodes, tmp_path / "again.json.gz")
    stored = json.loads(gzip.decompress((tmp_path / "again.json.gz").read_bytes()))["episodes"]
    assert [e["goals"][0]["radius"] for e in stored] == [pytest.approx(0.36), None, None]


def test_rotations_that_are_not_normalised(folder, tmp_path):
    path = write(tmp_path / "val.json.gz", {"episodes": [entry(start_rotation=[0, 5, 0, 5]), entry()]})
    first, second = load_episodes(path, folder).start_heading
    assert first == pytest.approx(second) == pytest.approx(np.pi / 2)


VIEW = {"agent_state": {"position": [0, 0, 0], "rotation": [0, 0, 0, 1]}, "iou": 0.5}
CHAIR = {"position": [1, 0, 1], "object_id": 16, "object_category": "chair", "view_points": [VIEW]}


@pytest.mark.parametrize(
    ("document", "task"),
    [
        ({"episodes": [], "goals_by_category": {"A.glb_chair": [CHAIR]}}, "ObjectNav"),
        ({"episodes": [], "category_to_task_category_id": {"chair": 0}}, "ObjectNav"),
        ({"episodes": [], "category_to_mp3d_category_id": {"chair": 0}}, "ObjectNav"),
        ({"episodes": [entry(goals=[], object_category="chair")]}, "ObjectNav"),
        ({"episodes": [entry(goals=[CHAIR], object_category="chair")]}, "ObjectNav"),
        ({"episodes": [], "goals": {"A_16": CHAIR | {"image_goals": []}}}, "InstanceImageNav"),
        ({"episodes": [entry(goals=[], goal_image_id=3, object_category="chair")]}, "InstanceImageNav"),
        ({"episodes": [entry(instruction={"instruction_text": "Go"})], "instruction_vocab": {"word_list": []}}, "VLN"),
        ({"episodes": [entry(question={"question_text": "What?"})]}, "EQA"),
        ({"episodes": [entry(goals=[], rigid_objs=[["a", [[1]]]])]}, "rearrangement"),
        ({"episodes": [entry(goals=[], tasks=[["chair", "object", None]])]}, "GOAT"),
    ],
)
def test_other_tasks_are_named(folder, tmp_path, document, task):
    with pytest.raises(SceneError, match=rf"val\.json\.gz holds episodes of .*{task}.*; expected PointNav") as caught:
        load_episodes(write(tmp_path / "val.json.gz", document), folder, [])
    assert "\n" not in str(caught.value)


def test_fields_of_other_tasks_that_are_empty_do_not_matter(folder, tmp_path):
    """Habitat writes such fields into PointNav files too."""
    plain = entry(object_category=None, shortest_paths=None, start_room=None, tasks=[])
    document = {"episodes": [plain], "goals_by_category": {}, "category_to_task_category_id": {}, "goals": []}
    assert len(load_episodes(write(tmp_path / "val.json.gz", document), folder)) == 1


def test_what_is_no_gzip_or_unpacks_to_too_much(tmp_path, monkeypatch):
    path = tmp_path / "val.json.gz"
    for data in (b"", b"plain text", gzip.compress(b"x" * 1000)[:-20], gzip.compress(b"x" * 1000)[:20]):
        path.write_bytes(data)
        with pytest.raises(SceneError, match=r"val\.json\.gz"):
            load_episodes(path)
    monkeypatch.setattr(episode_json, "MAX_UNPACKED_BYTES", 1 << 16)
    path.write_bytes(gzip.compress(b"0" * (1 << 20)))
    with pytest.raises(SceneError, match="unpacks to more than"):
        load_episodes(path)
    with pytest.raises(SceneError, match="does not exist"):
        load_episodes(tmp_path / "nowhere.json.gz")
    with pytest.raises(SceneError, match="cannot be read"):
        load_episodes(tmp_path)


LOAD = """
import resource, sys
from batchsim.scenes import SceneError, load_episodes
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load_episodes(sys.argv[1], sys.argv[2], [])
except SceneError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(
    "item",
    [b"[]", b"0", b"{}", b'{"episode_id":"1"}', b'{"goals":[[]]}'],
    ids=["lists", "numbers", "objects", "ids", "goals"],
)
def test_a_small_file_does_not_take_gigabytes_or_minutes(folder, tmp_path, item):
    """The first of these took 120 s and 1.9 GB, from 41 kB."""
    body = b'{"episodes":[' + (item + b",") * ((40 << 20) // (len(item) + 1)) + item + b"]}"
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(body))
    assert (tmp_path / "bomb.json.gz").stat().st_size < 300_000
    begin = time.monotonic()
    command = [sys.executable, "-c", LOAD, tmp_path / "bomb.json.gz", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    message, megabytes = done.stdout.splitlines()
    assert "more than 10,000 episodes are malformed" in message
    assert int(megabytes) < 250
    assert time.monotonic() - begin < 30


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from([*entry(), "object_category", "tasks"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_any_json_is_read_or_refused_in_one_line(folder, tmp_path, changes):
    path = write(tmp_path / "val.json.gz", {"episodes": [entry(), entry(**changes)]})
    try:
        episodes = load_episodes(path, folder)
    except SceneError as error:
        refused = str(error)
    else:
        assert np.isfinite(episodes.start_position).all()
        assert np.isfinite(episodes.start_heading).all()
        return
    assert refused.startswith(str(path))
    assert "\n" not in refused


@pytest.mark.parametrize("field", ["episode_id", "scene_id", "start_position", "note"])
def test_text_that_is_not_utf8_is_an_error_of_the_file(tmp_path, field):
    text = json.dumps({"episodes": [entry("one-room"), entry("one-room") | {field: "MARK"}]}).encode()
    path = tmp_path / "val.json.gz"
    path.write_bytes(gzip.compress(text.replace(b"MARK", b"a\xe8b")))
    bad = []
    if field == "note":  # a field that is skipped
        assert len(load_episodes(path)) == 2
        return
    with pytest.raises(SceneError, match="episode 1 is malformed") as raised:
        load_episodes(path)
    assert str(path) in str(raised.value)
    assert len(load_episodes(path, bad=bad)) == len(bad) == 1
