"""What imports what in scenes/, read from the source: rooms stand on each other, and the cache knows all that bakes."""

import ast
import re
from pathlib import Path

import pytest

from batchsim import scenes
from batchsim.scenes.baking.cache import code_files
from batchsim.scenes.sources.scene_source import HomeSource, MeshFileSource, WorldSource

ROOT = Path(scenes.__file__).resolve().parents[1]
FILES = sorted((ROOT / "scenes").rglob("*.py"))
# They keep what the others work out; their format has a version, which is part of the key as well.
KEEPING = {"scenes/baking/scene.py", "scenes/baking/scene_file.py", "scenes/baking/packing.py"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(path: Path) -> set[str]:
    """All modules that `path` may import, wherever in the file; of names in modules, both ways to read them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports here are absolute"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files_of(module: str) -> list[Path]:
    """The files of scenes/ that run when `module` is imported, but the package's face."""
    parts = module.split(".")
    if parts == ["scenes"]:
        return [ROOT / "scenes/__init__.py"]
    paths = [ROOT.joinpath(*parts[:count]) for count in range(2, len(parts) + 1)]
    files = [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py")]
    return [file for file in files if parts[0] == "scenes" and file.exists()]


def reached_from(*modules: str) -> set[Path]:
    reached, ahead = set(), [file for module in modules for file in files_of(module)]
    while ahead:
        file = ahead.pop()
        if file not in reached:
            reached.add(file)
            ahead += [other for module in imports_of(file) for other in files_of(module)]
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
def test_the_cache_knows_all_code_that_makes_a_scene_and_no_other(source, maker):
    """Or else a scene baked by older code would be taken for a new one, or all be baked again for nothing."""
    reached = reached_from("batchsim.scenes.baking.bake", maker)
    assert {ROOT / name for name in KEEPING} < reached
    known = set(code_files(*source.code()))
    needed = {file for file in reached if has_code(file) and name_of(file) not in KEEPING}
    assert sorted(map(name_of, needed - known)) == []
    assert sorted(map(name_of, known - reached)) == []


def test_imports_go_up_the_table_of_rooms():
    """A file imports from its own row of the table in docs/architecture.md, and from those above."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = re.search(r"\*\*scenes\*\*\n\n(.*?)\n\n", text, re.DOTALL).group(1)
    rows = [re.findall(r"`(\w+)/?`", row.split("|")[1]) for row in table.splitlines()]
    row_of = {name: number for number, names in enumerate(rows) for name in names}
    room_of = {file: file.relative_to(ROOT / "scenes").parts[0].removesuffix(".py") for file in FILES}
    seen, down = 0, []
    for file in FILES:
        if room_of[file] != "__init__":
            others = {room_of[other] for module in imports_of(file) for other in files_of(module)}
            seen += len(others)
            down += [f"{name_of(file)}: {other}" for other in others if row_of.get(other, 99) > row_of[room_of[file]]]
    assert seen > 50
    assert down == []


def test_scenes_stand_on_nothing_that_simulates_or_learns():
    above = {"batchsim", "agents", "torch", "gymnasium", "moderngl"}
    assert [name_of(file) for file in FILES if above & {name.split(".")[0] for name in imports_of(file)}] == []
