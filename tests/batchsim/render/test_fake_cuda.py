"""The real cuda-core and cuda-bindings on a fake driver: the order of calls, and what happens when a program ends."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import pretend_gpu

pytest.importorskip("cuda.core", reason="needs the extra cuda")
COMPILER = shutil.which("gcc") or shutil.which("cc")

PROGRAM = """
import contextlib, ctypes, sys, types
import torch
from batchsim import BatchRenderer, scenes
from batchsim.render import batch_renderer, camera_rig
from batchsim.render.opengl import context, cuda_buffer

def tensor_at(pointer, shape, dtype, device):
    size = torch.Size(shape).numel() * dtype.itemsize
    return torch.frombuffer((ctypes.c_char * size).from_address(pointer), dtype=dtype).reshape(shape)

def pretend():
    cuda_buffer._tensor_at = tensor_at
    batch_renderer.choose_device = lambda device: torch.device("cuda", 0)
    context.egl_index_for_cuda = lambda ordinal: 0
    context.check_device = lambda made, ordinal: None
    torch.cuda.device = lambda device: contextlib.nullcontext()
    torch.cuda.current_stream = lambda device: types.SimpleNamespace(cuda_stream=0)

room = scenes.load("four-rooms", num_goals=2)
views = torch.tensor([[x, 1.25, -3.0, 0, 0.5, 0, 0.75**0.5] for x in (-4.0, 2.0, 4.0)]), torch.zeros(3).long()
options = dict(width=20, height=12, sensors=("depth", "rgb", "semantic"), backend=sys.argv[1])
on_cpu = BatchRenderer([room], 3, **options)
expected = {name: image.clone() for name, image in on_cpu.render(*views).items()}
pretend()
renderer = BatchRenderer([room], 3, **options)
for _ in range(2):
    images = renderer.render(*views)
    assert all(torch.equal(images[name], expected[name]) for name in expected)
assert any(image.any() for image in images.values())
print("drawn", file=sys.stderr)
if sys.argv[2] == "close":
    renderer.close()
    print("closed", file=sys.stderr)
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """The folder of the fake libcuda.so.1."""
    if COMPILER is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("driver")
    source = Path(pretend_gpu.__file__).with_name("fake_cuda.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", folder / "libcuda.so.1", source, "-ldl"], check=True)
    return folder


@pytest.mark.parametrize("end", ["close", "exit"])
@pytest.mark.parametrize("backend", ["raycast", "raster"])
def test_buffers_are_shared_and_given_back(driver, backend, end):
    """A program that ends without close() must unregister as well, unmapped and with its OpenGL context current."""
    environment = os.environ | {"LD_LIBRARY_PATH": f"{driver}:{os.environ.get('LD_LIBRARY_PATH', '')}"}
    command = [sys.executable, "-c", PROGRAM, backend, end]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    log = result.stderr
    assert result.returncode == 0, log
    assert "without" not in log
    assert "while mapped" not in log
    registered, released = (re.findall(rf"libcuda: {word} (\d+)", log) for word in ("register", "unregister"))
    assert len(registered) == 4  # views, depth, rgb, semantic
    assert sorted(registered) == sorted(released)
    assert re.findall(r"stream (\S+)", log) == ["0x1"] * log.count("on stream")  # the legacy default stream
    # Each image is handed over in one call: views to torch, all to OpenGL, images to torch.
    drawing = log[log.rindex("libcuda: register") : log.index("drawn")]
    handed = re.findall(r"libcuda: (map|unmap) (\d)", drawing)[1:]
    assert handed == [("unmap", "4"), ("map", "3"), ("map", "1"), ("unmap", "4"), ("map", "3")]
