"""Bakes many scenes at once, one process per core.

The workers are plain interpreters that run `bake_worker.py` and read from a pipe what to bake. Unlike
`multiprocessing`, this does not import the caller's main script again (which would need a guard and would import torch
in each worker); unlike a fork, it is safe while threads, CUDA or OpenGL run in the caller. loky and joblib start their
workers with `python -m`, which runs modules of the current folder in place of standard ones.
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
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.scene_source import SceneSource
from batchsim.scenes.startup.available_cores import available_cores

_WORKER = Path(__file__).with_name("bake_worker.py")
_TERMINATION_SECONDS = 3.0  # for a process to end by itself before it is killed
_THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def bake_many(
    sources: Sequence[SceneSource],
    workers: int | None = None,
    progress: bool | str = True,
    skip_failures: bool = False,
) -> None:
    """Bakes those of `sources` that are not in the cache yet, in parallel.

    Args:
        sources: The scenes.
        workers: Number of processes; None starts one for each core that this process may use.
        progress: True shows a progress bar if stderr is a terminal, "always" shows it anyway, False never.
        skip_failures: Ignore scenes that cannot be baked; loading such a scene raises its error.

    Raises:
        SceneError: If a scene cannot be baked and `skip_failures` is off; the error names the first such scene.
    """
    missing = [source for source in sources if not _is_ready(source)]
    if not missing:
        return
    workers = min(workers or available_cores(), len(missing))
    console = Console(stderr=True, force_terminal=True if progress == "always" else None)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not progress or not console.is_terminal) as bar:
        task = bar.add_task("Baking scenes", total=len(missing))
        _run(missing, workers, lambda: bar.advance(task), skip_failures)


def _is_ready(source: SceneSource) -> bool:
    try:
        return source.is_ready
    except SceneError:
        return False  # baking says what is wrong


class BakeProcess:
    """A process that bakes one source after another; it starts with the first.

    Args:
        background: Run at a low priority.
    """

    def __init__(self, background: bool = False) -> None:
        self._background = background
        self._process: subprocess.Popen | None = None
        self._closed = False
        self._lock = threading.Lock()

    def bake(self, source: SceneSource) -> None:
        """Bakes `source` into the cache; raises `SceneError` if that fails or the process was closed."""
        process = self._started()
        try:
            error = _ask(process, source)
        except (OSError, ValueError, EOFError, pickle.UnpicklingError):
            error = f"its worker process ended with code {process.wait()} (out of memory? try fewer workers)."
            with self._lock:
                self._process = None
        if error is not None:
            raise SceneError(f"Baking {source.name} failed: {error}")

    def _started(self) -> subprocess.Popen:
        with self._lock:
            if self._closed:
                raise SceneError("This baking process was closed; create a new BakeProcess.")
            if self._process is None:
                self._process = _start_worker(self._background)
            return self._process

    def close(self) -> None:
        """Ends the process, also in the middle of baking. Any thread may call this."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_TERMINATION_SECONDS)
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
        """Bakes one job after another until none is left or one has failed."""
        while skip_failures or not failures:
            try:
                process.bake(jobs.get_nowait())
            except queue.Empty:
                return
            except SceneError as error:
                failures.append(error)
            advance()

    feed_all(processes, feed)
    if failures and not skip_failures:
        raise failures[0]


def feed_all(processes: Sequence[BakeProcess], feed: Callable[[BakeProcess], None]) -> None:
    """Calls `feed` with each of `processes` in a thread of its own, waits for all, and closes the processes."""
    threads = [threading.Thread(target=feed, args=(process,), daemon=True) for process in processes]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for process in processes:
            process.close()


def _ask(process: subprocess.Popen, message: Any) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    pickle.dump(message, process.stdin)
    process.stdin.flush()
    return pickle.load(process.stdout)


def _start_worker(background: bool) -> subprocess.Popen:
    command = [sys.executable, "-I", str(_WORKER), str(os.getpid()), *["background"] * background]
    environment = os.environ | dict.fromkeys(_THREAD_COUNTS, "1")
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert worker.stdin is not None
    pickle.dump(_import_path(), worker.stdin)
    return worker


def _import_path() -> tuple[str, list[str]]:
    """Returns the file of the package and the folders in which this process finds modules.

    "" stands for the current folder, from which a worker imports nothing.
    """
    package = sys.modules["batchsim"].__file__
    assert package is not None
    return str(Path(package).resolve()), [os.path.abspath(entry) for entry in sys.path if entry]
