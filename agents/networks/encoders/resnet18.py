"""ResNet18 with half the channels and group normalisation, for comparison."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.encoders.images import CHANNELS, ConvolutionalEncoder, image_channels, kind_of_image

_WIDTHS, _STRIDES, _BLOCKS = (32, 64, 128, 256), (1, 2, 2, 2), 2
_GROUPS = 16
_SHRINK = 32
_COMPRESSED = 2048  # features of an image before the last layer


class ResNet18(ConvolutionalEncoder):
    """The residual network of Habitat's baselines (Wijmans et al., "DD-PPO", ICLR 2020).

    ResNet18 (He et al., 2016) with half the channels, and group normalisation (Wu and He, 2018) instead of batch
    normalisation.

    Unlike Habitat's it does not halve the image first, a step meant for 256 x 256 pixels, and it reads depth as the
    same 11 channels as `SEResNet9`, so that the two differ only in the network.
    """

    def __init__(self, image_size: tuple[int, int], images: tuple[str, ...], outputs: int = 512) -> None:
        super().__init__()
        height, width = image_size
        if height % _SHRINK or width % _SHRINK:
            raise AgentError(f"image_size {image_size}: both sides must be multiples of {_SHRINK} for resnet18.")
        self.images = images
        channels = sum(CHANNELS[kind_of_image(name)] for name in images)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, _WIDTHS[0], 7, 2, padding=3, bias=False),
            nn.GroupNorm(_GROUPS, _WIDTHS[0]),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
        )
        blocks, before = [], _WIDTHS[0]
        for width_of_stage, stride in zip(_WIDTHS, _STRIDES, strict=True):
            for k in range(_BLOCKS):
                blocks.append(_Block(before, width_of_stage, stride if k == 0 else 1))
                before = width_of_stage
        self.blocks = nn.Sequential(*blocks)
        cells = (height // _SHRINK) * (width // _SHRINK)
        compressed = max(1, round(_COMPRESSED / cells))
        self.compress = nn.Sequential(
            nn.Conv2d(_WIDTHS[-1], compressed, 3, padding=1, bias=False), nn.GroupNorm(1, compressed), nn.ReLU()
        )
        self.out = nn.Sequential(nn.Flatten(), nn.Linear(compressed * cells, outputs), nn.ReLU())
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.bias)

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Maps `depth` `[B, H, W, 1]` in [0, 1] and `rgb` uint8 `[B, H, W, 3]` to features `[B, outputs]`."""
        x = image_channels(observation, self.images).permute(0, 3, 1, 2).contiguous(memory_format=self.memory_format)
        return self.out(self.compress(self.blocks(self.stem(x))))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.GroupNorm(_GROUPS, outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))
