"""The worker process: what it imports, and when it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import batchsim

ROOT = Path(batchsim.__file__).resolve().parents[1]
HOSTILE = ("random", "queue", "pickle", "threading", "numpy", "scenes", "agents", "batchsim", "scenes/__init__")


def run_in(folder: Path, code: str, *arguments: str, **options) -> subprocess.Popen:
    """Starts a Python script that lies outside `folder`, with `folder` as its current folder."""
    script = folder.parent / "outside" / "script.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{code}")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["BATCHSIM_CACHE"] = str(folder.parent / "cache")
    return subprocess.Popen([sys.executable, script, *arguments], cwd=folder, env=environment, **options)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def test_modules_in_the_current_folder_are_not_run(folder):
    for name in HOSTILE:
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"open({str(folder / 'run')!r}, 'a').write(__name__)\n")
    code = "from batchsim import scenes\nprint(len(scenes.load_all('homes:val?count=2', workers=2, progress=False)))\n"
    process = run_in(folder, code, stdout=subprocess.PIPE)
    assert process.communicate(timeout=120)[0] == b"2\n"
    assert not (folder / "run").exists()
    assert len(list((folder.parent / "cache").glob("*.scene"))) == 2


def test_a_source_of_the_user_is_imported_from_the_path_of_the_parent(folder):
    modules = folder.parent / "modules"
    modules.mkdir()
    (modules / "own_source.py").write_text(
        "from dataclasses import dataclass\nfrom batchsim.scenes.sources.scene_source import WorldSource\n"
        "@dataclass(frozen=True)\nclass Own(WorldSource):\n    pass\n"
    )
    code = (
        f"sys.path.append({str(modules)!r})\nfrom own_source import Own\nfrom batchsim.scenes import bake_many\n"
        "source = Own(name='one-room')\nbake_many([source], progress=False)\nprint(source.is_ready)\n"
    )
    assert run_in(folder, code, stdout=subprocess.PIPE).communicate(timeout=120)[0] == b"True\n"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent_also_in_the_middle_of_baking(folder, number):
    code = "from batchsim import scenes\nscenes.load_all('homes:val?detail=high', workers=2, progress=False)\n"
    process = run_in(folder, code)
    try:
        workers = wait_for(lambda: busy_workers(process.pid) if len(busy_workers(process.pid)) == 2 else None)
    finally:
        process.send_signal(number)
        process.wait()
    began = time.monotonic()
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert time.monotonic() - began < 4
    assert not list((folder.parent / "cache").glob(".*"))


def busy_workers(parent: int) -> list[int]:
    """Process ids of the workers of `parent` that have computed for a second, so that they are baking."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks = int(fields[11]) + int(fields[12])
        if int(fields[1]) == parent and ticks > os.sysconf("SC_CLK_TCK"):
            found.append(int(path.parent.name))
    return found


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.05)
    return result
