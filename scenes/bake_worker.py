"""The process behind `scenes.bake_many`: reads sources from stdin, bakes each, answers None or what went wrong."""

from __future__ import annotations

import os
import pickle
import sys
import traceback

from scenes.errors import SceneError

_GIVING_WAY = 10  # the nice value of the command of that name


def main() -> None:
    """Serve until stdin closes; called with "background", give way to whatever else wants to compute."""
    if sys.argv[1:] == ["background"]:
        os.nice(_GIVING_WAY)
    # What the baking prints must not get between the answers, so stdout becomes stderr for everyone else.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            source = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_bake(source), answers)
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
