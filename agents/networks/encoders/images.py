"""Turns images into the input channels of encoders."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

PIXELS = {"depth": (1, torch.float32), "rgb": (3, torch.uint8)}
"""The images that a policy can read: channels and dtype by name."""

DEPTH_BINS = 10
CHANNELS = {"depth": 1 + DEPTH_BINS, "rgb": 3}

_GOAL_IMAGE = "imagegoal"  # how the names of goal images end


def kind_of_image(name: str) -> str:
    """Returns the entry of `PIXELS` that describes an image: "rgb" for goal images such as `imagegoal`."""
    return "rgb" if name.endswith(_GOAL_IMAGE) else name


class ConvolutionalEncoder(nn.Module):
    """Base class of encoders whose convolutions can use either memory format."""

    memory_format: torch.memory_format = torch.contiguous_format


def image_channels(observation: Mapping[str, Tensor], names: tuple[str, ...]) -> Tensor:
    """Returns the channels of the images `names`, `[B, height, width, C]`, in the dtype that layers compute in.

    Depth gives 11 channels: its value, and the tenth of the range that it is in as a one-hot vector (Shacklett et al.,
    2021). Colour gives 3, in [-1, 1].
    """
    dtype = image_dtype(observation[names[0]].device)
    makers = {"depth": _depth, "rgb": _rgb}
    parts = [makers[kind_of_image(name)](observation[name], dtype) for name in names]
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


def _depth(depth: Tensor, dtype: torch.dtype) -> Tensor:
    tenths = (depth * DEPTH_BINS).int().clamp_(max=DEPTH_BINS - 1)
    bins = tenths == torch.arange(DEPTH_BINS, dtype=torch.int32, device=depth.device)
    return torch.cat([depth.to(dtype), bins.to(dtype)], -1)


def _rgb(rgb: Tensor, dtype: torch.dtype) -> Tensor:
    return (rgb.float() * (2 / 255) - 1).to(dtype)


def image_dtype(device: torch.device) -> torch.dtype:
    """Returns the dtype to which autocast would cast the input of a matrix product."""
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return torch.float32


def to_patches(x: Tensor, size: int) -> Tensor:
    """Moves space to depth: `[B, H, W, C]` to `[B, H / size, W / size, size * size * C]`."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height // size, size, width // size, size, channels).transpose(2, 3)
    return x.reshape(batch, height // size, width // size, size * size * channels)


def to_nested_patches(x: Tensor, first: int, levels: int) -> Tensor:
    """Orders pixels so that those of a patch follow each other, and so do the patches of a larger one.

    Args:
        x: Images, `[B, H, W, C]`.
        first: Side of the smallest patches, pixels.
        levels: How many times 2 x 2 patches form a larger one.

    Returns:
        `[B, H * W, C]`: the largest patches row by row, in each its four patches row by row, and so on.
    """
    batch, height, width, channels = x.shape
    side = first << levels
    row = first * channels  # a row of a smallest patch, which moves as a whole
    word = _word(x, row)
    if word is not None:
        row = row * x.element_size() // word.itemsize
    values = x.contiguous() if word is None else x.contiguous().view(batch, height, -1).view(word)
    split = values.view(batch, height // side, *[2] * levels, first, width // side, *[2] * levels, row)
    down, across = range(1, levels + 2), range(levels + 3, 2 * levels + 4)
    order = [axis for pair in zip(down, across, strict=True) for axis in pair]
    moved = split.permute(0, *order, levels + 2, 2 * levels + 4).reshape(batch, -1)
    return (moved if word is None else moved.view(x.dtype)).view(batch, height * width, channels)


def _word(x: Tensor, row: int) -> torch.dtype | None:
    """Returns an integer type to copy rows of `row` numbers as, which is faster; None where gradients are needed."""
    if x.requires_grad or x.device.type != "cpu" or torch.compiler.is_compiling():
        return None
    size = row * x.element_size()
    return next((word for word in (torch.int64, torch.int32) if size % word.itemsize == 0), None)
