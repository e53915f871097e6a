"""The worker process behind `bake_many`: reads sources from stdin, bakes each, and answers None or the error's text.

`bake_many` runs this file as a script in Python's isolated mode (`-I`), which puts neither the current folder nor the
script's folder on `sys.path`. The first message on stdin says where batchsim is and on which path the parent process
finds modules. The worker searches the parent's path after its own, so a file of the user cannot take the place of a
standard module. Nothing but the standard library is imported before that.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
from contextlib import suppress
from pathlib import Path

_BACKGROUND_NICENESS = 10  # the default of the command `nice`
_POLL_SECONDS = 0.2  # between two looks whether the parent still runs
_GRACE_SECONDS = 1.0  # for removing a half-written file, before the process is ended without


def main() -> None:
    """Serves until stdin closes or the parent process ends.

    The command line is: the parent's process id, then optionally "background" for a low priority.
    """
    parent = int(sys.argv[1])
    # Ctrl-C reaches all processes of a terminal; the parent decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # `sys.exit` lets the writer of a scene remove its temporary file; the default action would leave it behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if "background" in sys.argv[2:]:
        os.nice(_BACKGROUND_NICENESS)
    # Whatever the baking prints must not mix with the answers: for everything else, stdout becomes stderr.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    with suppress(EOFError, BrokenPipeError):
        _import_as_parent(*pickle.load(sys.stdin.buffer))
        while True:
            answer = _bake(pickle.load(sys.stdin.buffer))
            answers.write(pickle.dumps(answer))
            answers.flush()


def _end_with(parent: int) -> None:
    """Ends this process soon after `parent` has ended, also in the middle of baking."""
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os._exit(0)


def _import_as_parent(package: str, path: list[str]) -> None:
    """Makes the parent's modules importable: `batchsim` from the file `package`, others from `path`."""
    sys.path += [entry for entry in path if entry not in sys.path]
    spec = importlib.util.spec_from_file_location(
        "batchsim", package, submodule_search_locations=[str(Path(package).parent)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["batchsim"] = module
    spec.loader.exec_module(module)


def _bake(source) -> str | None:
    from batchsim.scenes.errors import SceneError

    try:
        source.load()
    except SceneError as error:
        return str(error)
    except Exception:
        return traceback.format_exc()
    return None


if __name__ == "__main__":
    main()
