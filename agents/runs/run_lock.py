"""A lock on a run folder, so that two processes never train in the same one."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from batchsim.agents.errors import AgentError
from batchsim.scenes.user_files import read_json

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_LOCK = ".lock"


class Owner(msgspec.Struct, frozen=True):
    """The process that holds the lock."""

    process: int
    host: str


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Holds the lock of the run folder `run`, which is created if needed.

    The system releases the lock when the process ends, however that happens. Where the file system has no locks, there
    is none.

    Raises:
        AgentError: If another process holds the lock.
        OSError: If the folder cannot be written.
    """
    run.mkdir(parents=True, exist_ok=True)
    path = run / _LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not _lock(descriptor):
            raise AgentError(f"{run} is in use: {_describe(path)} trains there. Stop it, or choose another --out.")
        owner = json.dumps({"process": os.getpid(), "host": socket.gethostname()}).encode()
        with suppress(OSError):  # on a full disk, the lock holds without a name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, owner, 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # the file system has no locks
    return True


def _describe(path: Path) -> str:
    try:
        owner: Owner = read_json(path, Owner, "a lock", AgentError, 1 << 12)
    except AgentError:
        return "another process"
    return f"process {owner.process} on {owner.host}"
