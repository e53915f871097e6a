"""The page of benchmark figures, written from the JSON that `batchsim-bench --json` and `make gpu-check` leave.

python -m agents.benchmarks.page docs/benchmarks.md docs/benchmarks/*.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.command import run_command
from agents.errors import AgentError

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
"""Everything between these lines of the page is written anew; what stands around them stays."""

_COLUMNS = ("what", "sensors", "at once", "triangles", "renderer", "frames/s", "range", "µs a frame", "memory")


def figures(records: Iterable[Mapping[str, Any]]) -> str:
    """A Markdown section for each machine and day: a table, then the commands and versions it was measured with."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for record in records:
        key = (record["date"], record["machine"], record["gl_renderer"] or "", json.dumps(record["versions"]))
        groups.setdefault(key, []).append(record)
    return "\n".join(_section(groups[key]) for key in sorted(groups, reverse=True))


def _section(records: Sequence[Mapping[str, Any]]) -> str:
    first = records[0]
    lines = [f"## {first['machine']}, {first['date']}", ""]
    lines += [f"{first['gl_renderer'] or 'No OpenGL'}; {_versions(first['versions'])}.", ""]
    lines += ["| " + " | ".join(_COLUMNS) + " |", "| " + " | ".join("---" for _ in _COLUMNS) + " |"]
    ordered = sorted(records, key=lambda r: (r["mode"], r["triangles_mean"], r["sensors"], r["renderer"] or ""))
    lines += ["| " + " | ".join(_cells(record)) + " |" for record in ordered]
    lines += ["", "```"] + [record["command"] for record in ordered] + ["```", ""]
    return "\n".join(lines)


def _cells(record: Mapping[str, Any]) -> list[str]:
    low, high = record["fps_range"]
    stages = ", ".join(f"{name} {time:,.1f}" for name, time in record["us_per_frame"].items() if time is not None)
    if record.get("us_per_empty_frame") is not None:
        stages += f" ({record['us_per_empty_frame']:,.1f} empty)"
    return [
        record["mode"],
        ", ".join(record["sensors"]) or "none",
        f"{record['num_envs']:,} of {record['width']}×{record['height']}",
        f"{record['triangles_mean']:,.0f} in {record['num_scenes']} scenes",
        record["renderer"] or "none",
        f"**{record['fps']:,.0f}**",
        f"{low:,.0f} to {high:,.0f}",
        stages,
        f"{record['peak_memory_bytes'] / 2**20:,.0f} MiB",
    ]


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def read_records(files: Iterable[Path]) -> list[dict[str, Any]]:
    """The records of JSON files that hold one or a list of them; raises `AgentError` for files that do not."""
    records = []
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise AgentError(f"{file} cannot be read as JSON: {error}") from None
        found = content if isinstance(content, list) else [content]
        if not all(isinstance(record, dict) and "fps" in record and "command" in record for record in found):
            raise AgentError(f"{file} holds no figures of batchsim-bench; expected one of its JSON objects, or a list.")
        records += found
    return records


def write_page(page: Path, files: Iterable[Path]) -> None:
    """Put the figures of `files` into `page`, between its two marks; raises `AgentError` if it lacks them."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise AgentError(f"{page} must hold the lines {BEGIN!r} and {END!r}, each once.")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n\n{figures(read_records(files))}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """The command line."""
    run_command("benchmarks.page", _main)


def _main() -> int:
    if len(sys.argv) < 3:
        raise AgentError("expected the page and the JSON files: docs/benchmarks.md docs/benchmarks/*.json")
    write_page(Path(sys.argv[1]), map(Path, sys.argv[2:]))
    return 0


if __name__ == "__main__":
    main()
