"""Bakes many scenes at once, one process a core.

The workers are plain interpreters that run `batchsim.scenes.sources.bake_worker` and are told over a pipe what to bake. Unlike
`multiprocessing` this does not import the caller's main script again (which would have to be checked, and would import
torch in each worker), and unlike a fork it is safe when threads, CUDA or OpenGL run in the caller.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.scene_source import SceneSource

_PATIENCE = 3.0  # seconds for a process to leave what it does, before it is killed
_NUMERICS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def bake_many(
    sources: Sequence[SceneSource],
    workers: int | None = None,
    progress: bool | str = True,
    skip_failures: bool = False,
) -> None:
    """Bake into the cache those of `sources` that are not there.

    - `workers`: processes; None = one for each core this process may use.
    - `progress`: True shows a bar on stderr when that is a terminal, "always" shows it anyway, False never.
    - `skip_failures`: leave out what cannot be baked; its own `load` says why.

    Raises `SceneError` naming the scene that failed first.
    """
    missing = [source for source in sources if not source.is_ready]
    if not missing:
        return
    workers = min(workers or available_cores(), len(missing))
    console = Console(stderr=True, force_terminal=True if progress == "always" else None)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not progress or not console.is_terminal) as bar:
        task = bar.add_task("Baking scenes", total=len(missing))
        _run(missing, workers, lambda: bar.advance(task), skip_failures)


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class BakeProcess:
    """A process that bakes one source after another. Started when first wanted.

    - `background`: give way to whatever else wants to compute.
    """

    def __init__(self, background: bool = False) -> None:
        self._background = background
        self._process: subprocess.Popen | None = None
        self._closed = False
        self._lock = threading.Lock()

    def bake(self, source: SceneSource) -> None:
        """Bake `source` into the cache; raises `SceneError` where that fails, or when the process is closed."""
        process = self._started()
        try:
            pickle.dump(source, process.stdin)
            process.stdin.flush()
            error = pickle.load(process.stdout)
        except (OSError, ValueError, EOFError, pickle.UnpicklingError):
            error = f"its worker process ended with code {process.wait()} (out of memory? try fewer workers)."
            with self._lock:
                self._process = None
        if error is not None:
            raise SceneError(f"Baking {source.name} failed: {error}")

    def _started(self) -> subprocess.Popen:
        with self._lock:
            if self._closed:
                raise SceneError("This process was closed; nothing more is baked.")
            if self._process is None:
                self._process = _start_worker(self._background)
            return self._process

    def close(self) -> None:
        """End the process, whatever it is doing; any thread may."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _run(missing: Sequence[SceneSource], workers: int, advance: Callable[[], None], skip_failures: bool) -> None:
    jobs: queue.SimpleQueue[SceneSource] = queue.SimpleQueue()
    for source in missing:
        jobs.put(source)
    failures: list[SceneError] = []
    processes = [BakeProcess() for _ in range(workers)]

    def feed(process: BakeProcess) -> None:
        """One job after another until none is left or something failed."""
        while skip_failures or not failures:
            try:
                process.bake(jobs.get_nowait())
            except queue.Empty:
                return
            except SceneError as error:
                failures.append(error)
            advance()

    threads = [threading.Thread(target=feed, args=(process,), daemon=True) for process in processes]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for process in processes:
            process.close()
    if failures and not skip_failures:
        raise failures[0]


def _start_worker(background: bool) -> subprocess.Popen:
    root = str(Path(sys.modules["batchsim"].__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = os.environ | dict.fromkeys(_NUMERICS, "1") | {"PYTHONPATH": path}
    command = [sys.executable, "-m", "batchsim.scenes.sources.bake_worker", *["background"] * background]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
