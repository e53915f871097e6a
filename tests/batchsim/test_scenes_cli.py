import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batchsim import scenes
from batchsim.scenes_cli import main

FLOOR = "v 0 0 0\nv 4 0 0\nv 4 0 -4\nv 0 0 -4\no Floor\nf 1 2 3 4\n"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path / "cache"))


def run(capsys, *arguments):
    """Exit code, stdout and stderr of the command."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as leave:
        code = leave.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_info_says_what_is_there(capsys, tmp_path):
    (tmp_path / "floor.obj").write_text(FLOOR)
    code, out, err = run(capsys, "info", tmp_path / "floor.obj")
    assert (code, err) == (0, "")
    for expected in (
        "triangles:  2",
        "4.00 x 0.00 x 4.00 m",
        "1 (14.",
        "islands:    1",
        "none",
        "floor",
        "MB once resident",
    ):
        assert expected in out


def test_info_as_json_is_one_object(capsys):
    code, out, _ = run(capsys, "info", "four-rooms", "--json")
    info = json.loads(out)
    assert code == 0
    assert info["triangles"] == 352
    assert info["bounds_m"] == [[-7, 0, -7], [7, 2.74, 7]]
    # Four rooms and four passages, less the agent's radius along the walls.
    assert info["navigable_area_m2"] == pytest.approx(4 * 5.8**2 + 4 * 2.2 * 1.8, rel=0.02)
    assert info["floors"] == [{"height_m": 0.0, "area_m2": info["navigable_area_m2"]}]
    assert info["textures"] == ["128 x 128"] * 3
    assert info["memory_bytes"] == scenes.load("four-rooms").nbytes


def test_import_bakes_beside_the_file_or_into_a_folder(capsys, tmp_path):
    for name in ("a.obj", "b.obj"):
        (tmp_path / name).write_text(FLOOR)
    code, out, _ = run(capsys, "import", tmp_path / "a.obj", tmp_path / "b.obj", "--num-goals", 4)
    assert code == 0
    assert len(out.splitlines()) == 2
    assert len(scenes.load(tmp_path / "a.scene").goals) == 4
    target = tmp_path / "deep" / "baked"
    code, out, _ = run(capsys, "import", tmp_path / "a.obj", "--out", target, "--scale", 2, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["files"][0]["baked"] == str(target / "a.scene")
    np.testing.assert_allclose(scenes.load(target / "a.scene").bounds[1], [8, 0, 0])


def test_generate_bakes_into_a_folder_that_loads_as_a_set(capsys, tmp_path):
    code, out, _ = run(capsys, "generate", "homes:val?count=2", "--out", tmp_path / "homes", "--num-goals", 4, "--json")
    result = json.loads(out)
    assert (code, result["scenes"]) == (0, 2)
    assert [Path(file).name for file in result["files"]] == ["homes-val-0.scene", "homes-val-1.scene"]
    loaded = [source.load() for source in scenes.resolve(tmp_path / "homes")]
    np.testing.assert_array_equal(loaded[1].triangles, scenes.load("homes:val/1", num_goals=4).triangles)


def test_generate_into_the_cache_says_where(capsys, tmp_path):
    code, out, err = run(capsys, "generate", "one-room", "--num-goals", 2)
    assert (code, err) == (0, "")
    assert out == f"1 scenes are ready in {tmp_path / 'cache'}.\n"


def test_preview_draws_a_image(capsys, tmp_path):
    size = ("--views", 2, "--width", 64, "--height", 48)
    code, out, _ = run(capsys, "preview", "four-rooms", "--out", tmp_path / "a.png", *size, "--json")
    result = json.loads(out)
    assert code == 0
    assert Image.open(tmp_path / "a.png").size == (result["width"], result["height"])
    assert result["storeys_m"] == [0]
    assert len(result["views"]) == 2
    assert scenes.load("four-rooms").is_navigable(np.array([view["position"] for view in result["views"]])).all()


def claims_too_much(path):
    head = b"ply\nformat binary_little_endian 1.0\nelement vertex 3\n"
    head += b"property float x\nproperty float y\nproperty float z\n"
    path.write_bytes(head + b"element face 50000000\nproperty list uchar int vertex_indices\nend_header\n" + bytes(100))


def truncated(path):
    path.write_bytes(b"glTF" + struct.pack("<IIII", 2, 10_000, 100, 0x4E4F534A) + b"{}")


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("empty.glb", lambda path: path.write_bytes(b""), "empty"),
        ("short.glb", truncated, "truncated"),
        ("big.ply", claims_too_much, "50,000,000 triangles"),
        ("nan.obj", lambda path: path.write_text("v 0 0 0\nv nan 0 0\nv 0 1 0\nf 1 2 3\n"), "NaN"),
        ("wall.obj", lambda path: path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"), "No walkable floor"),
        ("model.fbx", lambda path: path.write_text("x"), ".fbx"),
        ("old.scene", lambda path: path.write_text("x"), "not a baked scene"),
        ("missing.glb", lambda path: None, "neither a file"),
    ],
)
@pytest.mark.parametrize("command", ["import", "info", "preview"])
def test_bad_files_are_one_line_and_exit_code_two(capsys, tmp_path, command, name, make, message):
    make(tmp_path / name)
    code, out, err = run(capsys, command, tmp_path / name)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("batchsim-scenes: ")
    assert name in err
    assert message in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate", "homes:trian"),
        ("generate", "homes:val?count=1000"),
        ("import",),
        ("preview", "one-room", "--out", "map.gif"),
        ("preview", "one-room", "--pixels-per-metre", "0"),
        ("preview", "one-room", "--views", "0"),
        ("info", "homes:val"),
        ("import", "a.obj", "--up", "x"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_two(capsys, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.obj").write_text(FLOOR)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


def test_help_explains_every_option(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for command in ("generate", "import", "info", "preview"):
        assert command in out
        code, text, _ = run(capsys, command, "--help")
        assert code == 0
        assert "--json" in text
        assert "stdout" in text
    assert run(capsys, "frobnicate")[0] == 2


@pytest.mark.parametrize("number", ["0", "-1", "4097", str(10**18), "9" * 400])
def test_numbers_of_goals_that_cannot_be_are_refused_at_once(capsys, number):
    code, out, err = run(capsys, "generate", "one-room", "--num-goals", number)
    assert (code, out) == (2, "")
    assert "expected 1 to 4,096" in err


@pytest.mark.parametrize("radius", ["nan", "inf", "-1", "1e18"])
def test_bodies_that_cannot_be_are_refused(capsys, radius):
    code, out, err = run(capsys, "generate", "one-room", "--agent-radius", radius)
    assert (code, out) == (2, "")
    assert "radius must be 0 to 100 m" in err


def test_generate_does_not_claim_what_could_not_be_stored(capsys, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path / "file" / "cache"))
    code, out, err = run(capsys, "generate", "one-room", "--num-goals", "4")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("batchsim-scenes: 1 of 1 scenes, such as one-room, could not be stored in ")
    code, out, _ = run(capsys, "generate", "one-room", "--num-goals", "4", "--out", tmp_path / "out")
    assert code == 0
    assert f"1 scenes are ready in {tmp_path / 'out'}" in out


def command(arguments, **environment):
    """Runs the command in a process of its own with these variables, None = not set."""
    variables = {name: value for name, value in (os.environ | environment).items() if value is not None}
    program = [sys.executable, "-m", "batchsim.scenes_cli", *arguments]
    return subprocess.run(program, capture_output=True, env=variables, timeout=100)


def test_a_user_without_home_is_told_what_to_set(capsys, monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("BATCHSIM_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)
    code, out, err = run(capsys, "info", "maze")
    assert (code, out) == (2, "")
    assert "Could not determine home directory.) Set BATCHSIM_CACHE to a writable folder" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("name", ["möbel 椅子.obj".encode(), b"latin-1-\xe9.obj"], ids=["utf-8", "latin-1"])
@pytest.mark.parametrize("utf8_mode", ["0", None])
def test_names_beyond_ascii_in_any_locale(tmp_path, name, utf8_mode):
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "w") as file:
        file.write(FLOOR)
    variables = {"LC_ALL": "C", "PYTHONUTF8": utf8_mode, "BATCHSIM_CACHE": str(tmp_path / "cache")}
    done = command(["import", path, "--num-goals", "4"], **variables)
    assert done.returncode == 0, done.stderr
    done = command(["info", path[:-4] + b".scene"], **variables)
    assert done.returncode == 0, done.stderr
    assert b"triangles:  2" in done.stdout
    done = command(["info", path + b"x"], **variables)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
