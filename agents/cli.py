"""What the commands share: one clear line and exit code 2 for bad input, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

from batchsim import BatchSimError
from batchsim.agents.errors import AgentError
from batchsim.scenes import SceneError

BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count


def run_command(name: str, command: Callable[[], int]) -> None:
    """Run `command` and exit with what it returns, or with 2 and one line on stderr.

    The line is for errors of ours and for what the system refuses: a folder that may not be written, a full disk.
    """
    try:
        sys.exit(command())
    except (AgentError, BatchSimError, SceneError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
