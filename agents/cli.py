"""Runs the commands of this package."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from batchsim import BatchSimError
from batchsim.agents.errors import AgentError
from batchsim.process import command_line
from batchsim.scenes import SceneError


def run_command(name: str, command: Callable[[], int]) -> NoReturn:
    """Runs `command` and exits with its exit code, or with 2 and one line on stderr after an error of ours."""
    sys.exit(command_line.run_command(name, command, (AgentError, BatchSimError, SceneError)))
