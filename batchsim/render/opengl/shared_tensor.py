"""Memory that both OpenGL (as a buffer) and torch (as a tensor) read and write."""

from __future__ import annotations

from collections.abc import Mapping

import moderngl
import torch
from torch import Tensor

from batchsim.render.opengl.cuda_buffer import CudaBuffer, map_buffers, unmap_buffers


class SharedTensor:
    """A torch tensor backed by a GL buffer.

    At any time either torch or OpenGL owns the memory; torch does at first. `to_gl` and `to_torch` hand it over.
    On the CPU the two have separate memory, and handing over copies it in one call. On CUDA they have the same memory,
    and nothing is copied. The GL context must be current in every call.

    Args:
        context: On CUDA it must draw on `device`.
        shape: Shape of the tensor, which is zero at first.
        dtype: float32, int32 or uint8.
        device: Device of the tensor.

    Raises:
        RenderError: CUDA cannot share the buffer, or the extra `cuda` is not installed.
    """

    def __init__(
        self,
        context: moderngl.Context,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: str | torch.device = "cpu",
    ) -> None:
        device = torch.device(device)
        # Shaders write whole words, also of pixels of three bytes: there must be room for a last word in part used.
        size = -(-torch.Size(shape).numel() * dtype.itemsize // 12) * 12
        self.buffer = context.buffer(reserve=max(16, size), dynamic=True)
        self._memory: CudaBuffer | Tensor
        if device.type == "cuda":
            self._memory = CudaBuffer(self.buffer, shape, dtype, device)
        else:
            self._memory = torch.zeros(shape, dtype=dtype)

    @property
    def tensor(self) -> Tensor:
        """The tensor; use it only while torch owns the memory."""
        return self._memory.tensor if isinstance(self._memory, CudaBuffer) else self._memory

    @property
    def is_copied(self) -> bool:
        """Whether tensor and buffer have separate memory, which handing over copies."""
        return isinstance(self._memory, Tensor)

    def to_gl(self, count: int) -> None:
        """Hands the memory to OpenGL with the first `count` rows of the tensor (0 if OpenGL only writes)."""
        hand_to_gl({self: count})

    def to_torch(self, count: int) -> None:
        """Hands the memory to torch with the first `count` rows of the buffer (0 if torch only writes)."""
        hand_to_torch({self: count})

    def release(self) -> None:
        """Releases the GL buffer. On CUDA the tensor and all views of it must not be used any more."""
        if isinstance(self._memory, CudaBuffer):
            self._memory.release()
        self.buffer.release()


def hand_to_gl(counts: Mapping[SharedTensor, int]) -> None:
    """Hands several tensors of one device to OpenGL, on CUDA in one call.

    Args:
        counts: How many rows of each tensor OpenGL reads (0 if it only writes).
    """
    unmap_buffers([shared._memory for shared in counts if isinstance(shared._memory, CudaBuffer)])
    for shared, count in counts.items():
        if isinstance(shared._memory, Tensor) and count:
            shared.buffer.write(shared._memory[:count].numpy())


def hand_to_torch(counts: Mapping[SharedTensor, int]) -> None:
    """Hands several tensors of one device to torch, on CUDA in one call.

    Args:
        counts: How many rows of each buffer torch reads (0 if it only writes).
    """
    map_buffers([shared._memory for shared in counts if isinstance(shared._memory, CudaBuffer)])
    for shared, count in counts.items():
        if isinstance(shared._memory, Tensor) and count:
            rows = shared._memory[:count]
            shared.buffer.read_into(rows.numpy(), size=rows.numel() * rows.element_size())
