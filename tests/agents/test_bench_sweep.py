"""Grids of measurements: which cells there are, what becomes of those that fail, how they are written and drawn."""

import csv
import json

import matplotlib.image
import pytest

from agents import bench
from agents.benchmarks.command import with_detail
from agents.benchmarks.plot import lines, main_axis, plot_sweeps
from agents.benchmarks.sweep import Cell, Sweep, parse_axes, write_csv
from agents.errors import AgentError


def measured(fps, **changes):
    base = {
        "fps": fps,
        "fps_range": [0.9 * fps, 1.1 * fps],
        "triangles_mean": 1000.0,
        "num_scenes": 2,
        "renderer": "raycast",
        "rays_per_second": 64 * 64 * fps,
        "peak_host_bytes": 2**20,
        "peak_torch_bytes": None,
        "peak_memory_bytes": 2**20,
    }
    return base | changes


def grid():
    sweep = Sweep({"num_envs": ("1", "16", "256"), "detail": ("low", "high")})
    for n in ("1", "16", "256"):
        for detail, cost in (("low", 1), ("high", 4)):
            failed = (n, detail) == ("256", "high")
            record = None if failed else measured(1000 * int(n) ** 0.5 / cost)
            sweep.cells.append(Cell({"num_envs": n, "detail": detail}, record, "too large" if failed else ""))
    return sweep


def test_axes_are_options_and_their_values():
    axes = parse_axes(["num-envs=64, 256", "detail=low,high"])
    assert axes == {"num_envs": ("64", "256"), "detail": ("low", "high")}
    for wrong in (["num_envs"], ["=1"], ["num_envs="], ["num_envs=1", "num-envs=2"]):
        with pytest.raises(AgentError, match="--sweep"):
            parse_axes(wrong)


def test_detail_takes_the_place_of_the_set_s_own():
    assert with_detail("homes:train?count=8", "high") == "homes:train?detail=high&count=8"
    assert with_detail("homes:train?detail=low&count=8", "high") == "homes:train?detail=high&count=8"
    assert with_detail("homes:val", "medium") == "homes:val?detail=medium"


def test_a_cell_that_fails_is_told_and_the_others_are_measured(capsys, tmp_path):
    typed = ["render", "--scenes", "one-room", "--num-envs", "2", "--seconds", "0.02", "--repeats", "1", "--no-limits"]
    with pytest.raises(SystemExit) as exit_info:
        bench.main([*typed, "--sweep", "resolution=8,0", "--json", "--device", "cpu", "--out", str(tmp_path / "s")])
    printed = capsys.readouterr()
    assert exit_info.value.code == 0
    (record,) = json.loads(printed.out)
    assert (record["width"], record["height"], record["limits"]) == (8, 8, {})
    assert "resolution=0: failed: batchsim-bench: width=0" in printed.err
    sweep = Sweep.from_json(json.loads((tmp_path / "s" / "sweep.json").read_text()))
    assert [cell.record is None for cell in sweep.cells] == [False, True]
    assert matplotlib.image.imread(tmp_path / "s" / "sweep.png").std() > 0


def test_rows_hold_figures_or_the_reason_why_there_are_none(tmp_path):
    write_csv(grid(), tmp_path / "sweep.csv")
    rows = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    assert len(rows) == 6
    assert rows[0] | {"num_envs": "1", "detail": "low", "us_per_frame": "1000.0", "fps_low": "900.0"} == rows[0]
    assert rows[5] | {"num_envs": "256", "detail": "high", "fps": "", "failure": "too large"} == rows[5]


def test_lines_run_along_the_numbers():
    sweep = grid()
    assert main_axis(sweep) == "num_envs"
    found = lines(sweep)
    assert {name: [place for place, _ in points] for name, points in found.items()} == {
        "low": [1.0, 16.0, 256.0],
        "high": [1.0, 16.0],
    }
    # Triangles are drawn where they are, not where they were asked for.
    sweep = Sweep({"triangles": ("1000", "2000")})
    sweep.cells += [Cell({"triangles": n}, measured(1.0, triangles_mean=float(n) + 7)) for n in ("1000", "2000")]
    assert [place for place, _ in lines(sweep)[""]] == [1007.0, 2007.0]


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_plots_name_their_lines(tmp_path, ending):
    path = tmp_path / f"plot.{ending}"
    plot_sweeps([("One", grid()), ("Two", grid()), ("Three", grid())], path)
    if ending == "svg":
        text = path.read_text("utf-8")
        assert all(text.count(f">{word}<") == 3 for word in ("low", "high"))
        assert all(f">{title}<" in text for title in ("One", "Two", "Three"))
    else:
        assert matplotlib.image.imread(path).shape[0] > 500
