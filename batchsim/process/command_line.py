"""What all commands share: exit codes, one line per error, and an orderly end after Ctrl-C or SIGTERM.

`batchsim/__init__.py` imports this module first, so that Ctrl-C during the imports of a command, which take a second or
two, ends it with one line as well. In any other program this module leaves the signals alone.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

COMMANDS = {
    "batchsim-scenes": "batchsim.agents.view",
    "batchsim-train": "batchsim.agents.train",
    "batchsim-eval": "batchsim.agents.eval",
    "batchsim-bench": "batchsim.agents.bench",
}
"""The module of each command."""
BAD_INPUT = 2
"""The exit code for options and files that cannot be used."""

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_DEFAULTS = (signal.default_int_handler, signal.SIG_DFL)


class Terminated(KeyboardInterrupt):
    """Raised by SIGTERM while a command runs, so that it cleans up as after Ctrl-C."""


def run_command(name: str, command: Callable[[], int], errors: tuple[type[Exception], ...]) -> int:
    """Runs a command and returns its exit code.

    Args:
        name: The command's name, for messages.
        command: Does the work and returns the exit code.
        errors: The exceptions of ours; each, and what the system refuses (OSError), becomes one line on stderr.

    Returns:
        What `command` returns, `BAD_INPUT` after an error, or 128 plus the signal's number, as in shells.
    """
    expected: tuple[type[Exception], ...] = (*errors, OSError)
    try:
        with _raising_signals():
            return command()
    except expected as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as interrupt:
        number = signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT
        print(f"{name}: {_WORDS[number]}", file=sys.stderr)
        return 128 + number


@contextmanager
def _raising_signals() -> Iterator[None]:
    """Lets SIGINT and SIGTERM raise exceptions, where they are not ignored or handled by the caller's program."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminate}
    try:
        previous = {
            number: signal.signal(number, handler)
            for number, handler in handlers.items()
            if signal.getsignal(number) in (*_DEFAULTS, _end_at_once)
        }
    except ValueError:  # not in the main thread
        previous = {}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _command_of_process() -> str | None:
    """Returns the name of the command that this process runs, or None in any other program."""
    program = os.path.basename(sys.argv[0]) if sys.argv else ""
    if program in COMMANDS:
        return program
    if program == "-m" and "-m" in sys.orig_argv[:-1]:  # while Python looks for the module
        module = sys.orig_argv[sys.orig_argv.index("-m") + 1]
        return next((name for name, its_module in COMMANDS.items() if its_module == module), None)
    return None


def _end_at_once(number: int, frame: FrameType | None) -> None:
    # No exception: Python would print where in which import it was raised.
    os.write(2, f"{_COMMAND}: {_WORDS[signal.Signals(number)]}\n".encode())
    os._exit(128 + number)


def _is_worker() -> bool:
    """Returns whether `multiprocessing` started this process, which then has the arguments of its parent."""
    module = sys.modules.get("multiprocessing")
    return module is not None and module.parent_process() is not None


_COMMAND = None if _is_worker() else _command_of_process()
if _COMMAND is not None:
    for _number in _WORDS:
        if signal.getsignal(_number) in _DEFAULTS:
            signal.signal(_number, _end_at_once)
