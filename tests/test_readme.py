"""The README and the pages in docs/ say what is so: Python runs, files and commands are there, none is left out."""

import re
from pathlib import Path

import pytest

from tests.helpers.import_graph import FOLDERS, files_of_package, name_of
from tests.helpers.pages import ARCHITECTURE, room_tables, table_rows

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
TASKS = (ROOT / "docs" / "tasks.md").read_text("utf-8")

# The README's scenes are many, or the reader's own; what is said of them holds of a small one.
SMALLER = {'"homes:train?count=16"': '"four-rooms"', '"building.glb"': '"four-rooms"', "range(100)": "range(2)"}


def test_python_of_the_readme_runs(cache_of_this_session):
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    for name, smaller in SMALLER.items():
        assert name in code
        code = code.replace(name, smaller)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    names["envs"].close()
    names["renderer"].close()
    assert names["obs"]["depth"].shape == (256, 64, 64, 1)
    assert names["obs"]["pointgoal_with_gps_compass"].shape == (256, 2)
    assert names["info"]["final_info"]["spl"].shape == names["info"]["_final_info"].shape == (256,)
    assert names["images"]["depth"].shape == (64, 64, 64, 1)
    assert names["images"]["rgb"].shape == (64, 64, 64, 3)


def test_the_example_task_is_short():
    (code,) = [code for code in re.findall(r"```python\n(.*?)```", TASKS, re.DOTALL) if "@dataclass" in code]
    body = code[code.index("@dataclass") : code.index("batchsim.register_task")]
    assert len([line for line in body.splitlines() if line]) <= 30


def test_the_tasks_page_lists_every_task():
    import gymnasium as gym

    from batchsim.tasks import TASKS as tasks

    rows = [row for row in table_rows(TASKS) if row[1].strip("`") in tasks]
    assert [row[1].strip("`") for row in rows] == list(tasks)
    for env_id, name, actions, _, sensors, measures in rows:
        task = tasks[name.strip("`")]()
        if env_id != "—":
            assert gym.spec(env_id.strip("`")).kwargs["task"] == name.strip("`")
        assert actions.split(", ") == list(task.action_names)
        assert re.findall(r"`(\w+)`", sensors) == list(task.observation_spaces())
        assert re.findall(r"`(\w+)`", measures) == list(task.headline_measures)
    registered = {id for id, spec in gym.registry.items() if id.startswith("batchsim/") and "task" in spec.kwargs}
    assert {row[0].strip("`") for row in rows} - {"—"} == registered


def test_files_of_the_readme_are_there():
    links = re.findall(r"\]\(([^)]+)\)|src=\"([^\"]+)\"", README)
    files = [a or b for a, b in links if not (a or b).startswith("http")]
    assert len(files) >= 4
    for name, _, anchor in (file.partition("#") for file in files):
        assert (ROOT / name).exists(), name
        headings = re.findall(r"^#+ (.*)$", (ROOT / name).read_text("utf-8"), re.M) if anchor else ()
        assert not anchor or anchor in [heading.lower().replace(" ", "-") for heading in headings]


def test_commands_of_the_readme_are_installed():
    scripts = re.findall(r"^(batchsim-\w+) =", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"`(batchsim-\w+)", README)) == set(scripts)


def test_targets_of_the_readme_are_in_the_makefile():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"\bmake (train|test|\w+-\w+)", README)) <= set(targets)


@pytest.mark.parametrize("package", FOLDERS)
def test_architecture_names_every_file(package):
    """In exactly one row of its tables, and no file that is gone."""
    named = sorted(path for room in room_tables()[package] for path in room.paths())
    there = sorted(name_of(file) for file in files_of_package(package) if file.name != "__init__.py")
    assert sorted(set(there) - set(named)) == [], "in no table of docs/architecture.md"
    assert sorted(set(named) - set(there)) == [], "in docs/architecture.md, but gone"
    assert named == there, "in two rows of docs/architecture.md"


@pytest.mark.parametrize("page", [ARCHITECTURE, ROOT / "docs" / "reliability.md"], ids=lambda page: page.name)
def test_files_named_in_tables_exist(page):
    """Everything in backticks that looks like a path from the root of the checkout."""
    names = set(
        re.findall(r"`((?:agents|batchsim|scenes|tests|docs|tools|benchmarks)/[\w/.-]*)`", page.read_text("utf-8"))
    )
    assert len(names) > 20
    assert sorted(name for name in names if not (ROOT / name).exists()) == []
