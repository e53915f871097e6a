"""Stands in for `cuda.core` and CUDA's driver as far as OpenGL buffers are shared, and for a GPU's OpenGL driver."""

from __future__ import annotations

import ctypes
import itertools
import sys
import types

import torch

from tests.helpers.pretend_gpu.state import address, poison, state
from tests.helpers.pretend_gpu.tensors import GpuTensor

_COPY_READ, _SIZE = 0x8F36, 0x8764

_handles = itertools.count(1)
_resources = {}


class _Resource:
    """A registered GL buffer: its contents are copied when it is mapped and unmapped."""

    def __init__(self, name):
        size = ctypes.c_int(0)
        _gl("glBindBuffer", ctypes.c_uint, ctypes.c_uint)(_COPY_READ, name)
        _gl("glGetBufferParameteriv", ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)(
            _COPY_READ, _SIZE, ctypes.addressof(size)
        )
        self.name, self.handle, self.is_mapped = name, next(_handles), False
        self.host = torch.zeros(size.value, dtype=torch.uint8)
        _resources[self.handle] = self

    def move(self, function):
        _gl("glBindBuffer", ctypes.c_uint, ctypes.c_uint)(_COPY_READ, self.name)
        _gl(function, ctypes.c_uint, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p)(
            _COPY_READ, 0, self.host.numel(), self.host.data_ptr()
        )

    def close(self):
        assert not self.is_mapped, "a buffer is unregistered while it is mapped"
        state.owned_by_gl.pop(address(self.host), None)
        del _resources[self.handle]


def _gl(name, *arguments):
    from batchsim.render.opengl.egl import load_egl

    return load_egl().function(name, None, *arguments)


def _each(count, handles):
    return [_resources[handle] for handle in (ctypes.c_void_p * count).from_address(handles)]


def _map(count, handles, stream):
    for resource in _each(count, handles):
        assert not resource.is_mapped
        resource.is_mapped = True
        state.owned_by_gl.pop(address(resource.host), None)
        resource.move("glGetBufferSubData")
    return (0,)


def _unmap(count, handles, stream):
    for resource in _each(count, handles):
        assert resource.is_mapped
        resource.is_mapped = False
        resource.move("glBufferSubData")
        poison(resource.host)
        state.owned_by_gl[address(resource.host)] = f"GL buffer {resource.name}"
    return (0,)


def _pointer(handle):
    return 0, _resources[handle].host.data_ptr(), _resources[handle].host.numel()


def _tensor_at(pointer, shape, dtype, device):
    (resource,) = [resource for resource in _resources.values() if resource.host.data_ptr() == pointer]
    size = torch.Size(shape).numel() * dtype.itemsize
    return GpuTensor(resource.host[:size].view(dtype).view(shape), device.index)


def install():
    """Replaces modules and functions for the rest of the process."""
    modules = {name: types.ModuleType(name) for name in ("cuda", "cuda.core", "cuda.bindings", "cuda.bindings.driver")}
    modules["cuda"].core, modules["cuda"].bindings = modules["cuda.core"], modules["cuda.bindings"]
    modules["cuda.core"].Device = lambda index: types.SimpleNamespace(set_current=lambda: None)
    modules["cuda.core"].GraphicsResource = types.SimpleNamespace(from_gl_buffer=_Resource)
    driver = modules["cuda.bindings"].driver = modules["cuda.bindings.driver"]
    driver.cuGraphicsMapResources, driver.cuGraphicsUnmapResources = _map, _unmap
    driver.cuGraphicsResourceGetMappedPointer = _pointer
    sys.modules |= modules

    from batchsim.render.opengl import context, cuda_buffer

    cuda_buffer._tensor_at = _tensor_at
    make = context._create_context

    def create(device_index=None):
        made = make()
        if device_index is not None:  # so that shaders are compiled in their variants for GPUs
            made._info = dict(made.info) | {"GL_RENDERER": "Pretend NVIDIA GPU", "GL_VENDOR": "NVIDIA"}
        return made

    context._create_context = create
    context.egl_index_for_cuda = lambda ordinal: 0
    context.check_device = lambda made, ordinal: None
