"""A GL buffer's memory as a torch tensor on CUDA, without a copy.

Registered with CUDA once, and mapped whenever torch's turn has come. Mapping lets what is launched on torch's current
stream from then on wait for the GL commands issued so far, unmapping the other way round; the host waits for neither
(CUDA Driver API, cuGraphicsMapResources and cuGraphicsUnmapResources).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import moderngl
import torch
from torch import Tensor

from batchsim.errors import RenderError

_TYPE_STRINGS = {torch.float32: "<f4", torch.int32: "<i4", torch.uint8: "|u1"}


def require_cuda_core() -> ModuleType:
    """The module `cuda.core`; raises `RenderError` naming the extra if it is not installed or too old."""
    try:
        import cuda.core as core
    except ImportError as error:
        raise RenderError(
            f"Rendering into CUDA tensors needs cuda-core ({error}): pip install 'batchsim[cuda]', or use device='cpu'."
        ) from error
    if not hasattr(core, "GraphicsResource"):
        found = getattr(core, "__version__", "unknown")
        raise RenderError(
            f"cuda-core {found} cannot share OpenGL buffers: version 1.0 or later can. pip install -U 'batchsim[cuda]'."
        )
    return core


class CudaBuffer:
    """`buffer` seen as a tensor of `shape` and `dtype` on `device`. Torch has its turn at first.

    The GL context must be current in every call. Raises `RenderError` where CUDA cannot register the buffer, as when
    it lies on another device than `device`.
    """

    def __init__(
        self, buffer: moderngl.Buffer, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
    ) -> None:
        self._core = require_cuda_core()
        self._shape, self._dtype, self._device = shape, dtype, device
        self._streams: dict[int, Any] = {}
        self._pointer = 0
        self._mapped = None
        self.tensor: Tensor | None = None
        with torch.cuda.device(device):
            self._core.Device(device.index).set_current()
            try:
                self._resource = self._core.GraphicsResource.from_gl_buffer(buffer.glo)
            except Exception as error:  # cuda.core's own error types differ between its versions
                raise RenderError(
                    f"CUDA cannot share an OpenGL buffer with {device} ({error}). OpenGL and CUDA must be on the same "
                    "GPU, with NVIDIA's driver for both."
                ) from error
        self.to_torch()
        self.tensor.zero_()

    def to_torch(self) -> None:
        """It is torch's turn: what GL was told before is done before what torch does next on its current stream."""
        if self._mapped is not None:
            return
        with torch.cuda.device(self._device):
            self._mapped = self._resource.map(stream=self._stream())
        pointer = int(self._mapped.handle)
        if pointer != self._pointer:  # the driver may move the buffer, though it hardly ever does
            self._pointer = pointer
            self.tensor = _tensor_at(pointer, self._shape, self._dtype, self._device)

    def to_gl(self) -> None:
        """It is GL's turn: what torch does on its current stream before is done before what GL is told next."""
        if self._mapped is None:
            return
        self._mapped = None
        with torch.cuda.device(self._device):
            self._resource.unmap(stream=self._stream())

    def release(self) -> None:
        """Take the buffer from CUDA; its tensor must not be used any more."""
        self.to_gl()
        self.tensor = None
        self._resource.close()

    def _stream(self) -> Any:
        """Torch's current stream as `cuda.core` wants it."""
        handle = torch.cuda.current_stream(self._device).cuda_stream
        if handle not in self._streams:
            is_default = handle == 0
            self._streams[handle] = (
                self._core.Device(self._device.index).default_stream
                if is_default
                else self._core.Stream.from_handle(handle)
            )
        return self._streams[handle]


class _DeviceArray:
    """Memory at a CUDA address, described by the CUDA array interface (numba's, version 3)."""

    def __init__(self, pointer: int, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": _TYPE_STRINGS[dtype],
            "data": (pointer, False),
            "strides": None,
            "version": 3,
        }


def _tensor_at(pointer: int, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.as_tensor(_DeviceArray(pointer, shape, dtype), device=device)
