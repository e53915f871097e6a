"""A pytest plugin: `pytest -p tests.helpers.pretend_gpu.plugin -m gpu` runs the GPU tests without a GPU."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

assert "torch" not in sys.modules, "the pretend GPU must be announced before torch is imported"


def _load_guard():
    """Compiles `guard.cpp` against torch's headers and loads it."""
    torch_folder = Path(importlib.util.find_spec("torch").submodule_search_locations[0])
    headers = torch_folder / "include"
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "libguard.so"
        source = Path(__file__).with_name("guard.cpp")
        includes = [f"-I{headers}", f"-I{headers / 'torch/csrc/api/include'}"]
        libraries = [f"-L{torch_folder / 'lib'}", f"-Wl,-rpath,{torch_folder / 'lib'}", "-lc10", "-ltorch_cpu"]
        compiler = [os.environ.get("CXX", "g++"), "-std=c++20", "-shared", "-fPIC"]
        subprocess.run([*compiler, *includes, "-o", library, source, *libraries], check=True)
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


_load_guard()

from tests.helpers.pretend_gpu import cuda_module, sharing  # noqa: E402
from tests.helpers.pretend_gpu.state import state  # noqa: E402
from tests.helpers.pretend_gpu.tensors import PretendMode  # noqa: E402

_mode = PretendMode()


def pytest_configure(config):
    """Installs the pretend GPU."""
    cuda_module.install()
    sharing.install()


def pytest_runtest_protocol(item, nextitem):
    """Starts every test with a clean state."""
    state.reset()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """Runs GPU tests on the pretend GPU."""
    if item.get_closest_marker("gpu"):
        with _mode:
            yield
    else:
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(fixturedef, request):
    """Sets up fixtures on the pretend GPU as well."""
    with _mode:
        yield
