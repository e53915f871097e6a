"""`batchsim-bench`: timing against a clock that is turned by hand, the commands from outside, the page of figures."""

import json

import pytest
import torch

from batchsim.agents import bench
from batchsim.agents.benchmarks import measure
from batchsim.agents.benchmarks.measure import CallTimer, Stages, Timing, time_steps
from batchsim.agents.benchmarks.workloads.step import random_actions
from batchsim.agents.errors import AgentError
from benchmarks.pages.page import BEGIN, END, main, read_figures, write_page
from benchmarks.pages.page_sections import measurements

FIELDS = {
    "mode",
    "fps",
    "num_envs",
    "width",
    "height",
    "sensors",
    "renderer",
    "gl_renderer",
    "device",
    "scenes",
    "triangles_mean",
    "steps",
    "us_per_frame",
    "peak_memory_bytes",
    "seed",
    "versions",
}
SMALL = ["--num-envs", "3", "--width", "16", "--height", "8", "--seconds", "0.02", "--repeats", "3", "--device", "cpu"]


class Clock:
    """Time passes only when a step says so."""

    def __init__(self, monkeypatch, costs=()):
        self.now, self.calls, self.waits = 0.0, 0, 0
        self.costs = list(costs)
        monkeypatch.setattr(measure.time, "perf_counter", lambda: self.now)

    def step(self):
        self.now += self.costs.pop(0) if self.costs else 0.5
        self.calls += 1

    def wait(self):
        self.waits += 1


def test_warm_up_is_left_out(monkeypatch):
    clock = Clock(monkeypatch, costs=[100.0, 50.0])
    timing = time_steps(clock.step, clock.wait, repeats=3, seconds=4.0)
    assert timing.steps == 8
    assert timing.seconds == (4.0, 4.0, 4.0)
    assert clock.waits % 2 == 0


def test_steps_are_taken_as_asked(monkeypatch):
    clock = Clock(monkeypatch)
    assert time_steps(clock.step, clock.wait, 2, 1.0, steps=5) == Timing(5, (2.5, 2.5))


def test_what_the_device_has_left_to_do_counts(monkeypatch):
    """Steps return at once; the work shows when the device is waited for."""
    clock = Clock(monkeypatch)
    pending = [0]

    def step():
        pending[0] += 1

    def wait():
        clock.now += 2.0 * pending[0]
        pending[0] = 0

    assert time_steps(step, wait, 1, 1.0, steps=4).seconds == (8.0,)


def test_rates_are_the_median_and_the_range():
    assert Timing(10, (1.0, 4.0, 2.0)).rates(6) == (30.0, 15.0, 60.0)


def test_call_timer_adds_up(monkeypatch):
    clock = Clock(monkeypatch)
    watch = CallTimer(lambda factor: (clock.step(), factor)[1], clock.wait)
    assert [watch(7), watch(factor=8)] == [7, 8]
    assert watch.seconds == 1.0
    assert clock.waits == 4


def test_actions_walk_more_than_they_stop():
    actions = torch.stack(random_actions(500, 0, torch.device("cpu")))
    shares = torch.bincount(actions.flatten(), minlength=4) / actions.numel()
    assert shares.tolist() == pytest.approx([0.01, 0.6, 0.2, 0.19], abs=0.01)
    assert torch.equal(actions, torch.stack(random_actions(500, 0, torch.device("cpu"))))


@pytest.mark.parametrize("task", ["objectnav", "imagenav"])
def test_steps_of_other_tasks(capsys, task):
    options = ["--task", task, "--sensors", "rgb", "--scenes", "homes:train?count=1", "--no-limits", "--json"]
    code, printed = run(capsys, "step", *SMALL, *options)
    assert code == 0, printed.err
    record = json.loads(printed.out)
    assert record["fps"] > 0
    assert record["options"]["task"] == task


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_info:
        bench.main(list(arguments))
    return exit_info.value.code, capsys.readouterr()


