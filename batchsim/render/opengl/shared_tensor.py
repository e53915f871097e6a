"""One piece of memory seen by OpenGL as a buffer and by torch as a tensor."""

from __future__ import annotations

import moderngl
import torch
from torch import Tensor

from batchsim.render.opengl.cuda_buffer import CudaBuffer


class SharedTensor:
    """A torch tensor with a GL buffer behind it: of `shape` and `dtype`, on `device`, zero at first.

    The two take turns; torch's comes first. Without CUDA they are separate memory: `to_gl` and `to_torch` copy, each
    in one call, without allocating. On CUDA they are the same memory, nothing is copied, and `device` must be the one
    that the context draws on. The GL context must be current in every call.

    Raises `RenderError` where CUDA cannot share the buffer, naming the extra to install where that is why.
    """

    def __init__(
        self,
        context: moderngl.Context,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: str | torch.device = "cpu",
    ) -> None:
        device = torch.device(device)
        # Shaders write three words at a time where pixels have three bytes: room for a last, partly used one.
        size = -(-torch.Size(shape).numel() * dtype.itemsize // 12) * 12
        self.buffer = context.buffer(reserve=max(16, size), dynamic=True)
        self._cuda = CudaBuffer(self.buffer, shape, dtype, device) if device.type == "cuda" else None
        self._host = None if self._cuda else torch.zeros(shape, dtype=dtype)

    @property
    def tensor(self) -> Tensor:
        """The tensor, to be read and written in torch's turn only."""
        return self._cuda.tensor if self._cuda else self._host

    @property
    def is_copied(self) -> bool:
        """Whether tensor and buffer are separate memory, so that GL may as well write to the tensor directly."""
        return self._cuda is None

    def to_gl(self, count: int) -> None:
        """GL's turn, with the first `count` rows of the tensor carried over; 0 where GL writes without reading."""
        if self._cuda:
            self._cuda.to_gl()
        elif count:
            self.buffer.write(self._host[:count].numpy())

    def to_torch(self, count: int) -> None:
        """Torch's turn, with the first `count` rows of the buffer carried over; 0 where torch only writes."""
        if self._cuda:
            self._cuda.to_torch()
        elif count:
            rows = self._host[:count]
            self.buffer.read_into(rows.numpy(), size=rows.numel() * rows.element_size())

    def release(self) -> None:
        """Give the GL buffer back. On CUDA its tensor, and all views of it, must not be used any more."""
        if self._cuda:
            self._cuda.release()
        self.buffer.release()
