import pytest

from batchsim import scenes

WORLDS = ["one-room", "four-rooms"]


@pytest.fixture(scope="module")
def worlds():
    return [scenes.load(name) for name in WORLDS]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data/gibson").mkdir(parents=True)
    (tmp_path / "data/gibson/A.obj").write_text("v 0 0 0\nv 4 0 0\nv 4 0 -4\nv 0 0 -4\nf 1 2 3 4\n")
    (tmp_path / "outside.obj").write_text("")
    return tmp_path / "data"