@pytest.mark.parametrize(
    ("mode", "sensors", "stages"),
    [
        ("render", "depth", {"render"}),
        ("step", "depth,semantic", {"render", "simulate"}),
        ("step", "none", {"simulate"}),
    ],
)
def test_json_holds_what_was_measured(capsys, mode, sensors, stages):
    code, printed = run(capsys, mode, "--scenes", "one-room", "--sensors", sensors, "--json", *SMALL)
    assert code == 0
    result = json.loads(printed.out)
    assert set(result) >= FIELDS
    assert result["mode"] == mode
    assert result["sensors"] == ([] if sensors == "none" else sensors.split(","))
    assert (result["num_envs"], result["width"], result["height"]) == (3, 16, 8)
    assert result["renderer"] in ((None,) if sensors == "none" else ("raycast", "raster"))
    assert result["triangles_mean"] == 12
    low, high = result["fps_range"]
    assert 0 < low <= result["fps"] <= high
    times = result["us_per_frame"]
    assert set(times) == {"simulate", "render", "infer", "learn"}
    assert {name for name, time in times.items() if time is not None} == stages
    assert sum(times[name] for name in stages) == pytest.approx(1e6 / result["fps"])
    assert (result["us_per_empty_frame"] is not None) == (mode == "render")
    assert result["peak_memory_bytes"] == result["peak_host_bytes"] > 2**20
    shares = {"copy_bytes_per_second"} | ({"traversal_rays_per_second"} if result["renderer"] == "raycast" else set())
    assert set(result["limit_shares"]) == (shares if mode == "render" else {"copy_bytes_per_second"})
    assert result["options"].keys() >= {"seconds", "triangles"}
    assert result["command"].startswith(f"batchsim-bench {mode} --scenes one-room")


def test_scenes_that_take_turns_are_measured_step_by_step(capsys, tmp_path, one_room, four_rooms):
    for name, scene in (("a", one_room), ("b", four_rooms), ("c", one_room)):
        scene.save(tmp_path / f"{name}.scene")
    options = ["--num-envs", "2", "--sensors", "none", "--device", "cpu", "--steps", "300", "--repeats", "2"]
    _, printed = run(capsys, "step", *options, "--scenes", str(tmp_path), "--num-resident-scenes", "2", "--json")
    found = json.loads(printed.out)
    steps = found["single_steps"]
    assert 0 < steps["median"] <= steps["longest"]
    assert steps["scene_changes"] >= 1
    assert found["num_scenes"] == 2
    assert found["options"]["num_resident_scenes"] == 2
    _, printed = run(capsys, "step", *options, "--scenes", "one-room", "--json")
    assert json.loads(printed.out)["single_steps"] is None


def test_training_is_measured_from_end_to_end(capsys):
    options = ["--scenes", "one-room", "--num-envs", "4", "--rollout-steps", "4", "--visual-channels", "4", "4"]
    options += ["--width", "16", "--height", "16", "--iterations", "1", "--repeats", "2", "--renderer", "raster"]
    code, printed = run(capsys, "train", *options, "--minibatches", "4", "--json")
    assert code == 0
    result = json.loads(printed.out)
    assert set(result) >= FIELDS
    assert (result["mode"], result["num_envs"], result["sensors"], result["steps"]) == ("train", 4, ["depth"], 4)
    assert all(time > 0 for time in result["us_per_frame"].values())
    assert sum(result["us_per_frame"].values()) == pytest.approx(1e6 / result["fps"])
    assert result["options"]["config"]["rollout_steps"] == 4


def test_stages_are_timed_while_watched_only(monkeypatch):
    clock = Clock(monkeypatch)

    class Worker:
        def work(self):
            clock.step()

    worker = Worker()
    with Stages(torch.device("cpu"), {"work": [(worker, "work")]}) as stages:
        worker.work()
        worker.work()
    worker.work()
    assert stages.seconds("work") == 1.0
    assert stages.seconds("other") == 0.0
    assert clock.calls == 3


