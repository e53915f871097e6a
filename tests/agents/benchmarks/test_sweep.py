"""Grids of measurements: which cells there are, what becomes of those that fail, how they are written and drawn."""

import csv
import json
from dataclasses import replace

import matplotlib.image
import pytest

from batchsim.agents import bench
from batchsim.agents.benchmarks import sweep as sweep_module
from batchsim.agents.benchmarks.changes import UNCHANGED, ratios, run_changes
from batchsim.agents.benchmarks.command import SWITCHES, TrainBench, with_detail
from batchsim.agents.benchmarks.plot import lines, main_axis, plot_sweeps
from batchsim.agents.benchmarks.sweep import Cell, Sweep, parse_axes, write_csv
from batchsim.agents.benchmarks.table import print_sweep
from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from benchmarks.pages.page import read_figures


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


def test_a_switch_is_turned_and_a_plus_sign_is_a_comma(monkeypatch):
    typed = []
    monkeypatch.setattr(
        sweep_module, "_measure", lambda mode, arguments, values: typed.append(arguments) or Cell(values)
    )
    sweep_module.run_sweep("step", ["--a"], {"sensors": ("depth+rgb",), "fine_goal": ("on", "off")})
    assert typed == [["--a", "--sensors", "depth,rgb", f"--{no}fine-goal"] for no in ("", "no-")]


def test_changes_are_measured_there_and_back(monkeypatch, capsys):
    """A machine that takes a tenth longer with each measurement is no reason to think less of the later ones."""
    said, cost = [], iter(1 + 0.1 * k for k in range(8))
    gains = {"--compile-policy": 2.0, "--precision": 0.5}

    def measure(mode, arguments, values):
        said.append(arguments[1:])
        if "--channels-last" in arguments:
            return Cell(values, None, "no memory")
        us = next(cost) * 100 / gains.get(arguments[1] if arguments[1:] else "", 1.0)
        stages = {"simulate": 0.25 * us, "render": None, "infer": 0.5 * us, "learn": 0.25 * us}
        return Cell(values, measured(1e6 / us, us_per_frame=stages, repeats=5, peak_host_bytes=len(said)))

    monkeypatch.setattr(sweep_module, "_measure", measure)
    wanted = {"compile_policy": "on", "channels_last": "on", "precision": "bfloat16"}
    sweep = run_changes("train", ["--a"], wanted)
    compiled, last, half = ["--compile-policy"], ["--channels-last"], ["--precision", "bfloat16"]
    assert said == [[], compiled, last, half, half, compiled, []]
    with pytest.raises(AgentError, match="passes is 0"):
        run_changes("train", [], wanted, passes=0)
    assert sweep.axes["change"] == ("unchanged", "compile_policy=on", "channels_last=on", "precision=bfloat16")
    assert sweep.cells[2].failure == "no memory"
    # Costs of 100, 110, 120, 130, 140 and 150: 125 on average for each pair.
    assert ratios(sweep) == [1.0, pytest.approx(2.0), None, pytest.approx(0.5)]
    first = sweep.cells[0].record
    assert (first["fps"], first["repeats"], first["peak_host_bytes"]) == (pytest.approx(8000), 10, 7)
    assert first["fps_range"] == [pytest.approx(0.9e6 / 150), pytest.approx(1.1e6 / 100)]
    assert first["us_per_frame"] == pytest.approx({"simulate": 31.25, "render": None, "infer": 62.5, "learn": 31.25})
    capsys.readouterr()
    monkeypatch.setenv("COLUMNS", "120")
    print_sweep(sweep)
    rows = capsys.readouterr().out.splitlines()
    (row,) = (row for row in rows if "compile_policy=on" in row)
    assert "2.00" in row.split()


