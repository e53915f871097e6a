"""Writes the table of `docs/compat.md`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.compat.result import Result

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
"""Everything between these two lines of the page is replaced; the rest is kept."""

_HEAD = "| trainer | version | lines of glue | frames/s | success | 95% interval | date |\n|" + " --- |" * 7


def table(results: Sequence[Result]) -> str:
    """Returns the table as Markdown, or a line that says that there are no results."""
    if not results:
        return "Nothing is measured yet."
    rows = [_HEAD]
    for result in results:
        low, high = result.interval()
        rate = f"{float(f'{result.frames_per_second:.2g}'):,.0f}"
        cells = (
            result.name,
            result.version or "–",
            str(result.lines or "–"),
            rate,
            f"{result.success:.2f}",
            f"{low:.2f} to {high:.2f}",
            result.date,
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def write_page(page: Path, results: Sequence[Result]) -> None:
    """Replaces the table of the page."""
    before, rest = page.read_text("utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n\n{table(results)}\n\n{END}{after}", encoding="utf-8")