def test_the_table_is_for_people(capsys):
    code, printed = run(capsys, "render", "--scenes", "one-room", *SMALL)
    assert code == 0
    assert "frames per second" in printed.out
    assert "3 of 16 x 8, depth" in printed.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["step", "--num-envs", "0"], "num_envs is 0"),
        (["step", "--repeats", "0"], "repeats is 0"),
        (["step", "--steps", "0"], "steps is 0"),
        (["step", "--seconds", "0"], "seconds is 0"),
        (["render", "--sensors", "sonar", "--scenes", "one-room"], "sonar"),
        (["render", "--sensors", "none", "--scenes", "one-room"], "expected some of depth"),
        (["render", "--scenes", "nowhere"], "nowhere"),
        (["render", "--scenes", "one-room", "--device", "tpu"], "device='tpu'"),
        (["step", "--triangles", "0"], "triangles is 0"),
        (["train", "--iterations", "0"], "iterations is 0"),
        (["train", "--num-envs", "0"], "num_envs is 0"),
        (["train", "--preset", "none"], "no preset 'none'"),
        (["step", "--sweep", "num_envs"], "expected an option and its values"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, arguments, message):
    code, printed = run(capsys, *arguments)
    assert code == 2
    assert printed.out == ""
    assert printed.err.startswith("batchsim-bench: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1


def record(**changes):
    base = {
        "mode": "render",
        "fps": 12345.6,
        "fps_range": [12000.0, 12500.0],
        "num_envs": 256,
        "width": 64,
        "height": 48,
        "sensors": ["depth"],
        "renderer": "raycast",
        "gl_renderer": "llvmpipe",
        "scenes": "homes:train",
        "num_scenes": 8,
        "triangles_mean": 1000.0,
        "us_per_frame": {"simulate": None, "render": 81.0, "infer": None, "learn": None},
        "us_per_empty_frame": 2.5,
        "peak_memory_bytes": 2**30,
        "versions": {"torch": "2.6"},
        "machine": "a machine",
        "date": "2026-01-02",
        "command": "batchsim-bench render",
    }
    return base | changes


def test_figures_are_grouped_by_machine_and_day_the_latest_first():
    text = measurements([record(), record(date="2026-03-04"), record(machine="another", gl_renderer=None)])
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert heads == ["## a machine, 2026-03-04", "## another, 2026-01-02", "## a machine, 2026-01-02"]
    assert (
        "| render | depth | 256 of 64×48 | 1,000 in 8 scenes | raycast | **12,346** | 12,000 to 12,500 | "
        "render 81.0 (2.5 empty) | — | 1,024 MiB | — |"
    ) in text


def test_the_page_keeps_what_stands_around_the_figures(tmp_path):
    page, one, two = tmp_path / "page.md", tmp_path / "one.json", tmp_path / "two.json"
    page.write_text(f"# Figures\n\n{BEGIN}\nold\n{END}\n\nAfter.\n", encoding="utf-8")
    one.write_text(json.dumps(record()), encoding="utf-8")
    two.write_text(json.dumps([record(fps=5.0), record(fps=6.0)]), encoding="utf-8")
    for _ in range(2):  # the second time changes nothing
        write_page(page, [one, two])
        text = page.read_text(encoding="utf-8")
        assert text.startswith("# Figures\n")
        assert text.endswith(f"{END}\n\nAfter.\n")
        assert "old" not in text
        assert text.count("| render |") == 3


def test_pages_and_files_that_do_not_fit(tmp_path, capsys, monkeypatch):
    page, other = tmp_path / "page.md", tmp_path / "other.json"
    other.write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(AgentError, match="no figures of batchsim-bench"):
        read_figures([other])
    with pytest.raises(AgentError, match="cannot be read as JSON"):
        read_figures([tmp_path / "missing.json"])
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(AgentError, match="must hold the lines"):
        write_page(page, [])
    monkeypatch.setattr("sys.argv", ["page"])
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 2
    assert "expected the page" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.parametrize("mode", ["render", "step"])
def test_gpu_figures_say_so(capsys, mode):
    small = [*SMALL[:-1], "cuda"]
    code, printed = run(capsys, mode, "--scenes", "one-room", "--json", *small)
    result = json.loads(printed.out)
    assert code == 0
    assert result["peak_torch_bytes"] > 0
    assert result["us_per_frame"]["render"] > 0
    assert result["device"].startswith("cuda:")
    assert "cuda" in result["versions"]


@pytest.mark.gpu
def test_gpu_trains_resumes_and_evaluates(tmp_path):
    """The learner follows the environment to its device."""
    from batchsim.agents.config import TrainConfig
    from batchsim.agents.evaluation.candidates import find_candidates
    from batchsim.agents.evaluation.episode_selection import episodes_of_set
    from batchsim.agents.evaluation.session import EvalSession
    from batchsim.agents.train import train

    config = TrainConfig(
        scenes="one-room", num_envs=8, rollout_steps=4, total_frames=64, eval_scenes="", visual_channels=(4, 4)
    )
    out = tmp_path / "run"
    assert train(config, out) == 0
    assert train(config, out, resume=True) == 0
    chosen = episodes_of_set("one-room", 4)
    for candidate in find_candidates([str(out), "random", "greedy", "oracle"]):
        for deterministic in (False, True):
            alone, together = (EvalSession(chosen, n, 0, deterministic, device="cuda").run(candidate) for n in (1, 4))
            assert alone.records == together.records
