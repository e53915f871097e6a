"""What the tests of adapters share: an environment as users create it, and one to compare with that keeps its ends."""

import pytest
import torch

OPTIONS = {"width": 16, "height": 12, "renderer": "raycast", "device": "cpu", "turn_angle": 30.0}
STEPS = 30


@pytest.fixture
def make_pair(one_room, make_env):
    """Makes two equal environments, one for the adapter and one to step directly."""

    def make(num_envs=3, **options):
        options = {**OPTIONS, "max_episode_steps": 7, **options}
        return make_env(num_envs, one_room, **options), make_env(num_envs, one_room, **options)

    return make


@pytest.fixture
def actions():
    """Actions int64 `[STEPS, 3]`: mostly steps and turns, sometimes a stop."""
    chances = torch.tensor([0.05, 0.45, 0.25, 0.25])
    draws = torch.multinomial(chances, STEPS * 3, replacement=True, generator=torch.Generator().manual_seed(0))
    return draws.reshape(STEPS, 3)
