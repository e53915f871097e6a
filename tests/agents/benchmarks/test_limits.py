"""What the machine can do at most: against sizes and clocks that are known."""

import pytest
import torch

from batchsim.agents.benchmarks.measure import Timing
from batchsim.agents.benchmarks.record import limit_shares
from batchsim.agents.benchmarks.workloads import limits
from batchsim.agents.benchmarks.workloads.render import random_views
from batchsim.render.camera import Camera

CPU = torch.device("cpu")


def test_shares_leave_out_what_is_not_known():
    assert limit_shares({"a": 3.0, "b": 1.0, "c": 1.0}, {"a": 12.0, "b": None}) == {"a": 0.25}


def test_limits_count_their_work(monkeypatch):
    """A copy reads and writes 2 x 256 MiB; a product of matrices of side n takes 2 n^3 operations: all in 4 s here."""
    done = []

    def time_steps(step, synchronize, repeats, seconds):
        done.append(step())
        return Timing(2, (8.0, 10.0, 16.0))

    monkeypatch.setattr(limits, "time_steps", time_steps)
    assert limits.copy_bytes_per_second(CPU) == 2 * 2**28 / 4
    assert limits.matmul_flops_per_second(CPU, torch.float32) == 2 * 1024**3 / 4
    copied, product = done
    assert copied.numel() == 2**28
    assert copied.min() == copied.max() == 1
    assert product.shape == (1024, 1024)
    assert product.std() == pytest.approx(1024**0.5, rel=0.05)


def test_bare_traversal_walks_the_same_rays(homes, monkeypatch):
    """Two views, sixteen times eight pixels each, into a buffer that holds what a renderer would show."""
    drawn = {}

    def time_steps(step, synchronize, repeats, seconds):
        step()
        synchronize()
        drawn["depth"] = torch.frombuffer(bytearray(buffers[-1].read()), dtype=torch.float32)
        return Timing(1, (0.5,))

    buffers = []
    real = limits.RaycastBackend

    def backend(context, scenes, count, camera, records, outputs):
        buffers.append(outputs["depth"])
        return real(context, scenes, count, camera, records, outputs)

    monkeypatch.setattr(limits, "time_steps", time_steps)
    monkeypatch.setattr(limits, "RaycastBackend", backend)
    views = random_views(homes[:2], 2, 0, CPU)[0]
    assert limits.traversal_rays_per_second(homes[:2], views, Camera(16, 8), CPU) == 2 * 16 * 8 / 0.5

    from batchsim import BatchRenderer

    renderer = BatchRenderer(homes[:2], 2, 16, 8, backend="raycast", device="cpu")
    expected = renderer.render(*views)["depth"].flatten().clone()
    renderer.close()
    assert expected.max() > 0
    assert torch.allclose(drawn["depth"], expected, atol=1e-4)
