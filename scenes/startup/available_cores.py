"""How many cores this process may use: by its CPU affinity, and by the CPU quotas of its control groups.

`taskset` and most job schedulers set an affinity; containers started with `--cpus` get a quota, which Python's
`os.cpu_count()` and `os.sched_getaffinity()` do not see.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def available_cores(root: Path = Path("/")) -> int:
    """Returns the number of cores that this process may use, at least 1.

    A quota of a fraction of a core counts as a whole core, so 1.5 cores count as 2: with one thread, a third of the
    quota would be lost.

    Args:
        root: The folder that holds `proc` and `sys`.
    """
    cores = affinity_cores()
    for quota, period in _quotas(root):
        cores = min(cores, max(1, -(-quota // period)))
    return cores


def affinity_cores() -> int:
    """Returns the number of cores that this process's threads may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[tuple[int, int]]:
    """Yields the quotas that apply to this process: microseconds of CPU time in each period, and the period."""
    for folder, inside in _cpu_groups(root):
        # Each group above limits its children too. In a container the path can lie outside what is mounted.
        levels = [folder, *(folder / part for part in _paths_below(inside))]
        for level in levels:
            found = _version_2(level) or _version_1(level)
            if found:
                yield found


def _paths_below(inside: str) -> Iterator[str]:
    parts = [part for part in inside.split("/") if part not in ("", "..")]
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])


def _cpu_groups(root: Path) -> Iterator[tuple[Path, str]]:
    """Yields mounted hierarchies that control CPU time, each with this process's group below the mount."""
    groups = {}  # by controllers; version 2 has none
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            groups["" if not controllers else "cpu"] = path
    for line in _lines(root / "proc/self/mountinfo"):
        # 32 31 0:29 /mounted/part /mount/point rw,relatime - type source options
        fields, _, rest = line.partition(" - ")
        kind, _, options = (*rest.split(), "", "", "")[:3]
        controller = {"cgroup2": "", "cgroup": "cpu"}.get(kind)
        if controller is None or controller not in groups or (controller and "cpu" not in options.split(",")):
            continue
        mounted, point = fields.split()[3:5]
        inside = groups[controller].removeprefix(mounted) if mounted != "/" else groups[controller]
        yield root / point.lstrip("/"), inside


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _version_2(folder: Path) -> tuple[int, int] | None:
    line = _lines(folder / "cpu.max")
    numbers = line[0].split() if line else []
    return _positive(*numbers) if len(numbers) == 2 else None


def _version_1(folder: Path) -> tuple[int, int] | None:
    quota, period = (_lines(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    return _positive(quota[0], period[0]) if quota and period else None


def _positive(quota: str, period: str) -> tuple[int, int] | None:
    """Returns both as numbers; None if there is no quota ("max" or -1)."""
    try:
        numbers = int(quota), int(period)
    except ValueError:
        return None
    return numbers if min(numbers) > 0 else None
