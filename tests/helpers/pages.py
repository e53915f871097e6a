"""What the tests read from the documentation: tables of Markdown and the rooms of docs/architecture.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
_PACKAGES = {"scenes": "batchsim.scenes", "batchsim": "batchsim", "agents": "batchsim.agents"}


@dataclass(frozen=True)
class Room:
    """A row of a table of rooms: a folder and the Python files of it that the row names."""

    folder: str
    files: tuple[str, ...]

    def paths(self) -> list[str]:
        """The paths of the files, from the root of the checkout."""
        return [f"{self.folder}/{name}.py" for name in self.files]


def table_rows(text: str) -> list[list[str]]:
    """The cells of all table rows in `text`, without headings and rules."""
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")] for line in re.findall(r"^\|.*\|$", text, re.M)
    ]
    rules = [i for i, row in enumerate(rows) if set("".join(row)) <= set("-: ")]
    return [row for i, row in enumerate(rows) if i not in rules and i + 1 not in rules]


def room_tables() -> dict[str, list[Room]]:
    """The tables of docs/architecture.md by package: `| folder | files | job |` under the headings of the packages."""
    text = ARCHITECTURE.read_text("utf-8")
    found = {}
    for folder, package in _PACKAGES.items():
        (section,) = re.findall(rf"^### {folder}/\n(.*?)(?=^#)", text, re.DOTALL | re.MULTILINE)
        rows = [(re.findall(r"`([\w/]+)/`", row[0]), re.findall(r"`(\w+)`", row[1])) for row in table_rows(section)]
        found[package] = [Room(name, tuple(files)) for (name,), files in rows]
    return found
