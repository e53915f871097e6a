"""A tiny training run in processes that tests kill, without the seconds that starting Python and torch takes.

As a script this is a server: for every folder on stdin it forks a process that trains there, with `--resume` if there
is a checkpoint, as `make train` does. The process stops itself before it begins, so that a debugger can be attached.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from batchsim.agents.config import TrainConfig
from batchsim.agents.ppo.ppo import PPOConfig

FRAMES = 2 * 4
"""Frames of an update."""
CONFIG = TrainConfig(
    scenes="one-room",
    num_envs=2,
    rollout_steps=4,
    blind=True,
    hidden_size=8,
    eval_scenes="",
    device="cpu",
    log_every=3,
    checkpoint_minutes=0.0,
    max_episode_steps=9,
    max_minutes=1e6,
    final_lr_fraction=1.0,
    ppo=PPOConfig(epochs=1, minibatches=1),
)


class RunServer:
    """Starts training processes in folders."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.killable_run"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._line() == "ready"

    def start(self, out: Path, updates: int) -> int:
        """Returns the number of a stopped process that will train in `out` up to that many updates."""
        if (out / "config.json").exists():  # of which a resumed run takes its options
            options = json.loads((out / "config.json").read_text()) | {"total_frames": updates * FRAMES}
            (out / "config.json").write_text(json.dumps(options))
        self._process.stdin.write(json.dumps([str(out), updates]) + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def wait(self) -> int:
        """Waits for the end of that process; returns its exit code, negative for a signal."""
        code = self._line()
        if not code.lstrip("-").isdecimal():
            raise AssertionError(code)
        return int(code)

    def run(self, out: Path, updates: int) -> None:
        """Trains in `out` up to that many updates."""
        os.kill(self.start(out, updates), signal.SIGCONT)
        assert self.wait() == 0

    def close(self) -> None:
        """Ends the server."""
        self._process.stdin.close()
        self._process.wait(60)

    def _line(self) -> str:
        return self._process.stdout.readline().strip()


def serve() -> None:
    """Answers stdin's lines."""
    from batchsim.agents import train
    from batchsim.agents.runs.checkpoint_folder import holds_checkpoints
    from batchsim.agents.training.build import make_trainer

    trainer = make_trainer(CONFIG)
    train.make_trainer = lambda *_: trainer
    print("ready", flush=True)
    for line in sys.stdin:
        folder, updates = json.loads(line)
        out, config = Path(folder), replace(CONFIG, total_frames=updates * FRAMES)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1))  # PR_SET_PTRACER: anyone may attach
                os.kill(os.getpid(), signal.SIGSTOP)
                code = train.train(config, out, resume=holds_checkpoints(out / "checkpoint"))
            except BaseException:
                Path(f"{out}.error").write_text(traceback.format_exc())
            finally:
                os._exit(code)
        os.waitpid(child, os.WUNTRACED)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        error = Path(f"{out}.error")
        if error.exists():
            print(" ".join(error.read_text().split()), flush=True)
            error.unlink()
        else:
            print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
