"""Tests that a code digest changes with what code does, and only then."""

import pytest

from batchsim.scenes.baking.code_digest import code_digest

SOURCE = '''"""Doc of the module."""

from batchsim.scenes.walking.columns import Grid
import numpy as np

SIZE = 3
"""Doc of an attribute."""


class Room:
    """Doc of the class."""

    def area(self, scale=1.0):
        """Doc of the method."""
        # A comment.
        return SIZE * scale + len("text")
'''


def digest(folder, source=SOURCE, name="room.py"):
    folder.mkdir(exist_ok=True, parents=True)
    (folder / name).write_text(source, encoding="utf-8")
    return code_digest([folder / name])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Doc of the module.", "Other words: é."),
        ("Doc of an attribute.", "Other words."),
        ("Doc of the class.", "Other words."),
        ('        """Doc of the method."""\n', ""),
        ("        # A comment.\n", ""),
        ("SIZE * scale + len", "(SIZE  *  scale) + \\\n            len"),
        ("scenes.walking.columns", "scenes.floors.columns"),
        ("(self, scale=1.0):", "(\n        self,\n        scale=1.0,\n    ):"),
        ('"text"', "'text'"),
    ],
)
def test_words_layout_and_folders_do_not_count(tmp_path, old, new):
    assert old in SOURCE
    assert digest(tmp_path / "b", SOURCE.replace(old, new)) == digest(tmp_path / "a")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SIZE = 3", "SIZE = 4"),
        ("SIZE = 3", "SIZE = 3.0"),
        ("scale=1.0", "scale=True"),
        ("SIZE * scale", "scale * SIZE"),
        ('"text"', '"other"'),
        ("columns import Grid", "columns import Rows"),
        ("columns import Grid", "rows import Grid"),
        ("import numpy as np", "import numba as np"),
    ],
)
def test_what_code_does_counts(tmp_path, old, new):
    assert old in SOURCE
    assert digest(tmp_path / "b", SOURCE.replace(old, new)) != digest(tmp_path / "a")


def test_a_renamed_file_and_another_salt_count(tmp_path):
    assert digest(tmp_path, name="hall.py") != digest(tmp_path)
    assert code_digest([tmp_path / "room.py"], salt="2") != code_digest([tmp_path / "room.py"])


def test_files_count_in_any_order_and_each_of_them(tmp_path):
    digest(tmp_path, name="a.py")
    digest(tmp_path, SOURCE.replace("3", "4"), name="b.py")
    files = [tmp_path / "a.py", tmp_path / "b.py"]
    assert code_digest(files) == code_digest(files[::-1]) != code_digest(files[:1])
