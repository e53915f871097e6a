"""The networks that both sides train. Needs only torch.

- nature: three overlapping convolutions and 512 features (Mnih et al., 2015), Stable-Baselines3's default.
- patches: convolutions with stride equal to kernel size and 128 features, as in batchsim's quickstart.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

SIZE = 64
"""Image height and width in pixels."""
FEATURES = {"nature": 512, "patches": 128}


def make_features(name: str) -> nn.Sequential:
    """Return a network from images `[B, 3, SIZE, SIZE]` in [0, 1] to features `[B, FEATURES[name]]`."""
    if name == "nature":
        layers = [nn.Conv2d(3, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3, 1)]
        flat = 64 * 4 * 4
    else:
        layers = [nn.Conv2d(3, 16, 4, 4), nn.ReLU(), nn.Conv2d(16, 32, 2, 2), nn.ReLU(), nn.Conv2d(32, 64, 2, 2)]
        flat = 64 * 4 * 4
    return nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(flat, FEATURES[name]), nn.ReLU())


def sizes(features: nn.Module, policy: nn.Module) -> dict[str, int]:
    """Count the parameters of `policy` and the floating-point operations of one forward pass of `features`."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        features(torch.zeros(1, 3, SIZE, SIZE))
    return {
        "parameters": sum(p.numel() for p in policy.parameters()),
        "forward_flops_per_frame": counter.get_total_flops(),
    }
