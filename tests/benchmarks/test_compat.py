"""`make test-compat`: what it counts and writes, and that the page, the pins and the examples belong together."""

import json
import re
from pathlib import Path

import pytest

from benchmarks.compat.page import table, write_page
from benchmarks.compat.result import Result
from benchmarks.compat.trainers import ROOT, TRAINERS, lines_of_code

PINS = dict(
    re.findall(r"^([\w.-]+)==([\w.]+)$", (ROOT / "benchmarks" / "compat" / "constraints.txt").read_text("utf-8"), re.M)
)


def result(**values):
    row = {"name": "it", "version": "1.2", "lines": 9, "date": "2026-01-31", "frames_per_second": 1234.5}
    return Result(**{**row, "success": 0.8, "episodes": 10, **values})


@pytest.mark.parametrize(
    ("successes", "episodes", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 20, 0.0, 0.1611), (128, 128, 0.9709, 1.0)],
)
def test_intervals_are_wilsons(successes, episodes, low, high):
    """Figures of statsmodels.stats.proportion.proportion_confint(..., method="wilson")."""
    assert result(success=successes / episodes, episodes=episodes).interval() == pytest.approx((low, high), abs=1e-4)


def test_lines_of_code(tmp_path):
    file = tmp_path / "one.py"
    code = ["X = (", "    1,  # one", ")", "", "", "def f():", '    """Two', "", '    lines."""', '    return "a"', ""]
    file.write_text("\n".join(['"""A module."""', "", "# a comment", *code]))
    assert lines_of_code(file) == 5


def test_the_page_is_rewritten_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table: begin -->\nold\n<!-- table: end -->\nafter\n")
    for _ in range(2):
        write_page(page, [result(), result(version="", lines=0)])
    text = page.read_text()
    assert text.startswith("before\n<!-- table: begin -->\n\n| trainer |")
    assert text.endswith("\n\n<!-- table: end -->\nafter\n")
    assert "| it | 1.2 | 9 | 1,200 | 0.80 | 0.49 to 0.94 | 2026-01-31 |\n| it | – | – |" in text
    assert "old" not in text


def test_the_committed_page_shows_the_committed_results():
    rows = [Result(**row) for row in json.loads((ROOT / "docs" / "compat.json").read_text("utf-8"))]
    assert table(rows) in (ROOT / "docs" / "compat.md").read_text("utf-8")
    by_name = {trainer.name: trainer for trainer in TRAINERS}
    for row in rows:
        assert row.name == "batchsim" or row.name in by_name
        assert row.episodes >= 100
        if row.version and row.name in by_name:
            assert row.version == PINS[by_name[row.name].package]


@pytest.mark.parametrize("trainer", TRAINERS, ids=lambda trainer: trainer.name)
def test_files_of_trainers(trainer):
    assert trainer.adapter_path.is_file()
    assert trainer.example_path.is_file()
    assert trainer.tests.is_file()
    assert trainer.package is None or trainer.package in PINS
    extras = (ROOT / "pyproject.toml").read_text("utf-8")
    assert re.search(rf"^{trainer.environment} = \[", extras, re.M)


def test_every_example_is_tried():
    examples = {path.stem for path in Path(ROOT / "examples" / "trainers").glob("*.py")}
    assert examples == {trainer.example for trainer in TRAINERS}
