"""Finds the EGL device that is a given CUDA device.

EGL and CUDA each number a machine's GPUs in their own order, and EGL lists devices that CUDA does not know (a display
adapter, Mesa's CPU renderer). Devices are matched by UUID (EGL_EXT_device_persistent_id, GL_EXT_memory_object), or, if
the driver is too old for that, by the CUDA number that EGL reports (EGL_NV_device_cuda).
"""

from __future__ import annotations

import ctypes
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import moderngl
import torch

from batchsim.errors import RenderError
from batchsim.render.opengl.egl import INSTALL_NVIDIA_EGL, Egl

_EGL_EXTENSIONS = 0x3055
_EGL_DEVICE_EXT = 0x322C
_EGL_CUDA_DEVICE_NV = 0x323A
_EGL_DEVICE_UUID_EXT = 0x335C
_GL_DEVICE_UUID_EXT = 0x9597
_UUID_BYTES = 16
_MAX_DEVICES = 64


@dataclass(frozen=True)
class EglDevice:
    """A device that EGL lists.

    Attributes:
        index: Its number in EGL's list.
        cuda_ordinal: Its CUDA number; None if it is not a CUDA device.
        uuid: Its UUID, if EGL reports one.
    """

    index: int
    cuda_ordinal: int | None
    uuid: bytes | None


class _DeviceQueries(Egl):
    """EGL's device queries."""

    def handles(self) -> list[int]:
        """Returns EGL's device handles in the order that moderngl's `device_index` counts in."""
        query = self.function(
            "eglQueryDevicesEXT", ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)
        )
        handles, count = (ctypes.c_void_p * _MAX_DEVICES)(), ctypes.c_int(0)
        if query is None or not query(_MAX_DEVICES, handles, ctypes.byref(count)):
            return []
        return [handle or 0 for handle in handles[: count.value]]

    def describe(self, index: int, handle: int) -> EglDevice:
        """Returns what EGL reports about a device without a context on it."""
        extensions = self._extensions(handle)
        ordinal = self._cuda_ordinal(handle) if "EGL_NV_device_cuda" in extensions else None
        known = self._uuid(handle) if "EGL_EXT_device_persistent_id" in extensions else None
        return EglDevice(index, ordinal, known)

    def current_handle(self) -> int | None:
        """Returns the device of the display whose context is current, or None if EGL cannot tell."""
        display_of = self.function("eglGetCurrentDisplay", ctypes.c_void_p)
        query = self.function(
            "eglQueryDisplayAttribEXT", ctypes.c_uint, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_ssize_t)
        )
        display = display_of() if display_of else None
        value = ctypes.c_ssize_t(0)
        if not display or query is None or not query(display, _EGL_DEVICE_EXT, ctypes.byref(value)):
            return None
        return value.value

    def _extensions(self, handle: int) -> set[str]:
        query = self.function("eglQueryDeviceStringEXT", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int)
        text = query(handle, _EGL_EXTENSIONS) if query else None
        return set((text or b"").decode().split())

    def _cuda_ordinal(self, handle: int) -> int | None:
        query = self.function(
            "eglQueryDeviceAttribEXT", ctypes.c_uint, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_ssize_t)
        )
        value = ctypes.c_ssize_t(-1)
        if query is None or not query(handle, _EGL_CUDA_DEVICE_NV, ctypes.byref(value)):
            return None
        return value.value

    def _uuid(self, handle: int) -> bytes | None:
        query = self.function(
            "eglQueryDeviceBinaryEXT",
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.POINTER(ctypes.c_int),
        )
        found, size = ctypes.create_string_buffer(_UUID_BYTES), ctypes.c_int(0)
        if query is None or not query(handle, _EGL_DEVICE_UUID_EXT, _UUID_BYTES, found, ctypes.byref(size)):
            return None
        return found.raw


def list_egl_devices() -> list[EglDevice]:
    """Returns EGL's devices in EGL's order. Raises `RenderError` without libEGL."""
    egl = _DeviceQueries()
    return [egl.describe(index, handle) for index, handle in enumerate(egl.handles())]


def egl_index_for_cuda(ordinal: int) -> int:
    """Returns the EGL index of torch's device `cuda:ordinal`. Raises `RenderError` if EGL does not list it."""
    return match_device(list_egl_devices(), ordinal, cuda_uuid(ordinal))


def match_device(devices: Sequence[EglDevice], ordinal: int, wanted: bytes | None) -> int:
    """Returns the index of the device among `devices` that is CUDA's device `ordinal`.

    UUIDs decide if both are known: CUDA_VISIBLE_DEVICES renumbers CUDA's devices, and EGL may not know of it.

    Args:
        devices: What EGL lists.
        ordinal: The CUDA number.
        wanted: The UUID of the CUDA device; None if unknown.

    Raises:
        RenderError: None of `devices` matches.
    """
    if wanted is not None:
        for device in devices:
            if device.uuid == wanted and device.cuda_ordinal is not None:
                return device.index
    for device in devices:
        if device.cuda_ordinal == ordinal and (device.uuid is None or wanted is None):
            return device.index
    listed = ", ".join(map(_describe, devices)) or "none"
    raise RenderError(f"EGL does not list cuda:{ordinal} (its devices: {listed}). {INSTALL_NVIDIA_EGL}")


def check_device(context: moderngl.Context, ordinal: int) -> None:
    """Raises `RenderError` if `context`, which must be current, does not draw on `cuda:ordinal`."""
    wanted, drawn = cuda_uuid(ordinal), gl_uuid(context)
    if wanted is not None and drawn is not None:
        if wanted != drawn:
            raise _mismatch(context, ordinal, f"its UUID is {uuid.UUID(bytes=drawn)}, not {uuid.UUID(bytes=wanted)}")
        return
    egl = _DeviceQueries()
    handles, current = egl.handles(), egl.current_handle()
    device = egl.describe(handles.index(current), current) if current in handles else None
    if device is not None and device.cuda_ordinal != ordinal:
        raise _mismatch(context, ordinal, f"it is {_describe(device)}")


def _mismatch(context: moderngl.Context, ordinal: int, why: str) -> RenderError:
    return RenderError(
        f"OpenGL draws on {context.info['GL_RENDERER']} instead of cuda:{ordinal}: {why}. Unset GLCONTEXT_DEVICE_INDEX "
        "if it is set; CUDA_DEVICE_ORDER=PCI_BUS_ID makes CUDA count as EGL does. Or use device='cpu'."
    )


def cuda_uuid(ordinal: int) -> bytes | None:
    """Returns the UUID (16 bytes) of torch's device `cuda:ordinal`, or None if torch is too old to report it."""
    known = getattr(torch.cuda.get_device_properties(ordinal), "uuid", None)
    return None if known is None else uuid.UUID(str(known)).bytes


def gl_uuid(context: moderngl.Context) -> bytes | None:
    """Returns the UUID of the device that `context`, which must be current, draws on; None if the driver has none."""
    if "GL_EXT_memory_object" not in context.extensions:
        return None
    get = _DeviceQueries().function("glGetUnsignedBytei_vEXT", None, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)
    if get is None:
        return None
    found = ctypes.create_string_buffer(_UUID_BYTES)
    get(_GL_DEVICE_UUID_EXT, 0, found)
    return found.raw


def _describe(device: EglDevice) -> str:
    name = "not a CUDA device" if device.cuda_ordinal is None else f"cuda:{device.cuda_ordinal}"
    return f"{device.index}: {name}"
