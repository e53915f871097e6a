"""Tests that a file is written as a whole or not at all."""

import os

import pytest

from batchsim.scenes import SceneError
from batchsim.scenes.atomic_files import atomic_write, remove_leftovers, write_user_file


def test_writes_text_and_bytes_and_creates_folders(tmp_path):
    path = tmp_path / "deep" / "er" / "file.txt"
    assert atomic_write(path, "é\n") == path
    assert path.read_bytes() == "é\n".encode()
    atomic_write(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert os.listdir(path.parent) == ["file.txt"]


def test_the_longest_file_name_works(tmp_path):
    path = tmp_path / ("x" * 255)
    assert atomic_write(path, "text").read_text() == "text"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch, call):
    path = atomic_write(tmp_path / "file", "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space"):
        atomic_write(path, "new")
    with pytest.raises(SceneError, match=r"file cannot be written: No space left on device\.$"):
        write_user_file(path, "new")
    assert os.listdir(tmp_path) == ["file"]
    assert path.read_text() == "old"


def test_file_and_folder_are_flushed_to_disk_in_order(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("rename"), replace(a, b)))
    atomic_write(tmp_path / "file", "text")
    assert events[0].startswith(str(tmp_path / "."))
    assert events[1:] == ["rename", str(tmp_path)]


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(SceneError, match="cannot be written"):
        write_user_file(tmp_path / "file", "text")
    assert os.listdir(tmp_path) == ["file"]


def test_leftovers_of_killed_processes_are_removed_once_they_are_old(tmp_path):
    names = [".0123456789abcdef.part", ".fedcba9876543210.part", "kept.part", ".hidden", "file"]
    for name in names:
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (0, 0))
    os.utime(tmp_path / names[1])  # another process may be writing it
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])
