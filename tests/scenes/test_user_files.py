"""Whatever is wrong with a user's file becomes one error that names the file."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
import pytest

from batchsim.scenes.errors import SceneError
from batchsim.scenes.user_files import read_json, reading


@dataclass
class Sizes:
    count: Annotated[int, msgspec.Meta(ge=1, le=100)]
    name: str = ""
    share: float = 0.5


class OwnError(Exception):
    pass


@pytest.mark.parametrize(
    "problem",
    [ValueError("line 1\nline 2"), KeyError("missing"), RecursionError(), MemoryError(), OSError(5, "I/O error")],
    ids=lambda problem: type(problem).__name__,
)
def test_any_exception_names_the_file_on_one_line(problem):
    with pytest.raises(OwnError, match=r"^some/file.x ") as raised, reading("some/file.x", "a thing", OwnError):
        raise problem
    assert raised.value.__cause__ is problem
    assert "\n" not in str(raised.value)


def test_the_own_error_and_interrupts_pass_through():
    for problem in (OwnError("as it was"), KeyboardInterrupt()):
        with pytest.raises(type(problem)) as raised, reading("file", "a thing", OwnError):
            raise problem
        assert raised.value is problem


def test_a_good_file_gives_typed_values(tmp_path):
    path = tmp_path / "sizes.json"
    path.write_text('{"count": 3, "name": "é", "share": 1}')
    assert read_json(path, Sizes, "a list of sizes") == Sizes(3, "é", 1.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[]", "object"),
        ('{"count": "3"}', "count"),
        ('{"count": 0}', "count"),
        ('{"count": ' + "9" * 400 + "}", "count|range"),
        ('{"count": 1, "share": NaN}', "damaged"),
        ('{"count": 1, "share": 1e999}', "range|share"),
        ('{"count": 1, "name": "\\ud800"}', "surrogate|damaged"),
        ("[" * 100_000, "damaged"),
        ('{"count": 1, "name": "' + "x" * 2000 + '"}', "larger than 0.001 MB"),
    ],
)
def test_bad_json_is_refused_with_the_files_name(tmp_path, text, said):
    path = tmp_path / "sizes.json"
    path.write_text(text)
    with pytest.raises(SceneError, match=said) as raised:
        read_json(path, Sizes, "a list of sizes", max_bytes=1000 if "xxx" in text else 1 << 20)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(SceneError, match=r"absent\.json does not exist"):
        read_json(tmp_path / "absent.json", Sizes, "a list of sizes")
    with pytest.raises(SceneError, match="cannot be read"):
        read_json(tmp_path, Sizes, "a list of sizes")
