"""The layout of the code, read from its source: who may import whom, how full a folder is, which names are used."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

from batchsim.scenes.baking.cache import code_files
from batchsim.scenes.sources.scene_source import HomeSource, MeshFileSource, WorldSource
from tests.helpers.import_graph import (
    ROOT,
    circles,
    executed_files,
    files_of_package,
    imported_files,
    imports_of,
    module_file,
    name_of,
    sibling_graphs,
)
from tests.helpers.pages import ARCHITECTURE, room_tables

PACKAGES = ("batchsim.scenes", "batchsim", "batchsim.agents")
"""Lowest first: a package may import from itself and from those before it."""
FILES_PER_FOLDER = 12
# These store and hold the baked result; the format's version is part of the cache key as well.
STORAGE = {
    "scenes/atomic_files.py",
    "scenes/baking/packing.py",
    "scenes/baking/scene.py",
    "scenes/baking/scene_checks.py",
    "scenes/baking/scene_file.py",
    "scenes/baking/texture_sharing.py",
    "scenes/own_pages.py",
    "scenes/prefixes.py",
    "scenes/user_files.py",
}


def reached_from(*modules: str) -> set[Path]:
    """Every file of scenes/ that runs when `modules` are imported, except the faces of batchsim and scenes."""
    faces = {module_file("batchsim"), module_file("batchsim.scenes")}
    inside = set(files_of_package("batchsim.scenes"))
    reached: set[Path] = set()
    ahead = [file for module in modules for file in executed_files(module)]
    while ahead:
        file = ahead.pop()
        if file not in reached and file in inside and file not in faces:
            reached.add(file)
            ahead += [other for module in imports_of(file) for other in executed_files(module)]
    return reached


def has_code(path: Path) -> bool:
    return len(ast.parse(path.read_text("utf-8")).body) > 1


@pytest.mark.parametrize(
    ("source", "maker"),
    [
        (HomeSource(), "batchsim.scenes.homes"),
        (WorldSource(), "batchsim.scenes.sources.worlds"),
        (MeshFileSource(), "batchsim.scenes.sources.importer"),
    ],
)
def test_cache_key_covers_all_code_that_makes_a_scene_and_no_other(source, maker):
    """Otherwise a stale scene would be loaded, or every scene baked again for nothing."""
    reached = reached_from("batchsim.scenes.baking.bake", maker)
    assert {ROOT / name for name in STORAGE} < reached
    known = set(code_files(*source.code()))
    needed = {file for file in reached if has_code(file) and name_of(file) not in STORAGE}
    assert sorted(map(name_of, needed - known)) == []
    assert sorted(map(name_of, known - reached)) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_circles(package):
    """Neither between files nor between folders: in every folder, its files and subfolders form no circle."""
    graphs = dict(sibling_graphs(package))
    assert sum(len(others) for edges in graphs.values() for others in edges.values()) > 20
    assert {folder: found for folder, edges in graphs.items() if (found := circles(edges))} == {}


def test_circles_are_found():
    assert circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [["a", "b", "c"]]
    assert circles({"a": ["b", "c"], "b": ["c"]}) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_imports_from_one_above_it(package):
    above = {file for other in PACKAGES[PACKAGES.index(package) + 1 :] for file in files_of_package(other)}
    found = {name_of(file): sorted(map(name_of, imported_files(file) & above)) for file in files_of_package(package)}
    assert {name: others for name, others in found.items() if others} == {}


def test_scenes_import_no_graphics_and_no_learning():
    heavy = {"torch", "gymnasium", "moderngl"}
    files = files_of_package("batchsim.scenes")
    assert [name_of(file) for file in files if heavy & {name.split(".")[0] for name in imports_of(file)}] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_up_the_tables_of_rooms(package):
    """A file imports from its own row of its table in docs/architecture.md, and from the rows above."""
    row_of = {ROOT / name: number for number, row in enumerate(room_tables()[package]) for name in row.paths()}
    seen, wrong = 0, []
    for file in files_of_package(package):
        for other in imported_files(file):
            if file in row_of and other in row_of:
                seen += 1
                wrong += [f"{name_of(file)} imports {name_of(other)}"] if row_of[other] > row_of[file] else []
    assert seen > 30
    assert wrong == [], f"imported from a row further down in {name_of(ARCHITECTURE)}"


def test_no_folder_is_overfull():
    """At most about ten loose Python files in a folder."""
    folders = {file.parent for package in PACKAGES for file in files_of_package(package)}
    count = {name_of(folder): len([f for f in folder.glob("*.py") if f.name != "__init__.py"]) for folder in folders}
    assert {name: files for name, files in count.items() if files > FILES_PER_FOLDER} == {}


SHORT_NAMES = {"agents", "scenes"}
SHORT_IN_TEXT = re.compile(
    r"^\s*(?:from\s+|import\s+(?:[\w.]+(?:\s+as\s+\w+)?\s*,\s*)*)(?:agents|scenes)\b|-m (?:agents|scenes)\b",
    re.MULTILINE,
)


def tracked_files(*patterns: str) -> list[Path]:
    """Files of the checkout by pattern; where there is no git, all files below the folders that are packaged."""
    try:
        command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return [ROOT / name for name in names if (ROOT / name).is_file()]
    except (OSError, subprocess.CalledProcessError):
        return [path for pattern in patterns for path in ROOT.rglob(pattern) if ".venv" not in path.parts]


def test_no_code_imports_the_short_names():
    """The packages are called batchsim.agents and batchsim.scenes: other distributions install `agents`."""
    files = tracked_files("*.py")
    assert len(files) > 200
    imported = {name_of(file): imports_of(file) for file in files}
    wrong = {name: SHORT_NAMES & {module.split(".")[0] for module in found} for name, found in imported.items()}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_no_page_imports_the_short_names():
    """Neither code blocks nor commands of the documentation, nor notebooks."""
    files = tracked_files("*.md", "*.ipynb", "Makefile", "*.sh", ".ci/*", "*.yaml", "*.toml", "Dockerfile*")
    assert len(files) > 5
    wrong = {}
    for file in files:
        text = file.read_text("utf-8")
        if file.suffix == ".md":
            text = "\n".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) + re.findall(r"`[^`\n]+`", text))
        elif file.suffix == ".ipynb":
            text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
        if found := SHORT_IN_TEXT.findall(text):
            wrong[name_of(file)] = found
    assert wrong == {}


@pytest.mark.parametrize(
    "text", ["import scenes", "import numpy as np, scenes", "  from agents.train import x", "-m agents.train"]
)
def test_short_names_are_found_in_text(text):
    assert SHORT_IN_TEXT.search(text)
    assert not SHORT_IN_TEXT.search(text.replace("agents", "batchsim.agents").replace("scenes", "batchsim.scenes"))
