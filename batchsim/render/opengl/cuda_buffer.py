"""GL buffers as torch tensors on CUDA, without a copy.

A buffer is registered with CUDA once, and mapped while torch owns it. What is launched on torch's current stream after
a map waits for the GL commands issued before it, and GL commands issued after an unmap wait for what was launched
before it; the host waits for neither (CUDA Driver API, cuGraphicsMapResources and cuGraphicsUnmapResources).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import moderngl
import torch
from torch import Tensor

from batchsim.errors import RenderError

_TYPE_STRINGS = {torch.float32: "<f4", torch.int32: "<i4", torch.uint8: "|u1"}


def require_cuda_core() -> ModuleType:
    """Returns the module `cuda.core`. Raises `RenderError`, which names the extra, if it is missing or too old."""
    try:
        import cuda.core as core
    except ImportError as error:
        raise RenderError(
            f"Rendering into CUDA tensors needs cuda-core ({error}): pip install 'batchsim[cuda]', or use device='cpu'."
        ) from error
    if not hasattr(core, "GraphicsResource"):
        found = getattr(core, "__version__", "unknown")
        raise RenderError(
            f"cuda-core {found} cannot share OpenGL buffers: 1.0 or later is needed. pip install -U 'batchsim[cuda]'."
        )
    return core


class CudaBuffer:
    """A GL buffer seen as a tensor, which is zero and mapped at first. The GL context must be current in every call.

    Args:
        buffer: The GL buffer.
        shape: Shape of the tensor.
        dtype: float32, int32 or uint8.
        device: The CUDA device, with its index, on which the buffer lies.

    Raises:
        RenderError: CUDA cannot register the buffer, for example because it lies on another device.
    """

    def __init__(
        self, buffer: moderngl.Buffer, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device
    ) -> None:
        core = require_cuda_core()
        self.device = device
        self.is_mapped = False
        self._shape, self._dtype = shape, dtype
        self._pointer = 0
        self._tensor: Tensor | None = None
        with torch.cuda.device(device):
            core.Device(device.index).set_current()
            try:
                self._resource = core.GraphicsResource.from_gl_buffer(buffer.glo)
            except Exception as error:  # the error types differ between versions of cuda.core
                raise RenderError(
                    f"CUDA cannot share an OpenGL buffer with {device} ({error}). OpenGL and CUDA must be on the same "
                    "GPU, with NVIDIA's driver for both."
                ) from error
        map_buffers([self])
        self.tensor.zero_()

    @property
    def tensor(self) -> Tensor:
        """The tensor; use it only while the buffer is mapped."""
        assert self._tensor is not None, "the buffer was released"
        return self._tensor

    @property
    def handle(self) -> int:
        """The CUgraphicsResource."""
        return int(self._resource.handle)

    def point_to(self, pointer: int) -> None:
        """Takes `pointer` as the address of the buffer; the driver may move a buffer between two maps."""
        if pointer != self._pointer:
            self._pointer = pointer
            self._tensor = _tensor_at(pointer, self._shape, self._dtype, self.device)

    def release(self) -> None:
        """Unmaps and unregisters the buffer; its tensor must not be used any more."""
        unmap_buffers([self])
        self._tensor = None
        self._resource.close()


def map_buffers(buffers: Sequence[CudaBuffer]) -> None:
    """Hands `buffers`, all on one device, to torch in one call."""
    buffers = [buffer for buffer in buffers if not buffer.is_mapped]
    if not buffers:
        return
    driver = _driver()
    with torch.cuda.device(buffers[0].device):
        handles = _handles(buffers)
        stream = _stream(buffers[0].device)
        _check("map", driver.cuGraphicsMapResources(len(buffers), ctypes.addressof(handles), stream))
        for buffer in buffers:
            buffer.is_mapped = True
            pointer, _ = _check("locate", driver.cuGraphicsResourceGetMappedPointer(buffer.handle))
            buffer.point_to(int(pointer))


def unmap_buffers(buffers: Sequence[CudaBuffer]) -> None:
    """Hands `buffers`, all on one device, to OpenGL in one call."""
    buffers = [buffer for buffer in buffers if buffer.is_mapped]
    if not buffers:
        return
    with torch.cuda.device(buffers[0].device):
        handles = _handles(buffers)
        stream = _stream(buffers[0].device)
        for buffer in buffers:
            buffer.is_mapped = False
        _check("unmap", _driver().cuGraphicsUnmapResources(len(buffers), ctypes.addressof(handles), stream))


def _driver() -> Any:
    from cuda.bindings import driver

    return driver


def _handles(buffers: Sequence[CudaBuffer]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(buffers))(*(buffer.handle for buffer in buffers))


def _stream(device: torch.device) -> int:
    """Returns torch's current stream as a CUstream; CUDA could take 0 for a default stream of the thread."""
    legacy_default = 1  # CU_STREAM_LEGACY
    return int(torch.cuda.current_stream(device).cuda_stream) or legacy_default


def _check(doing: str, result: tuple[Any, ...]) -> tuple[Any, ...]:
    status, *values = result
    if int(status) != 0:
        raise RenderError(f"CUDA cannot {doing} shared OpenGL buffers ({status!r}). Make a new renderer.")
    return tuple(values)


class _DeviceArray:
    """Memory at a CUDA address, described by the CUDA array interface (numba, version 3)."""

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
