"""Which EGL device is which CUDA device: worked lists, stand-ins for what the drivers say, and the real EGL."""

import types
import uuid

import moderngl
import pytest
import torch

from batchsim.errors import RenderError
from batchsim.render.opengl import context as context_module
from batchsim.render.opengl import egl, egl_device
from batchsim.render.opengl.context import create_context
from batchsim.render.opengl.egl_device import EglDevice, check_device, cuda_uuid, list_egl_devices, match_device

A, B = bytes(range(16)), bytes(range(16, 32))
MESA = EglDevice(0, None, None)


def test_the_number_decides_where_no_uuid_is_known():
    assert match_device([MESA, EglDevice(1, 1, None), EglDevice(2, 0, None)], 0, None) == 2
    assert match_device([MESA, EglDevice(1, 1, None), EglDevice(2, 0, None)], 1, A) == 1


def test_the_uuid_decides_where_it_is_known():
    """With CUDA_VISIBLE_DEVICES=1 torch's cuda:0 is what EGL may still call CUDA's 1."""
    devices = [EglDevice(0, 0, A), EglDevice(1, 1, B), MESA]
    assert match_device(devices, 0, B) == 1
    assert match_device(devices, 0, A) == 0


def test_another_devices_uuid_outweighs_the_number():
    with pytest.raises(RenderError, match=r"does not list cuda:0 \(its devices: 0: cuda:0\)"):
        match_device([EglDevice(0, 0, A)], 0, B)


def test_mesas_device_of_the_same_gpu_is_passed_over():
    assert match_device([EglDevice(0, None, A), EglDevice(1, 0, A)], 0, A) == 1


@pytest.mark.parametrize("devices", [[], [MESA]])
def test_no_cuda_device_says_what_to_install(devices):
    with pytest.raises(RenderError, match=r"does not list cuda:0.*NVIDIA_DRIVER_CAPABILITIES.*device='cpu'"):
        match_device(devices, 0, A)


def test_the_real_egl_lists_its_devices():
    devices = list_egl_devices()
    assert [device.index for device in devices] == list(range(len(devices)))
    assert devices


def test_the_current_device_is_found_among_the_listed():
    context = create_context()
    with context:
        queries = egl_device._DeviceQueries()
        assert queries.current_handle() in queries.handles()
    context.release()


def test_a_missing_libegl_is_explained(monkeypatch):
    def fail(name):
        raise OSError("no such file")

    monkeypatch.setattr(egl.ctypes, "CDLL", fail)
    with pytest.raises(RenderError, match=r"EGL cannot be loaded.*Install"):
        list_egl_devices()


def fake_context():
    return types.SimpleNamespace(info={"GL_RENDERER": "NVIDIA H200"}, extensions={"GL_EXT_memory_object"})


@pytest.mark.parametrize(("drawn", "matches"), [(A, True), (B, False)])
def test_a_context_on_another_device_is_reported(monkeypatch, drawn, matches):
    monkeypatch.setattr(egl_device, "cuda_uuid", lambda ordinal: A)
    monkeypatch.setattr(egl_device, "gl_uuid", lambda context: drawn)
    if matches:
        check_device(fake_context(), 0)
        return
    with pytest.raises(RenderError, match=r"NVIDIA H200 instead of cuda:0.*GLCONTEXT_DEVICE_INDEX"):
        check_device(fake_context(), 0)


@pytest.mark.parametrize(("ordinal", "matches"), [(0, True), (1, False), (None, False)])
def test_a_context_on_another_device_is_reported_without_uuids(monkeypatch, ordinal, matches):
    monkeypatch.setattr(egl_device, "cuda_uuid", lambda ordinal: A)
    monkeypatch.setattr(egl_device, "gl_uuid", lambda context: None)
    fake = types.SimpleNamespace(
        handles=lambda: [70, 80],
        current_handle=lambda: 80,
        describe=lambda index, handle: EglDevice(index, ordinal, None),
    )
    monkeypatch.setattr(egl_device, "_DeviceQueries", lambda: fake)
    if matches:
        check_device(fake_context(), 0)
        return
    with pytest.raises(RenderError, match=r"instead of cuda:0: it is 1: (cuda:1|not a CUDA device)"):
        check_device(fake_context(), 0)


def test_the_context_is_made_on_the_device_that_was_found(monkeypatch):
    asked = {}
    real = moderngl.create_context

    def create(**options):
        asked.update(options)
        return real(**options | {"device_index": 0})

    monkeypatch.setattr(context_module, "egl_index_for_cuda", lambda ordinal: {3: 5}[ordinal])
    monkeypatch.setattr(context_module, "check_device", lambda context, ordinal: asked.update(checked=ordinal))
    monkeypatch.setattr(moderngl, "create_context", create)
    create_context("cuda:3").release()
    assert (asked["device_index"], asked["checked"]) == (5, 3)


def test_a_context_on_the_wrong_device_is_given_back(monkeypatch):
    """The real check against the real driver: llvmpipe is no CUDA device."""
    monkeypatch.setattr(context_module, "egl_index_for_cuda", lambda ordinal: 0)
    monkeypatch.setattr(egl_device, "cuda_uuid", lambda ordinal: A)
    if torch.cuda.is_available():
        pytest.skip("device 0 may well be the one")
    with pytest.raises(RenderError, match="instead of cuda:0"):
        create_context("cuda:0")


@pytest.mark.gpu
def test_gpu_draws_on_every_device_that_torch_sees():
    for ordinal in range(torch.cuda.device_count()):
        context = create_context(f"cuda:{ordinal}")
        with context:
            assert "NVIDIA" in context.info["GL_RENDERER"] + context.info["GL_VENDOR"]
            assert egl_device.gl_uuid(context) == cuda_uuid(ordinal)
        context.release()


@pytest.mark.gpu
def test_gpu_uuid_reads_as_torch_prints_it():
    shown = str(torch.cuda.get_device_properties(0).uuid)
    assert uuid.UUID(bytes=cuda_uuid(0)) == uuid.UUID(shown)
