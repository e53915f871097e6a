"""Prints the machine's GPU, driver and libraries as one JSON object, to explain unexpected figures.

python -m benchmarks.gpu.gpu_facts
"""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import moderngl
import torch

from batchsim.agents.benchmarks import record
from batchsim.agents.cli import run_command
from batchsim.agents.runs.versions import versions
from batchsim.errors import RenderError
from batchsim.render.opengl.context import create_context, renderer_name
from batchsim.render.opengl.devices import choose_device
from batchsim.render.opengl.egl_device import cuda_uuid, gl_uuid, list_egl_devices
from batchsim.render.opengl.shared_tensor import SharedTensor
from batchsim.render.opengl.storage_buffers import storage_limit

_PAIRS = 1000


def facts(device: torch.device) -> dict[str, Any]:
    """Return devices, versions, OpenGL's properties, and the cost of handing a buffer over.

    If OpenGL is not available on `device`, "error" holds the reason and OpenGL's properties are missing.
    """
    found: dict[str, Any] = {
        "machine": record.machine(device),
        "device": str(device),
        "versions": versions(),
        "nvidia_smi": _nvidia_smi(),
    }
    try:
        found["egl_devices"] = [
            {"index": d.index, "cuda_ordinal": d.cuda_ordinal, "uuid": d.uuid and d.uuid.hex()}
            for d in list_egl_devices()
        ]
        found["cuda_uuid"] = (cuda_uuid(device.index) or b"").hex() if device.type == "cuda" else ""
        context = create_context(device)
        with context:
            found |= _opengl(context, device)
        context.release()
    except RenderError as error:
        found["error"] = str(error)
    return found


def _opengl(context: moderngl.Context, device: torch.device) -> dict[str, Any]:
    return {
        "gl_renderer": renderer_name(context),
        "gl_version": context.info["GL_VERSION"],
        "gl_uuid": (gl_uuid(context) or b"").hex(),
        "storage_block_bytes": storage_limit(context),
        "us_per_handover": _handover(context, device),
        "gl_extensions": sorted(context.extensions),
    }


def _handover(context: moderngl.Context, device: torch.device) -> float:
    """Return the host time in microseconds of handing a buffer to OpenGL and back."""
    shared = SharedTensor(context, (1024,), torch.float32, device)
    begin = time.perf_counter()
    for _ in range(_PAIRS):
        shared.to_gl(0)
        shared.to_torch(0)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - begin
    shared.release()
    return 1e6 * seconds / _PAIRS


def _nvidia_smi() -> str | None:
    query = "--query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem,power.limit"
    try:
        done = subprocess.run(["nvidia-smi", query, "--format=csv"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip()


def main() -> None:
    """Run the command: exit code 2 if OpenGL is not available."""

    def command() -> int:
        found = facts(choose_device("cuda" if torch.cuda.is_available() else "cpu"))
        print(json.dumps(found, indent=2))
        if "error" in found:
            raise RenderError(found["error"])
        return 0

    run_command("gpu_facts", command)


if __name__ == "__main__":
    main()
