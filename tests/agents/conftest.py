"""What tests of agents share."""

from __future__ import annotations

import pytest


@pytest.fixture
def make():
    """Makes trainers, and closes them after the test."""
    from batchsim.agents.training.build import make_trainer

    made = []

    def make_and_keep(config):
        made.append(make_trainer(config))
        return made[-1]

    yield make_and_keep
    for trainer in made:
        trainer.close()
