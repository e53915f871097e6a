"""GL buffers as torch tensors: real copies on the CPU, CUDA's turns against a recording stand-in, and on a GPU."""

import ctypes
import sys
import types

import numpy as np
import pytest
import torch

from batchsim.errors import OptionError, RenderError
from batchsim.render.opengl import cuda_buffer
from batchsim.render.opengl.context import create_context
from batchsim.render.opengl.cuda_buffer import CudaBuffer, map_buffers, require_cuda_core, unmap_buffers
from batchsim.render.opengl.devices import choose_device, why_not_drawable
from batchsim.render.opengl.shared_tensor import SharedTensor


@pytest.fixture(scope="module")
def context():
    context = create_context()
    yield context
    assert context.error == "GL_NO_ERROR"
    context.release()


def test_cpu_carries_rows_over_both_ways(context):
    with context:
        shared = SharedTensor(context, (3, 4), torch.float32)
        assert (shared.tensor == 0).all()
        shared.tensor.copy_(torch.arange(12.0).reshape(3, 4))
        shared.to_gl(2)
        assert np.frombuffer(shared.buffer.read(), "f4")[:8].tolist() == list(range(8))
        shared.buffer.write((np.arange(12) * 10).astype("f4"))
        shared.to_torch(1)
        assert shared.tensor[0].tolist() == [0.0, 10.0, 20.0, 30.0]
        assert shared.tensor[1].tolist() == [4.0, 5.0, 6.0, 7.0]  # not carried over
        shared.release()


def test_cpu_hands_over_without_copying_for_no_rows(context):
    with context:
        shared = SharedTensor(context, (2,), torch.int32)
        shared.buffer.write(np.array([7, 8], np.int32))
        shared.tensor.fill_(5)
        shared.to_gl(0)
        shared.to_torch(0)
        assert shared.tensor.tolist() == [5, 5]
        assert np.frombuffer(shared.buffer.read(), "i4")[:2].tolist() == [7, 8]
        shared.release()


def test_three_byte_pixels_have_room_for_whole_words(context):
    with context:
        shared = SharedTensor(context, (1, 5, 1, 3), torch.uint8)
        assert shared.buffer.size % 12 == 0
        assert shared.buffer.size >= 16
        assert shared.is_copied
        shared.release()


class RecordingCuda:
    """Stands in for `cuda.core` and `cuda.bindings.driver`: memory, and a list of all calls."""

    def __init__(self, size=64, registers=True):
        self.blocks = [ctypes.create_string_buffer(b"\xff" * size, size) for _ in range(2)]
        self.calls = []
        self.block = 0
        self.mapped = set()
        self.core = types.ModuleType("cuda.core")
        self.core.Device = lambda index: types.SimpleNamespace(
            set_current=lambda: self.calls.append(("current", index))
        )
        self.core.GraphicsResource = types.SimpleNamespace(from_gl_buffer=self.register if registers else self.refuse)
        self.driver = types.ModuleType("cuda.bindings.driver")
        self.driver.cuGraphicsMapResources = self.map
        self.driver.cuGraphicsUnmapResources = self.unmap
        self.driver.cuGraphicsResourceGetMappedPointer = self.pointer

    def register(self, name):
        self.calls.append(("register", name))
        return types.SimpleNamespace(handle=1000 + name, close=lambda: self.calls.append(("close", name)))

    def refuse(self, name):
        raise RuntimeError("CUDA_ERROR_INVALID_VALUE")

    def map(self, count, handles, stream):
        names = list((ctypes.c_void_p * count).from_address(handles))
        assert not self.mapped & set(names)
        self.mapped |= set(names)
        self.calls.append(("map", stream, *(name - 1000 for name in names)))
        return (0,)

    def unmap(self, count, handles, stream):
        names = list((ctypes.c_void_p * count).from_address(handles))
        assert set(names) <= self.mapped
        self.mapped -= set(names)
        self.calls.append(("unmap", stream, *(name - 1000 for name in names)))
        return (0,)

    def pointer(self, handle):
        assert handle in self.mapped
        return 0, ctypes.addressof(self.blocks[self.block]), len(self.blocks[self.block])


