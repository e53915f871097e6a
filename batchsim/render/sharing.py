"""One piece of memory seen by OpenGL as a buffer and by torch as a tensor."""

from __future__ import annotations

import moderngl
import torch
from torch import Tensor

_ITEM_SIZE = {torch.float32: 4, torch.int32: 4, torch.uint8: 1}


class SharedTensor:
    """A torch tensor with a GL buffer behind it.

    Without CUDA the two are separate memory: `to_gl` and `to_torch` copy, each in one call, without allocating.
    """

    def __init__(self, context: moderngl.Context, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.tensor: Tensor = torch.zeros(shape, dtype=dtype)
        self.buffer = context.buffer(reserve=max(16, self.tensor.numel() * _ITEM_SIZE[dtype]), dynamic=True)

    def to_gl(self, count: int) -> None:
        """Make the first `count` rows of the tensor visible to OpenGL."""
        self.buffer.write(self.tensor[:count].numpy())

    def to_torch(self, count: int) -> None:
        """Make the first `count` rows of the buffer visible to torch."""
        self.buffer.read_into(self.tensor[:count].numpy())

    def release(self) -> None:
        """Give the GL buffer back."""
        self.buffer.release()
