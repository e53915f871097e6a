"""Every code block of README and docs runs, the notebook too; commands exist; quoted error messages are in the code."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from tests.helpers.import_graph import FOLDERS, files_of_package
from tests.helpers.pages import table_rows

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
GENERATED = {"benchmarks.md"}  # its commands are recorded, those of the measurements
MARKDOWN = {page.name: page.read_text("utf-8") for page in PAGES}

# Large sets and long loops are replaced by small ones; everything else runs as it is written.
SMALLER = (
    ("homes:train?count=16", "four-rooms"),
    ("homes:train?count=8", "four-rooms"),
    ("building.glb", "four-rooms"),
    ("range(100)", "range(3)"),
)
TINY_TRAINING = shlex.split(
    "--scenes one-room --num-envs 8 --rollout-steps 4 --visual-channels 4 4 --width 16 --height 16 --total-frames 32 "
    "--max-minutes 1 --eval-scenes '' --device cpu"
)
TINY_EVALUATION = shlex.split("--scenes one-room --episodes 2 --num-envs 2 --videos 0 --device cpu")
TINY_SHRINKING = shlex.split("--frames 32 --retrain-frames 32 --eval-scenes ''")
TINY_BENCH = shlex.split("--num-envs 2 --width 16 --height 16 --seconds 0.02 --repeats 1 --device cpu --no-limits")
NOT_RUN = re.compile(r"^(make |apt-get |pip install |docker |torchrun |jupyter |\.venv/bin/)")
"""Needs root, the network, a container runtime, several processes, a browser, or minutes."""


def blocks(page: str, *languages: str) -> list[str]:
    """The code blocks of a page in one of the languages."""
    return [
        code
        for language, code in re.findall(r"^```(\w*)\n(.*?)^```", MARKDOWN[page], re.M | re.S)
        if language in languages
    ]


def test_blocks_have_a_language_that_is_tested():
    for page, text in MARKDOWN.items():
        found = set(re.findall(r"^```(\w*)\n.*?^```", text, re.M | re.S))
        assert found <= {"python", "sh", ""}, page


@pytest.mark.parametrize("page", [page for page in MARKDOWN if blocks(page, "python")])
def test_python_blocks_run(page, cache_of_this_session, tmp_path, monkeypatch):
    """All blocks of a page, one after the other, as one program."""
    monkeypatch.chdir(tmp_path)
    import gymnasium as gym

    import batchsim  # noqa: F401  (registers its environments, which stay)

    registered = set(gym.registry)
    code = "\n".join(blocks(page, "python"))
    for large, small in SMALLER:
        code = code.replace(large, small)
    module = ModuleType("page")  # dataclasses look their module up
    monkeypatch.setitem(sys.modules, "page", module)
    names = vars(module)
    try:
        exec(compile(code, page, "exec"), names)
    finally:
        for name in ("envs", "renderer"):
            if name in names:
                names[name].close()
        for name in set(gym.registry) - registered:
            del gym.registry[name]


@dataclass
class Shell:
    """Runs the commands of a page in this process, on tiny inputs."""

    folder: Path
    ran: list[str] = field(default_factory=list)

    def run(self, line: str) -> None:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words.pop(0)
        program, *arguments = words
        getattr(self, program.replace("-", "_").replace("batchsim_", ""))(arguments)
        self.ran.append(line)

    def train(self, arguments: list[str]) -> None:
        from batchsim.agents import train

        if "there_and_back:ThereAndBack" in arguments:
            (self.folder / "there_and_back.py").write_text(
                "\n".join(blocks("tasks.md", "python")).split("\nbatchsim.register")[0]
            )
        tiny = TINY_TRAINING if "--resume" not in arguments else []
        if "--grow-from" in arguments:
            run = arguments[arguments.index("--grow-from") + 1]
            if not Path(run).exists():
                self.train(["--out", run])
            tiny = ["--total-frames", "32"]  # the rest is that run's
            if "--visual-channels" in arguments:
                at = 1 + arguments.index("--visual-channels")
                end = next(k for k in range(at, len(arguments)) if arguments[k].startswith("--"))
                arguments = [*arguments[:at], "4", "4", "16", *arguments[end:]]
        _exits_well(train.main, _without("--max-minutes", arguments) + _with_objects(arguments, tiny))

    def eval(self, arguments: list[str]) -> None:
        from batchsim import scenes
        from batchsim.agents import eval as command

        for agent in arguments:  # runs of other pages
            if agent.startswith("runs/") and not Path(agent).exists():
                self.train(["--out", agent])
        if "--episodes-file" in arguments:
            scene = scenes.load("one-room")
            file = arguments[arguments.index("--episodes-file") + 1]
            scenes.save_episodes(scenes.sample_episodes([scene], 2, seed=0), file)
        arguments = _without("--scenes", _without("--episodes", arguments))
        tiny = TINY_EVALUATION if "--episodes-file" not in arguments else TINY_EVALUATION[4:]
        tiny = _with_objects(arguments, tiny)
        _exits_well(command.main, [*arguments, *tiny, *([] if "--out" in arguments else ["--out", "compared"])])

    def shrink(self, arguments: list[str]) -> None:
        from batchsim.agents import shrink

        if not Path(arguments[0]).exists():
            self.train(["--out", arguments[0]])
        _exits_well(shrink.main, [*arguments, *TINY_SHRINKING])

    def scenes(self, arguments: list[str]) -> None:
        from batchsim.agents import view
        from batchsim.agents.viewer.server import ViewerServer

        if "building.glb" in arguments and not Path("building.glb").exists():
            import trimesh

            floor = trimesh.creation.box((6, 0.2, 6))
            floor.export("building.glb")
        if "check" in arguments:
            import trimesh

            Path(arguments[-1]).mkdir(parents=True)
            trimesh.creation.box((6, 0.2, 6)).export(Path(arguments[-1]) / "floor.glb")
        arguments = [re.sub(r"homes:\S+", "one-room", word) for word in arguments]
        if "view" in arguments:
            arguments.append("--no-browser")
            if "runs/quickstart" in arguments and not Path("runs/quickstart").exists():
                self.train(["--out", "runs/quickstart"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ViewerServer, "serve", lambda server: None)  # a viewer runs until it is interrupted
            _exits_well(view.main, arguments)

    def bench(self, arguments: list[str]) -> None:
        from batchsim.agents import bench

        _exits_well(bench.main, [*_without("--device", arguments), *TINY_BENCH])

    def python(self, arguments: list[str]) -> None:
        assert (ROOT / arguments[0]).is_file(), arguments

    def tensorboard(self, arguments: list[str]) -> None:
        assert arguments[0] == "--logdir"


def _with_objects(arguments: list[str], tiny: list[str]) -> list[str]:
    """The options `tiny` with a scene that has objects, if the command's task needs them."""
    if not {"objectnav-cpu", "runs/objects"} & set(arguments):
        return tiny
    return ["homes:train/0" if word == "one-room" else word for word in tiny]


