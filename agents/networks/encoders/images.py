"""Turns images into the input channels of encoders."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

PIXELS = {"depth": (1, torch.float32), "rgb": (3, torch.uint8)}
"""The images that a policy can read: channels and dtype by name."""

DEPTH_BINS = 10
CHANNELS = {"depth": 1 + DEPTH_BINS, "rgb": 3}


class ConvolutionalEncoder(nn.Module):
    """Base class of encoders whose convolutions can use either memory format."""

    memory_format: torch.memory_format = torch.contiguous_format


def image_channels(observation: Mapping[str, Tensor], names: tuple[str, ...]) -> Tensor:
    """Returns the channels of the images `names`, `[B, height, width, C]`, in the dtype that layers compute in.

    Depth gives 11 channels: its value, and the tenth of the range that it is in as a one-hot vector (Shacklett et al.,
    2021). Colour gives 3, in [-1, 1].
    """
    dtype = _working_dtype(observation[names[0]].device)
    makers = {"depth": _depth, "rgb": _rgb}
    parts = [makers[name](observation[name], dtype) for name in names]
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


def _depth(depth: Tensor, dtype: torch.dtype) -> Tensor:
    tenths = (depth * DEPTH_BINS).int().clamp_(max=DEPTH_BINS - 1)
    bins = tenths == torch.arange(DEPTH_BINS, dtype=torch.int32, device=depth.device)
    return torch.cat([depth.to(dtype), bins.to(dtype)], -1)


def _rgb(rgb: Tensor, dtype: torch.dtype) -> Tensor:
    return (rgb.float() * (2 / 255) - 1).to(dtype)


def _working_dtype(device: torch.device) -> torch.dtype:
    """Returns the dtype to which autocast would cast the input of a matrix product."""
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return torch.float32


def to_patches(x: Tensor, size: int) -> Tensor:
    """Moves space to depth: `[B, H, W, C]` to `[B, H / size, W / size, size * size * C]`."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height // size, size, width // size, size, channels).transpose(2, 3)
    return x.reshape(batch, height // size, width // size, size * size * channels)
