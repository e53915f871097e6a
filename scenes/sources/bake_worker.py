"""The process behind `scenes.bake_many`: reads sources from stdin, bakes each, answers None or what went wrong."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback
from contextlib import suppress

from batchsim.scenes.errors import SceneError

_GIVING_WAY = 10  # the nice value of the command of that name


def main() -> None:
    """Serve until stdin closes; called with "background", give way to whatever else wants to compute."""
    # Ctrl-C goes to all processes of a terminal: it is the caller's to say what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # An exit takes along the file that is being written; sudden death would leave a part of it behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    if sys.argv[1:] == ["background"]:
        os.nice(_GIVING_WAY)
    # What the baking prints must not get between the answers, so stdout becomes stderr for everyone else.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Where the caller has gone, there is nobody left to tell.
    with suppress(EOFError, BrokenPipeError):
        while True:
            answer = _bake(pickle.load(sys.stdin.buffer))
            answers.write(pickle.dumps(answer))
            answers.flush()


def _bake(source) -> str | None:
    try:
        source.load()
    except SceneError as error:
        return str(error)
    except Exception:
        return traceback.format_exc()
    return None


if __name__ == "__main__":
    main()
