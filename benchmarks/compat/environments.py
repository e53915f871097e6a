"""Creates the virtual environments of the trainers in build/compat, with pinned versions."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from benchmarks.compat.trainers import ROOT

FOLDER = ROOT / "build" / "compat"
CONSTRAINTS = (ROOT / "constraints.txt", Path(__file__).with_name("constraints.txt"))


def make_environment(name: str, borrow: bool = True) -> Path:
    """Creates the environment `name` with the extra of that name, unless it exists; returns its interpreter.

    Args:
        name: The extra.
        borrow: Whether to use the packages of the running interpreter, through a .pth file, so that torch and the other
            dependencies are not installed again. Only what is missing or has another version is installed then.

    Raises:
        CalledProcessError: If pip fails.
    """
    home = FOLDER / name
    python, ready = home / "bin" / "python", home / "ready.json"
    wanted = {"constraints": [path.read_text("utf-8") for path in CONSTRAINTS], "borrow": borrow, "base": sys.prefix}
    if ready.exists() and json.loads(ready.read_text("utf-8")) == wanted:
        return python
    print(f"{name}: creating {home}", flush=True)
    venv.create(home, with_pip=True, clear=True)
    if borrow:
        _site_packages(python).joinpath("borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    pinned = [option for path in CONSTRAINTS for option in ("--constraint", str(path))]
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pinned]
    subprocess.run([*command, "--editable", f"{ROOT}[{name}]", "pytest"], check=True)
    ready.write_text(json.dumps(wanted), encoding="utf-8")
    return python


def version_in(python: Path, package: str) -> str:
    """Returns the version of a distribution that an environment has."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def _site_packages(python: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True).stdout.strip())
