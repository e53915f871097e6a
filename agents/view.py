"""The command `batchsim-scenes` with all its subcommands; `view` is the one that knows policies."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from batchsim import scenes_cli
from batchsim.agents.errors import AgentError

_SIZES = range(32, 2049)


@dataclass(frozen=True)
class View:
    """Walk through a scene in a web browser, or watch a trained policy drive; serves a page to this machine only."""

    scene: tyro.conf.Positional[str]
    """A file, a name such as "homes:val/3" or "maze", or a set such as "homes:val?count=8" to choose from."""
    policy: Path | None = None
    """Run folder of a trained policy to watch."""
    trust: bool = False
    """Import a task of the user's own that the run's config.json names."""
    deterministic: bool = False
    """Let the policy take its most likely action instead of drawing one."""
    width: int = 512
    """Width of each image, pixels."""
    height: int = 384
    """Height of each image, pixels."""
    port: int = 0
    """Port of the page; 0 takes any free one."""
    no_browser: bool = False
    """Print the address only; do not open a browser."""
    json: bool = False
    """Print one JSON object with the address on stdout and nothing else."""

    def run(self) -> dict[str, Any]:
        """Serves the page until the command is interrupted."""
        from batchsim.agents.evaluation.candidates import load_run
        from batchsim.agents.viewer.server import ViewerServer
        from batchsim.agents.viewer.session import Session
        from batchsim.scenes import resolve

        for name in ("width", "height"):
            if getattr(self, name) not in _SIZES:
                raise AgentError(f"--{name} is {getattr(self, name)}; expected {_SIZES.start} to {_SIZES.stop - 1}.")
        if not 0 <= self.port < 1 << 16:
            raise AgentError(f"--port is {self.port}; expected 0 to 65535.")
        sources = list(resolve(self.scene))
        candidate = load_run(str(self.policy), self.trust) if self.policy else None
        size = self.width, self.height
        server = ViewerServer(lambda: Session(sources, candidate, *size, self.deterministic), self.port)
        try:
            text = f'{{"url": "{server.url}"}}' if self.json else f"{server.url}  (Ctrl-C ends the viewer)"
            print(text, flush=True)
            if not self.no_browser:
                webbrowser.open(server.url)
            server.serve()
        finally:
            server.close()
        return {}

    def say(self, result: dict[str, Any]) -> str:
        """Returns nothing: the address was printed when the page could be opened."""
        return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `batchsim-scenes` with `arguments` (default: those of the process) and returns the exit code."""
    return scenes_cli.main(arguments, {"view": View}, (AgentError,))


if __name__ == "__main__":
    sys.exit(main())
