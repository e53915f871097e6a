"""Measures how nearly lognormal the neural gradients of a run are, layer by layer, and prints a table in Markdown.

python docs/measure_gradients.py runs/quickstart
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from batchsim.agents.config import TrainConfig
from batchsim.agents.gradients.lognormal import LogNormal
from batchsim.agents.gradients.neural import NeuralGradientRecorder
from batchsim.agents.gradients.small_floats import FP6, format_index
from batchsim.agents.runs.checkpoint import load_policy
from batchsim.agents.training.build import make_trainer

_NUM_ENVS = 32
_UPDATES = 2


def main(run: Path) -> None:
    """Trains the policy of `run` for a few updates, with the gradients of its layers recorded."""
    config = replace(TrainConfig.load(run / "config.json"), num_envs=_NUM_ENVS, seed=1, device="cpu")
    trainer = make_trainer(config)
    trainer.policy.load_state_dict(load_policy(run).state_dict())
    recorder = NeuralGradientRecorder(trainer.policy)
    for _ in range(_UPDATES):
        trainer.iteration()
    print("| layer | elements | zeros | mu | sigma | KS distance | 6-bit format |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, found in recorder.distributions().items():
        print(_line(name, found.fitted, found.distance, found.elements, found.zeros))
    trainer.close()


def _line(name: str, fitted: LogNormal, distance: float, elements: int, zeros: float) -> str:
    form = FP6[int(format_index(fitted.sigma))]
    figures = f"{elements:,} | {zeros:.2f} | {float(fitted.mu):.1f} | {float(fitted.sigma):.2f} | {distance:.3f}"
    return f"| `{name}` | {figures} | 1-{form.exponent}-{form.mantissa} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