@pytest.fixture
def stand_in(monkeypatch):
    """Makes the CUDA side run on the CPU; returns a maker of the recording."""

    def tensor_at(pointer, shape, dtype, device):
        size = torch.Size(shape).numel() * dtype.itemsize
        memory = (ctypes.c_char * size).from_address(pointer)
        return torch.frombuffer(memory, dtype=dtype).reshape(shape)

    def install(**options):
        cuda = RecordingCuda(**options)
        packages = {"cuda": types.ModuleType("cuda"), "cuda.bindings": types.ModuleType("cuda.bindings")}
        packages["cuda"].core, packages["cuda.bindings"].driver = cuda.core, cuda.driver
        packages |= {"cuda.core": cuda.core, "cuda.bindings.driver": cuda.driver}
        for name, module in packages.items():
            monkeypatch.setitem(sys.modules, name, module)
        return cuda

    monkeypatch.setattr(cuda_buffer, "_tensor_at", tensor_at)
    monkeypatch.setattr(torch.cuda, "device", lambda device: __import__("contextlib").nullcontext())
    monkeypatch.setattr(
        torch.cuda, "current_stream", lambda device: types.SimpleNamespace(cuda_stream=stream["handle"])
    )
    stream = {"handle": 0}
    install.stream = stream
    return install


CUDA_1 = torch.device("cuda", 1)
LEGACY = 1  # CU_STREAM_LEGACY


def test_cuda_registers_once_and_hands_over(stand_in):
    cuda = stand_in()
    buffer = CudaBuffer(types.SimpleNamespace(glo=42), (4, 4), torch.float32, CUDA_1)
    assert (buffer.tensor == 0).all()
    assert cuda.calls == [("current", 1), ("register", 42), ("map", LEGACY, 42)]
    tensor = buffer.tensor
    for _ in range(2):
        unmap_buffers([buffer])
        unmap_buffers([buffer])  # asked twice, done once
        map_buffers([buffer])
        map_buffers([buffer])
    assert cuda.calls[3:] == [("unmap", LEGACY, 42), ("map", LEGACY, 42)] * 2
    assert buffer.tensor is tensor
    buffer.release()
    assert cuda.calls[-2:] == [("unmap", LEGACY, 42), ("close", 42)]


def test_cuda_hands_several_buffers_over_in_one_call(stand_in):
    cuda = stand_in()
    buffers = [CudaBuffer(types.SimpleNamespace(glo=k), (4,), torch.int32, CUDA_1) for k in range(3)]
    unmap_buffers(buffers[:1])
    del cuda.calls[:]
    unmap_buffers(buffers)
    map_buffers(buffers)
    assert cuda.calls == [("unmap", LEGACY, 1, 2), ("map", LEGACY, 0, 1, 2)]


def test_cuda_follows_torchs_current_stream(stand_in):
    cuda = stand_in()
    buffer = CudaBuffer(types.SimpleNamespace(glo=1), (4,), torch.int32, CUDA_1)
    stand_in.stream["handle"] = 99
    unmap_buffers([buffer])
    map_buffers([buffer])
    assert cuda.calls[-2:] == [("unmap", 99, 1), ("map", 99, 1)]


def test_cuda_follows_a_buffer_that_the_driver_moves(stand_in):
    cuda = stand_in()
    buffer = CudaBuffer(types.SimpleNamespace(glo=1), (4,), torch.int32, CUDA_1)
    unmap_buffers([buffer])
    cuda.block = 1
    map_buffers([buffer])
    assert buffer.tensor.tolist() == [-1, -1, -1, -1]


