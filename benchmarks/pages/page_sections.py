"""Sections of the benchmark page as Markdown: measurements, scaling, performance options, other simulators."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from batchsim.agents.benchmarks.changes import ratios
from batchsim.agents.benchmarks.plot import AXIS_WORDS, lines, main_axis
from batchsim.agents.benchmarks.sweep import Cell, Sweep

Record = Mapping[str, Any]

_COLUMNS = (
    "what",
    "sensors",
    "batch",
    "triangles",
    "renderer",
    "frames/s",
    "range",
    "µs per frame",
    "of the limit",
    "memory",
    "commit",
)
_LIMITS = {
    "traversal_rays_per_second": "bare traversal",
    "copy_bytes_per_second": "bandwidth",
    "matmul_flops_per_second": "FLOP/s",
}


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return ["| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *rows)]


def code(lines_: Iterable[str]) -> list[str]:
    """Return a code block of the lines, without duplicates."""
    return ["```", *dict.fromkeys(lines_), "```"]


def measurements(records: Iterable[Record]) -> str:
    """Return a section for each machine and date: versions, a table, and the commands."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        key = (record["date"], record["machine"], record["gl_renderer"] or "", json.dumps(record["versions"]))
        groups.setdefault(key, []).append(record)
    return "\n".join(_measured_together(groups[key]) for key in sorted(groups, reverse=True))


def _measured_together(records: Sequence[Record]) -> str:
    first = records[0]
    ordered = sorted(records, key=lambda r: (r["mode"], r["triangles_mean"], r["sensors"], r["renderer"] or ""))
    about = f"{first['gl_renderer'] or 'No OpenGL'}; {_versions(first['versions'])}."
    lines_ = [f"## {first['machine']}, {first['date']}", "", about, ""]
    lines_ += table(_COLUMNS, map(_cells, ordered))
    return "\n".join([*lines_, "", *code(record["command"] for record in ordered), ""])


def _cells(record: Record) -> list[str]:
    low, high = record["fps_range"]
    stages = _stages(record)
    if record.get("us_per_empty_frame") is not None:
        stages += f" ({record['us_per_empty_frame']:,.1f} empty)"
    shares = record.get("limit_shares", {})
    return [
        record["mode"],
        ", ".join(record["sensors"]) or "none",
        f"{record['num_envs']:,} of {record['width']}×{record['height']}",
        f"{record['triangles_mean']:,.0f} in {record['num_scenes']} scenes",
        record["renderer"] or "none",
        f"**{record['fps']:,.0f}**",
        f"{low:,.0f} to {high:,.0f}",
        stages,
        ", ".join(f"{share:.0%} {_LIMITS[name]}" for name, share in shares.items()) or "—",
        f"{record['peak_memory_bytes'] / 2**20:,.0f} MiB",
        record.get("commit") or "—",
    ]


def _stages(record: Record) -> str:
    """Return the microseconds per frame of each stage."""
    return ", ".join(f"{name} {time:,.1f}" for name, time in record["us_per_frame"].items() if time is not None)


def growth(sweeps: Sequence[Sweep], image: str) -> str:
    """Return the section on scaling: the plot, the ends of each line, failed cells, and the commands."""
    cells = [cell for sweep in sweeps for cell in sweep.cells]
    first = next(cell.record for cell in cells if cell.record is not None)
    lines_ = [f"## How cost scales: {first['machine']}, {first['date']}", "", f"![Cost of a frame]({image})", ""]
    rows = [row for sweep in sweeps for row in _ends(sweep)]
    lines_ += table(("sweep", "line", "from", "to", "µs per frame", "ratio"), rows)
    failed = [cell for cell in cells if cell.record is None]
    if failed:
        lines_ += ["", "Failed: " + "; ".join(f"{_values(cell)} ({cell.failure})" for cell in failed) + "."]
    commits = sorted({cell.record["commit"] or "unknown" for cell in cells if cell.record is not None})
    return "\n".join([*lines_, "", f"Commit {', '.join(commits)}.", "", *code(sweep.command for sweep in sweeps), ""])


