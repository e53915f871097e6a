"""Make the virtual environments that the comparison runs in, one for each peer, into build/peers.

python benchmarks/peers/make_environments.py [FOLDER]

Needs the network for some minutes and about 2 GB of disk, and nothing but Python's standard library. What is there
already is left as it is. Miniworld draws headless through EGL, as batchsim does: no display and no xvfb.
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
    # pyglet 2 has no fixed-function OpenGL, which Miniworld draws with.
    "miniworld": ("miniworld==2.1.0", "pyglet==1.5.31", "stable-baselines3==2.9.2", "torch", "gymnasium", "numpy"),
    "vizdoom": ("vizdoom==1.3.2", "numpy"),
    "mujoco-warp": ("mujoco-warp==4.0.0", "warp-lang==1.19.0", "numpy"),
}
"""Packages by environment. Those without a version take it from constraints.txt, as batchsim does."""


def make(name: str, folder: Path) -> None:
    """Make the environment `name` in `folder`, unless it is there; raises `CalledProcessError` if pip fails."""
    home = folder / name
    ready = home / "ready"
    if ready.exists() and ready.read_text("utf-8") == " ".join(PACKAGES[name]):
        print(f"{home}: there already")
        return
    print(f"{home}: {' '.join(PACKAGES[name])}", flush=True)
    venv.create(home, with_pip=True, clear=True)
    python = home / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, *PACKAGES[name]], check=True)
    ready.write_text(" ".join(PACKAGES[name]), encoding="utf-8")


def main() -> None:
    """The command line; exit code 1 where an environment could not be made, after the others were."""
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
