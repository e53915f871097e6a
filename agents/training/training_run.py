"""Runs the training loop in a run folder: log, checkpoints, periodic evaluation, and stopping on signals."""

from __future__ import annotations

import math
import signal
import sys
import time
from pathlib import Path

from batchsim.agents.config import TrainConfig
from batchsim.agents.errors import AgentError
from batchsim.agents.ppo.trainer import Trainer
from batchsim.agents.runs.checkpoint import CheckpointError, save_checkpoint, write_checkpoint
from batchsim.agents.runs.progress_bar import TrainingBar
from batchsim.agents.runs.run_log import LogState, RunLog
from batchsim.agents.training.periodic_evaluation import PeriodicEvaluation
from batchsim.scenes.errors import first_line


class TrainingRun:
    """Trains in the folder `out`. Each rank has one of these; only the first rank writes.

    Args:
        trainer: The trainer, at its start or loaded from a checkpoint.
        config: The run's options.
        out: The run folder.
        log_state: The log's state in the checkpoint that the run continues from; None for a new run.
    """

    def __init__(self, trainer: Trainer, config: TrainConfig, out: Path, log_state: LogState | None = None) -> None:
        self.trainer = trainer
        self.config = config
        self._out = out
        self._is_new = log_state is None
        first = trainer.ranks.is_first
        self._log = RunLog(out, trainer.episode_measures, config.log_every, log_state) if first else None
        self._bar = TrainingBar() if first else None
        evaluates = first and config.eval_every_minutes > 0
        self._evaluation = PeriodicEvaluation(trainer.policy, config) if evaluates else None
        self._stop = StopOnSignal()
        self._last_checkpoint = time.monotonic()

    def run(self) -> int | None:
        """Trains until the budget is used or a signal asks to stop, and saves a checkpoint.

        Returns:
            The number of the signal, or None.

        Raises:
            AgentError: If a figure is not finite, if the first or the last checkpoint cannot be written, or if another
                rank is lost; then a checkpoint is saved if possible.
        """
        try:
            if self._is_new:
                self._save()  # raises at once if nothing that is learned could be kept
            while share_done(self.trainer, self.config) < 1:
                self._update()
                if self._stops_or_saves():
                    break
            self._save()
        except RuntimeError as error:
            if not self.trainer.ranks.is_loss_of_a_rank(error):
                raise
            raise self._lost(error) from None
        finally:
            self._close()
        return self._stop.signal

    def _update(self) -> None:
        trainer, config = self.trainer, self.config
        share = share_done(trainer, config)
        rate = config.learning_rate_at(share, trainer.ranks.size)
        trainer.set_share_done(share)
        trainer.ppo.set_learning_rate(rate)
        update = trainer.iteration()
        _check_finite(update, self._out)
        self._evaluate_if_due()  # before this update is logged, so that its line includes the evaluation
        if self._log and self._bar:
            self._log.add(update | {"learning_rate": rate} | trainer.scene_counts)
            self._bar.update(share_done(trainer, config), self._log.latest, update["frames"], update["fps"])

    def _evaluate_if_due(self) -> None:
        if self._evaluation and self._log and self._evaluation.is_due():
            self._log.add_evaluation(self._evaluation.run(self.trainer.policy))

    def _stops_or_saves(self) -> bool:
        """Saves a checkpoint if one is due; returns whether to stop, on all ranks if one got a signal."""
        due = time.monotonic() - self._last_checkpoint > 60 * self.config.checkpoint_minutes
        ranks = self.trainer.ranks
        save, stop = ranks.any(due and ranks.is_first, self._stop.signal is not None)
        if save and not stop:
            self._save_if_possible()
        return stop

    def _save_if_possible(self) -> None:
        """Saves a checkpoint; if the disk is full, training continues, because there may be room later."""
        try:
            self._save()
        except CheckpointError as error:
            print(f"{error} Training continues.", file=sys.stderr)

    def _save(self) -> None:
        self._last_checkpoint = time.monotonic()
        save_checkpoint(self._out, self.trainer, self._log.state() if self._log else None)

    def _lost(self, error: RuntimeError) -> AgentError:
        """Saves what all ranks had learned together after one was lost; returns the error to raise."""
        frames, ranks = self.trainer.progress.frames, self.trainer.ranks
        what = f"Another rank was lost after {frames} frames ({first_line(error, 120)})."
        if not ranks.is_first:
            return AgentError(f"Rank {ranks.rank}: {what}")
        try:
            write_checkpoint(self._out, self.trainer, [], self._log.state() if self._log else None)
        except CheckpointError as failed:
            return AgentError(f"{what} {failed}")
        return AgentError(f"{what} A checkpoint is saved; continue on any number of ranks: --out {self._out} --resume")

    def _close(self) -> None:
        self._stop.restore()
        if self._log and self._bar:
            self._bar.close()
            self._log.close()


def share_done(trainer: Trainer, config: TrainConfig) -> float:
    """Returns the fraction of the budget that is used: of frames or of minutes, whichever is larger."""
    progress = trainer.progress
    return min(1.0, max(progress.frames / config.total_frames, progress.seconds / (60 * config.max_minutes)))


def _check_finite(update: dict[str, float], out: Path) -> None:
    bad = [name for name, value in update.items() if not math.isfinite(value)]
    if bad:
        raise AgentError(
            f"Training diverged: {', '.join(bad)} is not finite after {update['frames']} frames. The last checkpoint "
            f"in {out} is from before that; a lower --learning-rate may help."
        )


class StopOnSignal:
    """Records SIGINT (Ctrl-C) and SIGTERM, so that training stops after the current update.

    A second Ctrl-C raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}

    def _handle(self, number: int, _: object) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

    def restore(self) -> None:
        """Restores the previous signal handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