def _ends(sweep: Sweep) -> Iterable[list[str]]:
    """Yield a row for each line of the plot: its first and last cell; for `num_envs` those of 16 and 1024."""
    axis = main_axis(sweep)
    for name, points in lines(sweep).items():
        first, last = points[0], points[-1]
        if axis == "num_envs":
            by_count = {cell.values[axis]: (place, cell) for place, cell in points}
            first, last = by_count.get("16", first), by_count.get("1024", last)
        costs = [1e6 / cell.record["fps"] for _, cell in (first, last) if cell.record is not None]
        words = AXIS_WORDS.get(axis, axis.replace("_", " "))
        places = [f"{place:,.0f}" if isinstance(place, float) else str(place) for place, _ in (first, last)]
        ratio = f"**{costs[1] / costs[0]:.2f}**"
        yield [f"{sweep.title} ({words})", name or "—", *places, f"{costs[0]:,.1f} to {costs[1]:,.1f}", ratio]


def changes(sweep: Sweep) -> str:
    """Return the section on performance options: training with its preset, and with each option changed alone."""
    first = next(cell.record for cell in sweep.cells if cell.record is not None)
    lines_ = [f"## Effect of each performance option: {sweep.title}, {first['machine']}, {first['date']}", ""]
    rows = [_change(cell, ratio) for cell, ratio in zip(sweep.cells, ratios(sweep), strict=True)]
    lines_ += table(("changed alone", "relative speed", "frames/s", "range", "µs per frame"), rows)
    return "\n".join([*lines_, "", f"Commit {first['commit'] or 'unknown'}.", "", *code([sweep.command]), ""])


def _change(cell: Cell, ratio: float | None) -> list[str]:
    name, record = f"`{cell.values['change']}`", cell.record
    if record is None:
        return [name, "—", "—", "—", f"failed: {cell.failure}"]
    low, high = record["fps_range"]
    return [
        name,
        "—" if ratio is None else f"**{ratio:.2f}**",
        f"{record['fps']:,.0f}",
        f"{low:,.0f} to {high:,.0f}",
        _stages(record),
    ]


def _values(cell: Cell) -> str:
    return ", ".join(f"{name} {value}" for name, value in cell.values.items())


def peers(content: Mapping[str, Any]) -> str:
    """Return the section on other simulators: ratios, what differs, what was left out, and the commands."""
    lines_ = [f"## Compared with other simulators: {content['machine']}, {content['date']}", ""]
    often = f"{content['repeats']} repeats of {content['seconds']:g} s for each side, in alternation"
    lines_ += [f"{often}: one side waits while the other runs.", ""]
    lines_ += table(
        ("work", "batchsim", "against", "ratio", "range", "target", "frames/s"), map(_pair, content["peers"])
    )
    sizes = [text for text in map(_size, content["peers"]) if text]
    lines_ += ["", *(f"- {text}" for text in dict.fromkeys(sizes))] if sizes else []
    lines_ += ["", "Differences between the two sides:", ""]
    rivals: dict[str, list[str]] = {}
    for pair in content["peers"]:
        rivals.setdefault(pair["differs"], []).append(f"{pair['pair']}, {pair['theirs']['side']}")
    lines_ += [f"- {'; '.join(names)}: {differs}" for differs, names in rivals.items()]
    if content["left_out"]:
        lines_ += ["", "Not measured:", "", *(f"- {entry['pair']}: {entry['why']}" for entry in content["left_out"])]
    packages = "; ".join(" ".join(packages) for packages in content["packages"].values())
    lines_ += [
        "",
        f"Commit {content['commit'] or 'unknown'}. {_versions(content['versions'])}. Other side: {packages}.",
    ]
    return "\n".join([*lines_, "", *code(["python benchmarks/peers/make_environments.py", content["command"]]), ""])


def _pair(pair: Mapping[str, Any]) -> list[str]:
    low, high = pair["ratio_range"]
    return [
        pair["pair"],
        pair["ours"]["side"].removeprefix("batchsim").strip(", ") or "—",
        pair["theirs"]["side"],
        f"**{pair['ratio']:.1f}**",
        f"{low:.1f} to {high:.1f}",
        "—" if pair["target"] is None else f"{pair['target']:g}",
        f"{pair['ours']['fps']:,.0f} : {pair['theirs']['fps']:,.0f}",
    ]


def _size(pair: Mapping[str, Any]) -> str:
    """Return the network sizes of both sides, if they train one."""
    facts = [pair[side]["facts"] for side in ("ours", "theirs")]
    if not all("parameters" in fact for fact in facts):
        return ""
    words = [
        f"{name} {fact['parameters']:,} parameters, {fact['forward_flops_per_frame'] / 1e6:,.2f} MFLOP a frame forward"
        for name, fact in zip(("batchsim", "the other"), facts, strict=True)
    ]
    return f"{pair['pair']}: {'; '.join(words)}."


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
