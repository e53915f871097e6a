"""`SceneLoader`: loads the scenes of a large set in a fixed order in background threads, baking them if necessary."""

from __future__ import annotations

import logging
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import count, islice
from typing import Generic, TypeVar

import numpy as np

from batchsim.errors import OptionError
from batchsim.scenes import Scene, SceneSource
from batchsim.scenes.sources.bake_many import BakeProcess
from batchsim.scenes.startup.available_cores import available_cores
from batchsim.streaming.initial_scenes import LOAD_ERRORS, InitialScenes, report_failure

_log = logging.getLogger(__name__)
T = TypeVar("T")


def visiting_order(num_scenes: int, first: Collection[int], seed: int) -> Iterator[int]:
    """Yields scene numbers endlessly: those not in `first`, then all again and again, each round shuffled by `seed`."""
    for lap in count():
        shuffled = np.random.default_rng([seed % (1 << 63), lap]).permutation(num_scenes)
        yield from (int(k) for k in shuffled if lap or k not in first)


class SceneLoader(Generic[T]):
    """Loads scenes in `visiting_order`, a few ahead, in its own threads.

    Scenes that are not in the cache are baked by processes of low priority.

    Args:
        initial: The set, with the scenes that are loaded already.
        prepare: Converts a loaded scene to the result of `next`; called in the loader's threads.
        ahead: Number of scenes to load in advance.

    Attributes:
        sources: Sources of all scenes of the set.
        failed: Why scenes could not be loaded, by number.
        taken: Number of scenes taken from the order since `start`.
    """

    def __init__(
        self,
        initial: InitialScenes,
        prepare: Callable[[Scene], T],
        ahead: int = 4,
    ) -> None:
        self.sources = initial.sources
        self.failed = dict(initial.failed)
        self.taken = 0
        self._first = frozenset(initial.resident)
        self._prepare = prepare
        self._ahead = ahead
        self._order: Iterator[int] = iter(())
        self._pending: deque[tuple[int, Future[T]]] = deque()
        self._jobs: queue.SimpleQueue[tuple[SceneSource, Future[T]] | None] = queue.SimpleQueue()
        self._bakers: list[BakeProcess] = []
        self._close = weakref.finalize(self, _end, self._jobs, self._bakers)

    def start(self, seed: int, taken: int = 0) -> None:
        """Restarts the order given by `seed`, skipping the first `taken` scenes."""
        for _, future in self._pending:
            future.cancel()
        self._pending.clear()
        self._order = islice(visiting_order(len(self.sources), self._first, seed), taken, None)
        self.taken = taken
        self._fill()

    def next(self, leave_out: Collection[int] = ()) -> tuple[int, T] | None:
        """Returns the number and prepared data of the next scene that loads; None if there is none in two rounds.

        Blocks until the scene is loaded, so that the order does not depend on how long loading takes.

        Args:
            leave_out: Numbers of scenes to skip.

        Raises:
            OptionError: If the loader was closed.
        """
        if not self._close.alive:
            raise OptionError("The scene loader was closed; create a new environment.")
        for _ in range(2 * len(self.sources)):
            number, future = self._pending.popleft()
            self.taken += 1
            self._fill()
            if number in leave_out or number in self.failed:
                future.cancel()
                continue
            try:
                return number, self._result(number, future)
            except LOAD_ERRORS as error:
                self.mark_failed(number, error)
        return None

    def mark_failed(self, number: int, error: Exception) -> None:
        """Logs a warning about a scene and skip it from now on."""
        self.failed[number] = report_failure(self.sources[number], error)

    def load(self, number: int) -> T:
        """Loads and prepare a scene in the calling thread. Raises one of `LOAD_ERRORS` if that fails."""
        return self._prepare(self.sources[number].load())

    def _result(self, number: int, future: Future[T]) -> T:
        if future.done():
            return future.result()
        begin = time.perf_counter()
        result = future.result()
        _log.info("Waited %.2f s for %s to load.", time.perf_counter() - begin, self.sources[number].name)
        return result

    def _fill(self) -> None:
        if not self._bakers:
            self._start_threads()
        while len(self._pending) < self._ahead:
            number = next(self._order)
            future: Future[T] = Future()
            self._pending.append((number, future))
            self._jobs.put((self.sources[number], future))

    def _start_threads(self) -> None:
        # Leave one core to the thread that steps the environments.
        for _ in range(max(1, min(self._ahead, available_cores() - 1))):
            baker = BakeProcess(background=True)
            self._bakers.append(baker)
            # The thread must not keep the loader or the interpreter alive.
            work = threading.Thread(target=_work, args=(self._jobs, baker, self._prepare), daemon=True)
            work.start()

    def close(self) -> None:
        """Stops the threads and their processes."""
        self._close()


def _work(jobs: queue.SimpleQueue, baker: BakeProcess, prepare: Callable[[Scene], T]) -> None:
    while (job := jobs.get()) is not None:
        source, future = job
        if not future.set_running_or_notify_cancel():
            continue
        try:
            if not source.is_ready:
                baker.bake(source)
            future.set_result(prepare(source.load()))
        except BaseException as error:
            future.set_exception(error)
    jobs.put(None)  # stops the next thread


def _end(jobs: queue.SimpleQueue, bakers: Sequence[BakeProcess]) -> None:
    with suppress(queue.Empty):
        while True:
            jobs.get_nowait()
    jobs.put(None)
    for baker in bakers:
        baker.close()
