"""Who imports whom, read from the source of the three packages: nothing is imported to find out."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"batchsim.scenes": "scenes", "batchsim.agents": "agents", "batchsim": "batchsim"}
"""Folder of each package, lowest package last so that the longest name matches first."""


def name_of(path: Path) -> str:
    """The path of a file as it is written in messages: `scenes/baking/bake.py`."""
    return path.relative_to(ROOT).as_posix()


@cache
def files_of_package(package: str) -> tuple[Path, ...]:
    """All Python files of one of the three packages."""
    return tuple(sorted((ROOT / FOLDERS[package]).rglob("*.py")))


def module_file(module: str) -> Path | None:
    """The file of a module of the three packages; None for any other name."""
    for package, folder in FOLDERS.items():
        if module == package or module.startswith(f"{package}."):
            path = ROOT.joinpath(folder, *module[len(package) + 1 :].split(".")) if module != package else ROOT / folder
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file():
                    return file
            return None
    return None


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Every module that `path` may import, wherever in the file the import stands.

    `from a import b` yields `a.b` if that is a module, otherwise `a`.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: relative import; imports here are absolute"
            assert node.module is not None
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if module_file(name) else node.module for name in names}
    return frozenset(found)


@cache
def imported_files(path: Path) -> frozenset[Path]:
    """The files of the three packages that `path` names in an import."""
    return frozenset(file for module in imports_of(path) if (file := module_file(module)) and file != path)


def executed_files(module: str) -> list[Path]:
    """The files that run when `module` is imported: its own and those of the packages above it."""
    parts = module.split(".")
    names = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return [file for name in names if (file := module_file(name))]


def circles(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The groups of nodes that reach each other (strongly connected components of two nodes or more)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in edges.get(node, ()):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in list(edges):
        if node not in order:
            visit(node)
    return found


def sibling_graphs(package: str) -> Iterator[tuple[str, dict[str, set[str]]]]:
    """For each folder of a package, which of its files and folders import which others of them.

    A folder counts as one node of the folder above it. The face of a package, `__init__`, is a node of its folder.
    """
    files = files_of_package(package)
    for folder in sorted({file.parent for file in files}):
        edges: dict[str, set[str]] = {}
        for file in files:
            if folder in file.parents:
                here = file.relative_to(folder).parts[0]
                inside = [other for other in imported_files(file) if folder in other.parents]
                edges.setdefault(here, set()).update(other.relative_to(folder).parts[0] for other in inside)
        yield name_of(folder), {node: others - {node} for node, others in edges.items()}
