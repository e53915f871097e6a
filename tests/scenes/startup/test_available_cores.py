"""The number of cores that a process may use: affinity and the quotas of control groups."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchsim.scenes.startup.available_cores import affinity_cores, available_cores

_V1 = "32 31 0:29 {mounted} /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
_V2 = "41 31 0:38 {mounted} /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batchsim.scenes.startup.available_cores.affinity_cores", lambda: 64)


def _system(root: Path, cgroup: str, mountinfo: str, files: dict[str, str]) -> Path:
    content = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mountinfo}
    content |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.usefixtures("many_cores")
@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "files", "expected"),
    [
        pytest.param("0::/\n", _V2.format(mounted="/"), {"cpu.max": "400000 100000"}, 4, id="container, version 2"),
        pytest.param("0::/\n", _V2.format(mounted="/"), {"cpu.max": "max 100000"}, 64, id="no quota, version 2"),
        pytest.param("0::/\n", _V2.format(mounted="/"), {"cpu.max": "150000 100000"}, 2, id="a core and a half"),
        pytest.param("0::/\n", _V2.format(mounted="/"), {"cpu.max": "5000 100000"}, 1, id="a twentieth of a core"),
        pytest.param(
            "0::/job/step\n",
            _V2.format(mounted="/"),
            {"job/cpu.max": "300000 100000", "job/step/cpu.max": "max 100000"},
            3,
            id="the parent's quota, version 2",
        ),
        pytest.param(
            "3:cpuset:/a\n1:cpu,cpuacct:/a\n0::/\n",
            _V1.format(mounted="/"),
            {"cpu/a/cpu.cfs_quota_us": "200000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            2,
            id="version 1",
        ),
        pytest.param(
            "1:cpu:/docker/1234\n",
            _V1.format(mounted="/docker/1234"),
            {"cpu/cpu.cfs_quota_us": "700000", "cpu/cpu.cfs_period_us": "100000"},
            7,
            id="container that sees its own group as the root, version 1",
        ),
        pytest.param(
            "1:cpu:/a\n",
            _V1.format(mounted="/"),
            {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"},
            64,
            id="no quota, version 1",
        ),
        pytest.param("", "", {}, 64, id="no control groups"),
        pytest.param("0::/\n", _V2.format(mounted="/"), {"cpu.max": "nonsense"}, 64, id="unreadable"),
    ],
)
def test_quotas_limit_the_cores(tmp_path: Path, cgroup: str, mountinfo: str, files: dict[str, str], expected: int):
    assert available_cores(_system(tmp_path, cgroup, mountinfo, files)) == expected


_PRINT = """
import batchsim, os, sys
from batchsim.scenes.startup.available_cores import available_cores
import torch
print(available_cores(), torch.get_num_threads(), os.environ.get("LP_NUM_THREADS"))
"""


def _in_process(prefix: list[str], **environ: str) -> list[str]:
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    command = [*prefix, sys.executable, "-c", _PRINT]
    done = subprocess.run(command, env=clean | environ, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs taskset")
def test_taskset_limits_threads():
    assert _in_process(["taskset", "-c", str(min(os.sched_getaffinity(0)))])[:2] == ["1", "1"]


@pytest.fixture
def half_a_core() -> Iterator[list[str]]:
    """A command prefix that runs a program in a real control group with a quota of half a core."""
    for base, files in (
        (Path("/sys/fs/cgroup/cpu"), {"cpu.cfs_quota_us": "50000"}),
        (Path("/sys/fs/cgroup"), {"cpu.max": "50000 100000"}),
    ):
        group = base / f"batchsim-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            for name, text in files.items():
                (group / name).write_text(text)
        except OSError:
            group.rmdir()
            continue
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
        group.rmdir()
        return
    pytest.skip("control groups cannot be made here")


@pytest.mark.skipif(affinity_cores() == 1, reason="needs two cores")
def test_a_real_quota_limits_threads(half_a_core: list[str]):
    assert _in_process(half_a_core) == ["1", "1", "1"]


@pytest.mark.skipif(affinity_cores() == 1, reason="needs two cores")
def test_the_users_own_numbers_win(half_a_core: list[str]):
    assert _in_process(half_a_core, OMP_NUM_THREADS="2", LP_NUM_THREADS="3") == ["1", "2", "3"]
