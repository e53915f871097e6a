"""Versions of the software that a run or a benchmark used."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

_PACKAGES = ("batchsim", "torch", "numpy", "moderngl", "glcontext", "gymnasium", "cuda-core")


def versions() -> dict[str, str]:
    """Returns the versions of Python, CUDA and the packages that matter; those not installed are left out."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
    return found
