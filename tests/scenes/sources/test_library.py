import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import batchsim
from batchsim.scenes import AgentBody, SceneError, bake_many, load, load_all, resolve
from batchsim.scenes.homes import generate_home
from batchsim.scenes.sources.bake_many import BakeProcess
from batchsim.scenes.sources.library import HOME_SETS
from batchsim.scenes.sources.scene_source import HomeSource

FLOOR = "v 0 0 0\nv 4 0 0\nv 4 0 -4\nv 0 0 -4\nf 1 2 3 4\n"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("BATCHSIM_CACHE", str(folder))
    return folder


def test_sets_have_their_sizes_and_generate_nothing(cache, monkeypatch):
    monkeypatch.setattr("batchsim.scenes.homes.generate_home", lambda *_: pytest.fail("generated too early"))
    assert [len(resolve(f"homes:{name}")) for name in ("train", "val", "test")] == [1000, 100, 100]
    assert resolve("homes:val").names[3] == "homes:val/3"
    assert not cache.exists()


def test_no_seed_is_in_two_sets():
    seeds = [source.seed for name in HOME_SETS for source in resolve(f"homes:{name}")]
    assert len(set(seeds)) == len(seeds) == 1200


def test_options_choose_detail_and_count():
    homes = resolve("homes:train?detail=high&count=64")
    assert len(homes) == 64
    assert all(isinstance(source, HomeSource) and source.detail == "high" for source in homes)
    assert homes[2].name == "homes:train/2?detail=high"
    # A name names its scene.
    assert resolve(homes[2].name)[0] == homes[2]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("homes:trian", "no set 'trian'.*'homes:train', 'homes:val', 'homes:test'"),
        ("homes:train?detail=ultra", "'ultra'; expected one of 'low', 'medium', 'high'"),
        ("homes:train?colour=red", "unknown option 'colour'.*'detail', 'count'"),
        ("homes:val?count=101", "count is '101'; expected a whole number from 1 to 100"),
        ("homes:val?count=0", "from 1 to 100"),
        ("homes:val?count=-1", "from 1 to 100"),
        ("homes:val?count=ten", "from 1 to 100"),
        ("homes:val?count", "must look like"),
        ("homes:val/100", "home's number is '100'; expected a whole number from 0 to 99"),
        ("homes:val/3?count=2", "unknown option 'count'"),
        ("four-room", "neither a file, a folder nor a known name.*'four-rooms'"),
        ("nowhere.glb", "neither a file"),
        ([], "names no scene"),
        (None, "names no scene"),
        (7, "names no scene"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(spec, message):
    with pytest.raises(SceneError, match=message):
        resolve(spec)


def test_loading_a_home_twice_reads_the_same(cache):
    first, second = load("homes:val/3"), load("homes:val/3")
    assert first.name == second.name == "homes:val/3"
    np.testing.assert_array_equal(first.goal_distances, second.goal_distances)
    mesh = generate_home(HOME_SETS["val"].first_seed + 3).mesh
    np.testing.assert_allclose(first.bounds, mesh.bounds)
    assert len(first.triangles) == len(mesh)
    assert len(list(cache.iterdir())) == 1


def test_body_and_goals_are_part_of_the_key(cache):
    thin, wide = load("one-room", num_goals=4), load("one-room", AgentBody(radius=0.5), num_goals=5)
    assert (len(thin.goals), len(wide.goals)) == (4, 5)
    assert thin.walkable.area == pytest.approx(9.8**2, rel=0.02)
    assert wide.walkable.area == pytest.approx(9.0**2, rel=0.02)
    assert len(list(cache.iterdir())) == 2


def test_one_scene_is_asked_for():
    with pytest.raises(SceneError, match=r"homes:val names 100 scenes, the first of which is 'homes:val/0'"):
        load("homes:val")


def test_folder_lists_its_files_by_name_and_prefers_baked_ones(cache, tmp_path):
    folder = tmp_path / "scans"
    (folder / "deeper").mkdir(parents=True)
    for name in ("b.obj", "a.obj", "deeper/c.obj"):
        (folder / name).write_text(FLOOR)
    (folder / "notes.txt").write_text("not a scene")
    load(folder / "b.obj", num_goals=3).save(folder / "b.scene")
    scene_set = resolve(folder)
    assert scene_set.names == [str(folder / "a.obj"), str(folder / "b.scene")]
    assert [len(source.load().goals) for source in resolve(folder, num_goals=2)] == [2, 3]
    with pytest.raises(SceneError, match=r"contains no scene files.*Subfolders"):
        resolve(cache.parent)


def test_files_need_a_known_extension_and_options(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(SceneError, match=r"\.txt cannot be imported"):
        resolve(tmp_path / "a.txt")
    (tmp_path / "a.obj").write_text(FLOOR)
    for query, message in (("up=x", "up is 'x'"), ("scale=0", "positive"), ("size=1", "'up', 'scale'")):
        with pytest.raises(SceneError, match=message):
            resolve(f"{tmp_path / 'a.obj'}?{query}")


def test_a_name_wins_over_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("maze").mkdir()
    Path("maze/a.obj").write_text(FLOOR)
    assert resolve("maze").names == ["maze"]
    assert resolve("./maze").names == [str(Path("maze/a.obj"))]


def test_lists_and_scenes_and_slices(cache):
    scene = load("one-room", num_goals=2)
    scene_set = resolve(["homes:val?count=2", scene, resolve("homes:test?count=3")[1:]])
    assert scene_set.names == ["homes:val/0", "homes:val/1", "one-room", "homes:test/1", "homes:test/2"]
    assert scene_set[2].load() is scene
    assert scene_set[2].is_ready
    assert not scene_set[0].is_ready


def test_a_scene_in_memory_is_baked_again_for_another_body(cache):
    scene = load("one-room", num_goals=2)
    assert resolve(scene, AgentBody())[0].load() is scene
    wide = resolve([scene], AgentBody(radius=0.5))[0].load()
    assert wide.body.radius == 0.5
    assert len(wide.goals) == 2


def test_load_all_bakes_in_parallel_and_then_reads(cache):
    spec = "homes:val?count=3"
    parallel = load_all(spec, workers=2, progress=False)
    assert [scene.name for scene in parallel] == resolve(spec).names
    here = resolve(spec)[1]._bake()
    np.testing.assert_array_equal(parallel[1].goal_distances, here.goal_distances)
    files = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(files) == 3
    load_all(spec)
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == files


def test_a_failing_worker_names_its_scene(cache, tmp_path):
    (tmp_path / "wall.obj").write_text("v 0 0 0\nv 4 0 0\nv 4 4 0\nf 1 2 3\n")
    with pytest.raises(SceneError, match=r"Baking .*wall\.obj failed: .*No walkable floor"):
        bake_many(resolve([tmp_path / "wall.obj", "one-room"]), workers=2, progress=False)


def test_baking_in_parallel_needs_no_guard_in_the_main_script(cache, tmp_path):
    # multiprocessing's spawn would run this script again in each worker.
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nsys.path.insert(0, sys.argv[1])\nfrom batchsim import scenes\n"
        "print(len(scenes.load_all('homes:val?count=2', workers=2, progress='always')))\n"
    )
    root = str(Path(batchsim.__file__).resolve().parents[1])
    done = subprocess.run([sys.executable, script, root], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "2\n"
    assert "Baking scenes" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", done.stderr)


def test_progress_is_silent_where_there_is_no_terminal(cache, capfd):
    load_all("one-room", workers=1)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_processes_that_bake_the_same_scene_at_once_leave_one_good_file(cache):
    source = resolve("one-room", num_goals=2)[0]
    processes = [BakeProcess(), BakeProcess()]
    threads = [threading.Thread(target=process.bake, args=(source,)) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        process.close()
    assert [path.suffix for path in cache.iterdir()] == [".scene"]
    assert len(source.load().goals) == 2


def test_a_bake_process_says_what_failed_and_goes_on(cache, tmp_path):
    (tmp_path / "wall.obj").write_text("v 0 0 0\nv 4 0 0\nv 4 4 0\nf 1 2 3\n")
    wall, room = resolve([tmp_path / "wall.obj", "one-room"], num_goals=2)
    process = BakeProcess(background=True)
    with pytest.raises(SceneError, match=r"Baking .*wall\.obj failed: .*No walkable floor"):
        process.bake(wall)
    process.bake(room)
    assert room.is_ready
    process.close()
    with pytest.raises(SceneError, match="closed"):
        process.bake(room)


def test_hidden_files_are_no_scenes(tmp_path):
    for name in ("a.obj", "._a.obj", ".trash/b.obj", "deep/c.obj", "deep/._c.obj"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("v 0 0 0\n")
    assert resolve(f"{tmp_path}?subfolders=yes").names == [str(tmp_path / "a.obj"), str(tmp_path / "deep" / "c.obj")]


def test_wall_tops_are_part_of_the_key(cache, tmp_path):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 4 0 0\nv 4 0 -4\nv 0 0 -4\nf 1 2 3 4\n")
    (plain,), (kept,) = resolve(str(tmp_path / "a.obj")), resolve(f"{tmp_path / 'a.obj'}?wall_tops=yes")
    assert plain.cache_key.path != kept.cache_key.path
    assert kept.wall_tops
    assert kept.load().name == f"{tmp_path / 'a.obj'}?wall_tops=yes"