def _without(option: str, arguments: list[str]) -> list[str]:
    """The arguments without an option and its value."""
    if option not in arguments:
        return arguments
    at = arguments.index(option)
    return arguments[:at] + arguments[at + 2 :]


def _exits_well(main, arguments: list[str]) -> None:
    """Run a command; it returns 0 or exits with 0."""
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    assert not code, arguments


@pytest.mark.parametrize("page", [page for page in MARKDOWN if page not in GENERATED and blocks(page, "sh")])
def test_shell_blocks_run(page, cache_of_this_session, tmp_path, monkeypatch, capsys):
    """Each line runs on tiny inputs, or is one of those that need what a test has not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    shell, left = Shell(tmp_path), []
    for line in "\n".join(blocks(page, "sh")).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if NOT_RUN.match(line):
            left.append(line)
        else:
            shell.run(line)
    assert shell.ran or left
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert {line.split()[1] for line in left if line.startswith("make ")} <= set(targets)


def test_notebook_runs_from_top_to_bottom(cache_of_this_session, tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(DOCS / "notebooks" / "first-steps.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "stored without outputs"
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", ()) for output in outputs) == 3
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


@cache
def constant_strings() -> list[str]:
    """Every string constant of the three packages, literals that stand side by side joined."""
    files = {file for package in FOLDERS for file in files_of_package(package)}
    trees = (ast.parse(file.read_text("utf-8")) for file in files)
    return [
        n.value for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    ]


def test_installation_page_lists_all_extras():
    extras = re.search(
        r"\[project.optional-dependencies\]\n(.*?)\n\[", (ROOT / "pyproject.toml").read_text("utf-8"), re.S
    )
    named = [row[0].strip("`") for row in table_rows(MARKDOWN["install.md"].split("## On a CPU")[0])]
    assert sorted(named) == sorted(re.findall(r"^([\w-]+) = \[", extras[1], re.M))


def test_error_messages_of_the_installation_page_are_in_the_code():
    section = MARKDOWN["install.md"].split("## Error messages")[1]
    messages = [row[0].strip("`") for row in table_rows(section)]
    assert len(messages) >= 6
    for message in messages:
        for part in message.split("NAME"):
            assert any(part in text for text in constant_strings()), f"{part!r} of {message!r}"


def test_keywords_of_the_habitat_page_exist():
    from batchsim import NavVectorEnv, scenes
    from batchsim.agents.config import TrainConfig
    from batchsim.agents.eval import EvalCommand

    known = {
        "NavVectorEnv": set(inspect.signature(NavVectorEnv.__init__).parameters),
        "a preset": set(TrainConfig().flat()),
        "scenes.AgentBody": set(inspect.signature(scenes.AgentBody).parameters),
        "batchsim-eval": set(EvalCommand.__dataclass_fields__),
    }
    checked = 0
    for row in table_rows(MARKDOWN["habitat.md"]):
        if match := re.match(r"((?:`\w+`(?:, )?)+) of `?([\w.-]+(?: preset)?)`?", row[1]):
            names = re.findall(r"`(\w+)`", match[1])
            assert set(names) <= known[match[2]], row
            checked += len(names)
    assert checked >= 30


def test_defaults_of_the_habitat_page_are_right():
    from batchsim import NavVectorEnv
    from batchsim.agents.config import TrainConfig

    parameters = inspect.signature(NavVectorEnv.__init__).parameters
    flat = TrainConfig().flat()
    for row in table_rows(MARKDOWN["habitat.md"]):
        if len(row) == 3 and (match := re.match(r"`(\w+)` of (`NavVectorEnv`|a preset)", row[1])):
            default = flat[match[1]] if match[2] == "a preset" else parameters[match[1]].default
            if isinstance(default, int | float) and not isinstance(default, bool):
                assert float(re.match(r"[\d.,]+", row[2])[0].replace(",", "")) == pytest.approx(default), row


def test_questions_of_contributing_name_files():
    rows = [row for row in table_rows(MARKDOWN["CONTRIBUTING.md"]) if row[0].startswith("Where")]
    assert len(rows) >= 20
    for question, answer in rows:
        assert (ROOT / answer.strip("`")).is_file(), question


def test_links_of_the_pages_lead_somewhere():
    for page, text in MARKDOWN.items():
        folder = ROOT if (ROOT / page).exists() else DOCS
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            name, _, anchor = link.partition("#")
            if link.startswith("http") or not name:
                continue
            assert (folder / name).exists(), f"{page}: {link}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", (folder / name).read_text("utf-8"), re.M)
                assert anchor in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings], (
                    f"{page}: {link}"
                )


def test_index_readme_has_no_links_into_the_checkout(monkeypatch):
    """A package index shows the README without the checkout's files."""
    import setuptools

    called = {}
    monkeypatch.setattr(setuptools, "setup", called.update)
    monkeypatch.chdir(ROOT)
    exec(
        compile((ROOT / "setup.py").read_text("utf-8"), str(ROOT / "setup.py"), "exec"),
        {"__file__": str(ROOT / "setup.py")},
    )
    text = called["long_description"]
    assert all(link.startswith(("http", "#")) for link in re.findall(r"\]\(([^)\s]+)\)", text))
    assert "<img" not in text
    assert "Installation" in text
    assert len(text) > 0.8 * len(MARKDOWN["README.md"])
    assert {"batchsim", "batchsim.agents.ppo", "batchsim.scenes.baking"} <= set(called["packages"])
