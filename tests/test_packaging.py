"""Wheel, source distribution and checkout as a user installs them: in fresh environments, outside the repository.

Each environment takes torch and the other dependencies from the environment of the tests, through a .pth file, so that
nothing large is installed again; batchsim itself is only there as it was built. Slow: run with -m slow.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
TRAIN = shlex.split(
    "--scenes one-room --num-envs 8 --rollout-steps 4 --visual-channels 4 4 --width 16 --height 16 --total-frames 32 "
    "--eval-scenes one-room --eval-episodes 2 --device cpu --out runs/tiny"
)

USER_SCRIPT = """
import sys
import scenes, agents            # the user's own
assert scenes.MINE and agents.MINE
import batchsim
assert "torch" not in sys.modules, "importing batchsim is light"
import gymnasium as gym
from batchsim import scenes as ours
import batchsim.agents.ppo.trainer
assert ours.load("one-room").triangles.shape == (12, 3, 3)
assert batchsim.__version__ == "0.1.0"
envs = gym.make_vec("batchsim/PointNav-v0", num_envs=2, scenes="one-room", device="cpu")
envs.reset(seed=0)
envs.step(envs.action_space.sample())
envs.close()
print("fine", batchsim.__file__)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source distribution, built from a copy of what the checkout tracks."""
    out, source = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("source")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listing.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
            (source / name).chmod((ROOT / name).stat().st_mode)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (wheel,), (archive,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": archive, "checkout": source}


def test_wheel_holds_the_package_and_nothing_else(built):
    names = zipfile.ZipFile(built["wheel"]).namelist()
    assert {name.split("/")[0] for name in names} == {"batchsim", "batchsim-0.1.0.dist-info"}
    inside = {name for name in names if name.startswith("batchsim/")}
    files = {
        target + path.relative_to(ROOT / folder).as_posix()
        for folder, target in (
            ("batchsim", "batchsim/"),
            ("agents", "batchsim/agents/"),
            ("scenes", "batchsim/scenes/"),
        )
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == files


def test_sdist_holds_tests_docs_and_tools(built):
    with tarfile.open(built["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {"tests/test_packaging.py", "tests/scenes/baking/test_scene.py", "docs/install.md", "Makefile"}
    assert names >= {"tools/typecheck.sh", "constraints.txt", "CITATION.cff", "benchmarks/peers/compare.py", ".ci/run"}


class Environment:
    """A virtual environment in which only the dependencies come from elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        self.home = folder / "home"
        self.home.mkdir()
        packages = Path(sysconfig.get_path("purelib"))
        (self.site / "zz-dependencies.pth").write_text(f"{packages}\n", encoding="utf-8")  # paths only: no editables

    @property
    def site(self) -> Path:
        return next((self.folder / "venv" / "lib").glob("python*")) / "site-packages"

    def install(self, source: Path, *options: str) -> None:
        command = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(self.python),
            "install",
            "--no-deps",
            "--no-build-isolation",
        ]
        done = subprocess.run([*command, "--ignore-installed", *options, str(source)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def run(self, *command: str) -> str:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        environment |= {"PATH": f"{self.python.parent}:{os.environ['PATH']}"}
        done = subprocess.run(command, cwd=self.home, capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def fake_openai_agents(folder: Path) -> Path:
    """A distribution that installs a top-level package `agents`, as openai-agents does."""
    (folder / "agents").mkdir(parents=True)
    (folder / "agents" / "__init__.py").write_text("THEIRS = True\n", encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "openai-agents"\nversion = "9.9"\n[tool.setuptools]\npackages = ["agents"]\n',
        encoding="utf-8",
    )
    return folder


@pytest.mark.parametrize("kind", ["wheel", "sdist", "checkout"])
def test_installed_package_works(built, kind, tmp_path, cache_of_this_session):
    """Import, train, evaluate and preview, beside the user's own scenes.py and agents/."""
    environment = Environment(tmp_path)
    environment.install(built[kind], *(["--editable"] if kind == "checkout" else []))
    (environment.home / "scenes.py").write_text("MINE = True\n", encoding="utf-8")
    (environment.home / "agents").mkdir()
    (environment.home / "agents" / "__init__.py").write_text("MINE = True\n", encoding="utf-8")
    (environment.home / "script.py").write_text(USER_SCRIPT, encoding="utf-8")
    word, file = environment.run("python", "script.py").split()
    assert word == "fine"
    assert Path(file).is_relative_to(built["checkout"] if kind == "checkout" else environment.site)
    environment.run("batchsim-train", *TRAIN)
    assert (environment.home / "runs/tiny/report.html").stat().st_size > 10_000
    environment.run(
        "batchsim-eval", "runs/tiny", "greedy", "--scenes", "one-room", "--episodes", "2", "--out", "compared"
    )
    environment.run("batchsim-scenes", "preview", "one-room", "--out", "room.png")
    environment.run(
        "batchsim-bench", "step", "--scenes", "one-room", "--num-envs", "2", "--seconds", "0.05", "--no-limits"
    )
    environment.run("python", "-m", "batchsim.agents.train", "--help")


@pytest.mark.parametrize("ours_first", [True, False])
def test_beside_a_distribution_called_agents(built, ours_first, tmp_path, cache_of_this_session):
    environment = Environment(tmp_path / "environment")
    theirs = fake_openai_agents(tmp_path / "theirs")
    for source in (built["wheel"], theirs) if ours_first else (theirs, built["wheel"]):
        environment.install(source)
    check = (
        "import agents, batchsim.agents, batchsim.scenes; assert agents.THEIRS; assert agents is not batchsim.agents"
    )
    environment.run("python", "-c", check)
    environment.run("batchsim-train", *TRAIN)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(environment.python), "uninstall", "-y", "openai-agents"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    environment.run("batchsim-scenes", "info", "one-room")