def test_a_map_that_fails_says_so(stand_in):
    cuda = stand_in()
    buffer = CudaBuffer(types.SimpleNamespace(glo=1), (4,), torch.int32, CUDA_1)
    cuda.driver.cuGraphicsUnmapResources = lambda *_: (719,)
    with pytest.raises(RenderError, match=r"cannot unmap.*719"):
        unmap_buffers([buffer])


def test_a_buffer_that_cuda_refuses_is_explained(stand_in):
    stand_in(registers=False)
    with pytest.raises(RenderError, match=r"cuda:1.*CUDA_ERROR_INVALID_VALUE.*same GPU"):
        CudaBuffer(types.SimpleNamespace(glo=1), (4,), torch.int32, CUDA_1)


def test_a_missing_cuda_core_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    with pytest.raises(RenderError, match=r"pip install 'batchsim\[cuda\]'"):
        require_cuda_core()


def test_an_old_cuda_core_names_the_extra(stand_in):
    cuda = stand_in()
    del cuda.core.GraphicsResource
    with pytest.raises(RenderError, match=r"1\.0 or later.*batchsim\[cuda\]"):
        require_cuda_core()


@pytest.mark.parametrize(
    ("device", "message"), [("gpu", "expected 'auto'"), ("meta", "expected 'auto'"), (7, "torch sees")]
)
def test_devices_that_are_not_there(device, message):
    with pytest.raises(OptionError, match=message):
        choose_device(f"cuda:{device}" if device == 7 else device)


def test_auto_is_the_cpu_without_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")


def test_auto_is_the_cpu_where_opengl_cannot_follow(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr("batchsim.render.opengl.context.egl_index_for_cuda", lambda ordinal: 0)
    monkeypatch.setattr("batchsim.render.opengl.context.check_device", lambda context, ordinal: None)
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    why_not_drawable.cache_clear()
    assert choose_device("auto") == torch.device("cpu")
    assert "batchsim[cuda]" in caplog.text


@pytest.mark.gpu
def test_gpu_shares_memory_both_ways():
    device = torch.device("cuda", torch.cuda.current_device())
    context = create_context(device)
    with context:
        shared = SharedTensor(context, (1024, 7), torch.float32, device)
        wanted = torch.arange(7 * 1024.0, device=device).reshape(1024, 7)
        shared.tensor.copy_(wanted)
        shared.to_gl(1024)
        assert np.array_equal(np.frombuffer(shared.buffer.read(), "f4")[: 7 * 1024], np.arange(7 * 1024))
        shared.buffer.write(np.arange(7 * 1024, 0, -1).astype("f4"))
        shared.to_torch(1024)
        assert torch.equal(shared.tensor.flatten(), torch.arange(7 * 1024, 0, -1, device=device).float())
        assert not shared.is_copied
        shared.release()
        assert context.error == "GL_NO_ERROR"
    context.release()


@pytest.mark.gpu
def test_gpu_order_holds_under_load():
    """A slow CUDA kernel before, a GL write after, many times over: neither may see the other's unfinished work."""
    device = torch.device("cuda", torch.cuda.current_device())
    context = create_context(device)
    with context:
        shared = SharedTensor(context, (1 << 22,), torch.float32, device)
        double = context.compute_shader(
            "#version 430\nlayout(local_size_x = 256) in; layout(std430, binding = 0) buffer B { float b[]; };"
            "void main() { b[gl_GlobalInvocationID.x] *= 2.0; }"
        )
        slow = torch.randn(2048, 2048, device=device)
        for stream in (torch.cuda.current_stream(device), torch.cuda.Stream(device)):
            with torch.cuda.stream(stream):
                for i in range(20):
                    torch.mm(slow, slow)
                    shared.tensor.fill_(float(i))
                    shared.to_gl(1 << 22)
                    shared.buffer.bind_to_storage_buffer(0)
                    double.run((1 << 22) // 256)
                    context.memory_barrier()
                    shared.to_torch(1 << 22)
                    total = shared.tensor.mean()
                    assert total.item() == pytest.approx(2.0 * i)
        shared.release()
    context.release()
