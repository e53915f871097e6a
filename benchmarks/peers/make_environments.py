"""Creates the virtual environments of the comparison, one for each simulator, in build/peers.

    python benchmarks/peers/make_environments.py [FOLDER]

Needs network access, about 2 GB of disk and only Python's standard library. Environments that exist are kept. Miniworld
renders headless through EGL, as batchsim does; no display is needed.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "peers"
CONSTRAINTS = ROOT / "constraints.txt"

PACKAGES = {
    # Miniworld draws with fixed-function OpenGL, which pyglet 2 lacks.
    "miniworld": ("miniworld==2.1.0", "pyglet==1.5.31", "stable-baselines3==2.9.2", "torch", "gymnasium", "numpy"),
    "vizdoom": ("vizdoom==1.3.2", "numpy"),
    "mujoco-warp": ("mujoco-warp==4.0.0", "warp-lang==1.19.0", "numpy"),
}
"""Packages by environment. Those without a version use the one in constraints.txt, as batchsim does."""


def make(name: str, folder: Path) -> None:
    """Create the environment `name` in `folder` unless it exists.

    Raises:
        CalledProcessError: pip failed.
    """
    home = folder / name
    ready = home / "ready"
    if ready.exists() and ready.read_text("utf-8") == " ".join(PACKAGES[name]):
        print(f"{home}: exists")
        return
    print(f"{home}: {' '.join(PACKAGES[name])}", flush=True)
    venv.create(home, with_pip=True, clear=True)
    python = home / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, *PACKAGES[name]], check=True)
    ready.write_text(" ".join(PACKAGES[name]), encoding="utf-8")


def main() -> None:
    """Run the command: exit code 1 if an environment could not be created; the others are created all the same."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    failed = []
    for name in PACKAGES:
        try:
            make(name, folder)
        except (OSError, subprocess.CalledProcessError) as error:
            failed.append(name)
            print(f"{name}: {error}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
