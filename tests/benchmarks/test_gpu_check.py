"""`make gpu-check`: parts that pass, fail and time out; subdivided scenes; facts without a GPU."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from batchsim.agents.benchmarks.command import parse
from batchsim.agents.benchmarks.refine import cut_finer
from benchmarks.gpu.gpu_check import gpu_check
from benchmarks.gpu.gpu_facts import facts
from benchmarks.gpu.parts import PARTS, TRAINING_PARTS, Part

FIGURES = '{"fps": 1234.5, "triangles_mean": 1000, "command": ""}'


def program(text):
    return ("-c", text)


def test_every_part_is_accounted_for(tmp_path, capsys):
    parts = (
        Part("good.json", program(f"print('{FIGURES}')")),
        Part("list.json", program(f"print('[{FIGURES}]')")),
        Part("bad.log", program("import sys; print('half'); print('what was wrong', file=sys.stderr); sys.exit(3)")),
        Part("slow.log", program("import time; print('started', flush=True); time.sleep(60)"), limit=0.5),
    )
    summary = gpu_check(tmp_path / "out", parts)
    assert summary == json.loads((tmp_path / "out" / "summary.json").read_text())
    results = summary["parts"]
    assert [result["outcome"] for result in results.values()] == ["passed", "passed", "failed", "timeout"]
    assert results["good.json"]["fps_by_triangles"] == results["list.json"]["fps_by_triangles"] == {"1,000": 1234}
    assert (results["bad.log"]["exit_code"], results["bad.log"]["stderr"]) == (3, "what was wrong")
    assert (tmp_path / "out" / "bad.log").read_text() == "half\n"
    assert (tmp_path / "out" / "slow.log").read_text() == "started\n"
    assert not summary["passed"]
    printed = capsys.readouterr().out
    assert "good.json: 1,234 frames/s at 1,000 triangles" in printed
    assert "bad.log: failed: what was wrong" in printed


def test_what_no_time_is_left_for_is_skipped(tmp_path):
    summary = gpu_check(tmp_path, (Part("late.json", program("print(1)")),), budget=5.0)
    assert summary["parts"]["late.json"] == {"outcome": "skipped", "reason": "no time left"}
    assert not (tmp_path / "late.json").exists()


def test_parts_have_files_of_their_own():
    parts = PARTS + TRAINING_PARTS
    assert len({part.file for part in parts}) == len(parts)


def test_every_gpu_test_belongs_to_a_part(request):
    given = {argument for part in PARTS for argument in part.arguments if argument.startswith("tests/")}
    root = request.config.rootpath
    marked = [file for file in (root / "tests").rglob("test_*.py") if "mark.gpu" in file.read_text("utf-8")]
    assert given == {file.relative_to(root).as_posix() for file in marked}


def test_three_minutes_give_the_most_important_figures():
    first = [part for index, part in enumerate(PARTS) if sum(p.limit for p in PARTS[:index]) < 180]
    assert {"device.json", "raycast-depth-high.json", "tests-context-and-sharing.log"} <= {part.file for part in first}


def test_the_outcome_of_each_test_is_kept(tmp_path):
    file = tmp_path / "test_some.py"
    file.write_text("def test_good(): pass\ndef test_bad(): assert 0\n")
    arguments = ("-m", "pytest", "-v", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(file))
    result = gpu_check(tmp_path / "out", (Part("tests.log", arguments),))["parts"]["tests.log"]
    found = {test.rpartition("/")[2]: outcome for test, outcome in result["tests"].items()}
    assert found == {"test_some.py::test_good": "passed", "test_some.py::test_bad": "failed"}


def test_what_was_printed_before_the_time_limit_counts(tmp_path):
    text = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('tests/test_a.py::test_one[cuda, 2] PASSED   [ 33%]')\n"
        "print('tests/test_a.py::test_two FAILED   [ 67%]')\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        "print('tests/test_a.py::test_three ', end='')\n"
        "time.sleep(60)\n"
    )
    result = gpu_check(tmp_path / "out", (Part("tests.log", program(text), limit=3.0),))["parts"]["tests.log"]
    assert result["outcome"] == "timeout"
    assert result["tests"] == {"tests/test_a.py::test_one[cuda, 2]": "passed", "tests/test_a.py::test_two": "failed"}
    child = Path(f"/proc/{(tmp_path / 'child').read_text()}/stat")
    deadline = time.monotonic() + 5
    while child.exists() and ") Z " not in child.read_text():
        assert time.monotonic() < deadline, "a child of the part is still running"
        time.sleep(0.05)


@pytest.mark.parametrize("part", [p for p in PARTS + TRAINING_PARTS if p.arguments[1] == "batchsim.agents.bench"])
def test_benchmarks_are_asked_for_with_options_that_they_have(part):
    command = parse(list(part.arguments[2:]))
    assert command.json


def area(triangles):
    sides = triangles[:, 1:].astype(float) - triangles[:, :1]
    return np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1) / 2


def test_a_scene_cut_finer_looks_the_same(homes, make_renderer):
    coarse = homes[0]
    fine = cut_finer(coarse, 9 * len(coarse.triangles))
    assert len(fine.triangles) == 9 * len(coarse.triangles)
    assert np.sort(area(fine.triangles)) == pytest.approx(np.sort(np.repeat(area(coarse.triangles) / 9, 9)), rel=1e-3)
    poses = torch.zeros(8, 7)
    poses[:, :3] = torch.as_tensor(coarse.walkable.positions[:: len(coarse.walkable.positions) // 8][:8])
    poses[:, 1] += 1.25
    poses[:, 6] = 1.0
    images = []
    for scene in (coarse, fine):
        renderer = make_renderer([scene], 8, sensors=("depth", "semantic"), backend="raycast", device="cpu")
        images.append({k: v.clone() for k, v in renderer.render(poses, torch.zeros(8, dtype=torch.int64)).items()})
    assert ((images[0]["depth"] - images[1]["depth"]).abs() < 1e-3).float().mean() > 0.999
    assert (images[0]["semantic"] == images[1]["semantic"]).float().mean() > 0.999


def test_winding_survives_the_cut(homes):
    coarse = homes[0]
    one = replace(coarse, triangles=coarse.triangles[:1], uvs=coarse.uvs[:1], materials=coarse.materials[:1])
    fine = cut_finer(replace(one, labels=coarse.labels[:1]), 25)
    normals = np.cross(fine.triangles[:, 1] - fine.triangles[:, 0], fine.triangles[:, 2] - fine.triangles[:, 0])
    wanted = np.cross(*(one.triangles[0, 1:] - one.triangles[0, 0]))
    assert len(normals) == 25
    assert (normals @ wanted > 0).all()


def test_facts_are_found_without_a_gpu_too():
    found = facts(torch.device("cpu"))
    assert found["gl_renderer"]
    assert found["us_per_handover"] > 0
    assert found["egl_devices"]
    assert found["versions"]["python"] == sys.version.split()[0]


def test_facts_name_what_is_wrong(monkeypatch):
    from batchsim import RenderError
    from benchmarks.gpu import gpu_facts

    def fail(device):
        raise RenderError("no EGL here")

    monkeypatch.setattr(gpu_facts, "create_context", fail)
    found = facts(torch.device("cpu"))
    assert found["error"] == "no EGL here"
    assert "gl_renderer" not in found
    assert found["egl_devices"]


def test_a_machine_without_cuda_is_told_in_one_line(monkeypatch, capsys):
    from benchmarks.gpu import gpu_check as module

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as exit_info:
        module.main()
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == "gpu-check: device='cuda': torch sees no CUDA device; use 'auto' or 'cpu'.\n"
