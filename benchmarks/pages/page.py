"""Writes the figures of the benchmark page from JSON files.

    python -m benchmarks.pages.page docs/benchmarks.md docs/benchmarks/*.json

The JSON files come from `batchsim-bench --json`, its sweeps, `make gpu-check` and `benchmarks/peers/compare.py`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchsim.agents.benchmarks.sweep import Sweep
from batchsim.agents.cli import run_command
from batchsim.agents.errors import AgentError
from benchmarks.pages.page_sections import changes, growth, measurements, peers

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
"""Everything between these two lines of the page is replaced; the rest is kept."""


@dataclass
class Figures:
    """The content of the JSON files by kind; sweeps are grouped by the plot that shows them."""

    records: list[dict[str, Any]] = field(default_factory=list)
    sweeps: dict[Path, list[Sweep]] = field(default_factory=dict)
    changes: list[Sweep] = field(default_factory=list)
    peers: list[dict[str, Any]] = field(default_factory=list)

    def markdown(self, page: Path) -> str:
        """Return all sections as Markdown, with links to plots relative to `page`."""
        sections = [peers(content) for content in sorted(self.peers, key=lambda c: c["date"], reverse=True)]
        for plot, sweeps in sorted(self.sweeps.items(), reverse=True):
            sections.append(growth(sweeps, os.path.relpath(plot, page.parent)))
        sections += map(changes, self.changes)
        if self.records:
            sections.append(measurements(self.records))
        return "\n".join(sections)


def read_figures(files: Iterable[Path]) -> Figures:
    """Read JSON files.

    Raises:
        AgentError: A file cannot be read or holds no figures.
    """
    found = Figures()
    for file in files:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise AgentError(f"{file} cannot be read as JSON: {error}") from None
        if isinstance(content, dict) and "change" in content.get("axes", ()):
            found.changes.append(Sweep.from_json(content))
        elif isinstance(content, dict) and "axes" in content:
            found.sweeps.setdefault(plot_of(file), []).append(Sweep.from_json(content))
        elif isinstance(content, dict) and "peers" in content:
            found.peers.append(content)
        else:
            found.records += _records(file, content)
    return found


def plot_of(file: Path) -> Path:
    """Return the plot that shows the sweep in `file`: LABEL-growth.png for LABEL-sweep-NAME.json."""
    return file.with_name(f"{file.stem.split('-sweep')[0]}-growth.png")


def _records(file: Path, content: Any) -> list[dict[str, Any]]:
    records = content if isinstance(content, list) else [content]
    if not all(isinstance(record, dict) and "fps" in record and "command" in record for record in records):
        raise AgentError(f"{file} holds no figures of batchsim-bench; expected one of its JSON objects, or a list.")
    return records


def write_page(page: Path, files: Iterable[Path]) -> None:
    """Write the figures of `files` into `page`, between its two marker lines.

    Raises:
        AgentError: The page lacks a marker, or a file holds no figures.
    """
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise AgentError(f"{page} must hold the lines {BEGIN!r} and {END!r}, each once.")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n\n{read_figures(files).markdown(page)}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Run the command."""
    run_command("benchmarks.page", _main)


def _main() -> int:
    if len(sys.argv) < 3:
        raise AgentError("expected the page and the JSON files: docs/benchmarks.md docs/benchmarks/*.json")
    write_page(Path(sys.argv[1]), map(Path, sys.argv[2:]))
    return 0


if __name__ == "__main__":
    main()
