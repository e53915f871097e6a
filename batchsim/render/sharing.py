"""One piece of memory seen by OpenGL as a buffer and by torch as a tensor."""

from __future__ import annotations

import moderngl
import torch
from torch import Tensor


class SharedTensor:
    """A torch tensor with a GL buffer behind it.

    Without CUDA the two are separate memory: `to_gl` and `to_torch` copy, each in one call, without allocating.
    """

    def __init__(self, context: moderngl.Context, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.tensor: Tensor = torch.zeros(shape, dtype=dtype)
        # Shaders write three words at a time where pixels have three bytes: room for a last, partly used one.
        size = -(-self.tensor.numel() * self.tensor.element_size() // 12) * 12
        self.buffer = context.buffer(reserve=max(16, size), dynamic=True)

    def to_gl(self, count: int) -> None:
        """Make the first `count` rows of the tensor visible to OpenGL."""
        self.buffer.write(self.tensor[:count].numpy())

    def to_torch(self, count: int) -> None:
        """Make the first `count` rows of the buffer visible to torch."""
        rows = self.tensor[:count]
        self.buffer.read_into(rows.numpy(), size=rows.numel() * rows.element_size())

    def release(self) -> None:
        """Give the GL buffer back."""
        self.buffer.release()
