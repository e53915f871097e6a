"""Scenes of a large set, one after another in a fixed order, read and if need be baked ahead of their time."""

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
from batchsim.scenes.sources.bake_many import BakeProcess, available_cores
from batchsim.streaming.initial_scenes import LOAD_ERRORS, InitialScenes, report_failure

_log = logging.getLogger(__name__)
T = TypeVar("T")


def visiting_order(num_scenes: int, first: Collection[int], seed: int) -> Iterator[int]:
    """Numbers of scenes without end: those that are not among `first`, then all again and again, shuffled by `seed`."""
    for lap in count():
        shuffled = np.random.default_rng([seed % (1 << 63), lap]).permutation(num_scenes)
        yield from (int(k) for k in shuffled if lap or k not in first)


class SceneLoader(Generic[T]):
    """Loads the scenes of a set in `visiting_order`, a few ahead, in threads of its own.

    - `prepare`: makes of a scene what is wanted of it; called in those threads.
    - `failed`: what is wrong with the scenes that could not be had, by number.
    - `ahead`: how many are loaded before they are asked for.

    What is not in the cache is baked by processes that give way to whatever else computes.
    """

    def __init__(
        self,
        supply: InitialScenes,
        prepare: Callable[[Scene], T],
        ahead: int = 4,
    ) -> None:
        self.sources = supply.sources
        self.failed = dict(supply.failed)
        self.taken = 0
        self._first = frozenset(supply.resident)
        self._prepare = prepare
        self._ahead = ahead
        self._order: Iterator[int] = iter(())
        self._pending: deque[tuple[int, Future[T]]] = deque()
        self._jobs: queue.SimpleQueue[tuple[SceneSource, Future[T]] | None] = queue.SimpleQueue()
        self._bakers: list[BakeProcess] = []
        self._close = weakref.finalize(self, _end, self._jobs, self._bakers)

    def start(self, seed: int, taken: int = 0) -> None:
        """Begin the order anew, as if `taken` scenes of it had been asked for already."""
        for _, future in self._pending:
            future.cancel()
        self._pending.clear()
        self._order = islice(visiting_order(len(self.sources), self._first, seed), taken, None)
        self.taken = taken
        self._fill()

    def next(self, leave_out: Collection[int] = ()) -> tuple[int, T] | None:
        """The next scene that can be had and is not in `leave_out`, by number: None if there is none in two rounds.

        Which one that is does not depend on how long loading takes: this waits until it is known. Raises `OptionError`
        for a loader that was closed.
        """
        if not self._close.alive:
            raise OptionError("The loader of scenes was closed; make a new environment.")
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
                self.give_up(number, error)
        return None

    def give_up(self, number: int, error: Exception) -> None:
        """Report the scene with that number, and leave it out from now on."""
        self.failed[number] = report_failure(self.sources[number], error)

    def load(self, number: int) -> T:
        """The scene with that number, now. Raises one of `LOAD_ERRORS`."""
        return self._prepare(self.sources[number].load())

    def _result(self, number: int, future: Future[T]) -> T:
        if future.done():
            return future.result()
        begin = time.perf_counter()
        result = future.result()
        _log.info("Waited %.2f s for %s to be loaded.", time.perf_counter() - begin, self.sources[number].name)
        return result

    def _fill(self) -> None:
        if not self._bakers:
            self._start_threads()
        while len(self._pending) < self._ahead:
            number, future = next(self._order), Future()
            self._pending.append((number, future))
            self._jobs.put((self.sources[number], future))

    def _start_threads(self) -> None:
        # One core is left to whoever steps the environments.
        for _ in range(max(1, min(self._ahead, available_cores() - 1))):
            baker = BakeProcess(background=True)
            self._bakers.append(baker)
            # Neither keeps the loader alive, nor the interpreter.
            work = threading.Thread(target=_work, args=(self._jobs, baker, self._prepare), daemon=True)
            work.start()

    def close(self) -> None:
        """End the threads and their processes."""
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
    jobs.put(None)  # for the next thread


def _end(jobs: queue.SimpleQueue, bakers: Sequence[BakeProcess]) -> None:
    with suppress(queue.Empty):
        while True:
            jobs.get_nowait()
    jobs.put(None)
    for baker in bakers:
        baker.close()
