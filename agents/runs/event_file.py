"""Scalars in TensorBoard's file format."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from io import BytesIO
from itertools import count
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from batchsim.agents.runs.append_file import AppendFile

_numbers = count()


class EventFile:
    """A new event file in `folder`. Unlike TensorBoard's own writer it has no thread, and survives a full disk.

    Args:
        folder: The folder that TensorBoard is pointed to.
        purge_step: TensorBoard drops what earlier files say about this step and later ones.
    """

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        now = time.time()
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self._file = AppendFile(folder / name)
        self._start = _record(Event(wall_time=now, file_version="brain.Event:2"))
        if purge_step is not None:
            session = SessionLog(status=SessionLog.START)
            self._start += _record(Event(wall_time=now, step=purge_step, session_log=session))

    def add(self, scalars: Mapping[str, float], step: int) -> None:
        """Writes scalars by their tags; raises OSError if the disk is full, and writes them with the next call then."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        start, self._start = self._start, b""
        self._file.append(start + _record(Event(wall_time=time.time(), step=step, summary=Summary(value=values))))


def _record(event: Event) -> bytes:
    buffer = BytesIO()
    RecordWriter(buffer).write(event.SerializeToString())
    return buffer.getvalue()