def test_every_speed_up_is_turned_over():
    quick = TrainBench(config=TrainConfig()).changes()
    assert quick["precision"] == "float32"
    options = TrainConfig().flat()
    assert {name: quick[name] for name in SWITCHES} == {name: "off" if options[name] else "on" for name in SWITCHES}
    assert set(quick.values()) > {"on", "off"}
    assert (quick["fused_optimizer"], quick["double_buffering"]) == ("off", "on")
    large = TrainBench(config=TrainConfig(channels_last=True, precision="auto")).changes()
    assert (large["channels_last"], large["precision"]) == ("off", "float32")
    assert TrainBench(config=TrainConfig(precision="float32")).changes()["precision"] == "bfloat16"


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
    plot_sweeps([replace(grid(), title=title) for title in ("One", "Two", "Three")], path)
    if ending == "svg":
        text = path.read_text("utf-8")
        assert all(text.count(f">{word}<") == 3 for word in ("low", "high"))
        assert text.count(">µs per frame<") == 3  # the fourth panel is left empty
        assert all(f">{title}<" in text for title in ("One", "Two", "Three"))
    else:
        assert matplotlib.image.imread(path).shape[0] > 500


def page_of(content, file):
    """The page's Markdown where `file` holds `content` and the page lies in the folder above."""
    file.write_text(json.dumps(content), encoding="utf-8")
    return read_figures([file]).markdown(file.parent.parent / "page.md")


def test_the_page_says_how_cost_grows_and_what_failed(tmp_path):
    about = {"machine": "a machine", "date": "2026-01-02", "commit": "abc"}
    sweep = Sweep({"num_envs": ("1", "16", "1024")}, command="batchsim-bench step", title="A step")
    costs = {"1": 400.0, "16": 100.0, "1024": 40.0}
    sweep.cells = [Cell({"num_envs": n}, measured(1e6 / cost, **about)) for n, cost in costs.items()]
    sweep.cells.append(Cell({"num_envs": "4096"}, failure="too many views"))
    text = page_of(sweep.to_json(), tmp_path / "day-sweep-n.json")
    assert f"![Cost of a frame]({tmp_path.name}/day-growth.png)" in text
    assert "| A step (environments at once, N) | — | 16 | 1,024 | 100.0 to 40.0 | **0.40** |" in text
    assert "Failed: num_envs 4096 (too many views)." in text
    assert "Commit abc." in text
    assert "batchsim-bench step" in text


def test_the_page_says_what_each_speed_up_is_worth(tmp_path):
    about = {"machine": "a machine", "date": "2026-01-02", "commit": "abc"}
    about |= {"us_per_frame": {"render": 50.0, "learn": 30.5, "infer": None}}
    cells = [Cell({"change": name}, measured(fps, **about)) for name, fps in ((UNCHANGED, 1000.0), ("fast=on", 1250.0))]
    cells.append(Cell({"change": "wild=on"}, failure="no compiler"))
    sweep = Sweep({"change": (UNCHANGED, "fast=on", "wild=on")}, cells, "batchsim-bench train --speed-ups", "mine")
    text = page_of(sweep.to_json(), tmp_path / "day-changes-mine.json")
    assert "## Effect of each performance option: mine, a machine, 2026-01-02" in text
    assert "| `unchanged` | **1.00** | 1,000 |" in text
    assert "| `fast=on` | **1.25** | 1,250 |" in text
    assert "render 50.0, learn 30.5 |" in text
    assert "| `wild=on` | — | — | — | failed: no compiler |" in text
    assert "growth.png" not in text


def test_the_page_says_what_other_simulators_do(tmp_path):
    def side(name, fps, **facts):
        return {"side": name, "fps": fps, "facts": facts}

    trained = {"parameters": 1234567, "forward_flops_per_frame": 2_500_000}
    pair = {"pair": "walking", "ratio": 6.04, "ratio_range": [5.0, 7.26], "target": 5.0, "differs": "A box."}
    pair |= {"ours": side("batchsim, N = 9", 6040.0, **trained), "theirs": side("Peer", 1000.0, **trained)}
    content = {"peers": [pair], "left_out": [{"pair": "flying", "why": "no wings"}], "packages": {"peer": ["peer==1"]}}
    content |= {"repeats": 3, "seconds": 2.0, "machine": "a machine", "versions": {"torch": "2"}, "date": "2026-01-02"}
    content |= {"commit": "abc", "command": "python compare.py"}
    text = page_of(content, tmp_path / "peers.json")
    assert "| walking | N = 9 | Peer | **6.0** | 5.0 to 7.3 | 5 | 6,040 : 1,000 |" in text
    assert "1,234,567 parameters, 2.50 MFLOP a frame forward" in text
    assert "- walking, Peer: A box." in text
    assert "- flying: no wings" in text
    assert "peer==1" in text
    assert "python compare.py" in text
