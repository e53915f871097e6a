"""SE-ResNet9: the visual encoder of Large Batch Simulation (Shacklett et al., ICLR 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from batchsim.agents.errors import AgentError
from batchsim.agents.networks.encoders.images import (
    CHANNELS,
    ConvolutionalEncoder,
    image_channels,
    kind_of_image,
    to_patches,
)

_PATCH = 4
_WIDTHS, _STRIDES = (64, 128, 256, 512), (1, 2, 2, 2)
_COMPRESSED = 256
_SQUEEZE = 16


class SEResNet9(ConvolutionalEncoder):
    """Space to depth by 4, a 1 x 1 convolution, four residual blocks, a 3 x 3 convolution and a linear layer.

    Only the output is normalised: blocks are initialised as the identity (Fixup; Zhang et al., ICLR 2019), and squeeze
    and excitation (Hu et al., 2018) weights their channels.
    """

    def __init__(self, image_size: tuple[int, int], images: tuple[str, ...], outputs: int = 512) -> None:
        super().__init__()
        height, width = image_size
        shrink = _PATCH * 2 ** (len(_WIDTHS) - 1)
        if height % shrink or width % shrink:
            raise AgentError(f"image_size {image_size}: both sides must be multiples of {shrink} for se_resnet9.")
        self.images = images
        # A matrix product over patches equals the 1 x 1 convolution.
        channels = sum(CHANNELS[kind_of_image(name)] for name in images)
        self.stem = nn.Linear(_PATCH**2 * channels, _WIDTHS[0], bias=False)
        inputs = (_WIDTHS[0], *_WIDTHS[:-1])
        self.blocks = nn.Sequential(
            *(FixupBlock(i, o, s, len(_WIDTHS)) for i, o, s in zip(inputs, _WIDTHS, _STRIDES, strict=True))
        )
        self.compress = nn.Conv2d(_WIDTHS[-1], _COMPRESSED, 3, padding=1)
        self.out = nn.Linear(_COMPRESSED * (height // shrink) * (width // shrink), outputs, bias=False)
        self.norm = nn.LayerNorm(outputs)
        for layer in (self.stem, self.compress, self.out):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if self.compress.bias is not None:
            nn.init.zeros_(self.compress.bias)

    def forward(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Maps `depth` `[B, H, W, 1]` in [0, 1] and `rgb` uint8 `[B, H, W, 3]` to features `[B, outputs]`."""
        patches = to_patches(image_channels(observation, self.images), _PATCH)
        x = torch.relu(self.stem(patches)).permute(0, 3, 1, 2).contiguous(memory_format=self.memory_format)
        x = torch.relu(self.compress(self.blocks(x)))
        return torch.relu(self.norm(self.out(x.flatten(1))))


class FixupBlock(nn.Module):
    """A residual block without normalisation, one of `depth` in its network.

    Two 3 x 3 convolutions with a scalar bias before each of them and before each activation, and one scalar factor. The
    second convolution is initialised to zero, so that the block starts as its shortcut; the first is initialised the
    smaller the more blocks there are.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, depth: int) -> None:
        super().__init__()
        # Scalars have no dimension: one-element tensors would promote half precision to float32.
        self.bias_1a, self.bias_1b, self.bias_2a, self.bias_2b = (nn.Parameter(torch.zeros(())) for _ in range(4))
        self.scale = nn.Parameter(torch.ones(()))
        self.conv_1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.conv_2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.excite = SqueezeExcite(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            project = nn.Conv2d(inputs, outputs, 1, bias=False)
            nn.init.kaiming_normal_(project.weight, nonlinearity="linear")
            self.shortcut = nn.Sequential(nn.AvgPool2d(3, stride, padding=1), project)
        nn.init.kaiming_normal_(self.conv_1.weight, nonlinearity="relu")
        with torch.no_grad():
            # L^(-1 / (2m - 2)) for L blocks of m = 2 layers.
            self.conv_1.weight.mul_(depth**-0.5)
        nn.init.zeros_(self.conv_2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, inputs, H, W]` to `[B, outputs, H / stride, W / stride]`."""
        x = x + self.bias_1a
        branch = torch.relu(self.conv_1(x) + self.bias_1b)
        branch = self.conv_2(branch + self.bias_2a) * self.scale + self.bias_2b
        return torch.relu(self.excite(branch) + self.shortcut(x))


class SqueezeExcite(nn.Module):
    """Weights each channel by a function of the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // _SQUEEZE)
        self.excite = nn.Linear(channels // _SQUEEZE, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, C, H, W]` to the same shape."""
        weight = torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean((2, 3))))))
        return x * weight[:, :, None, None]
