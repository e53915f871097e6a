"""batchsim's renderer alone: colour images from random viewpoints, as torch tensors on the device.

batchsim_views.py SCENES NUM_VIEWS SIZE DEVICE
"""

from __future__ import annotations

import itertools
import sys

import protocol
import torch

from batchsim.agents.benchmarks.measure import synchronizer
from batchsim.agents.benchmarks.workloads.render import random_views
from batchsim import BatchRenderer
from batchsim.scenes import load_all, resolve


def main() -> None:
    """Run the worker."""
    name, num_views, size, device = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), torch.device(sys.argv[4])
    scenes = load_all(resolve(name))
    renderer = BatchRenderer(scenes, num_views, size, size, sensors=("rgb",), backend="auto", device=device)
    views = itertools.cycle(random_views(scenes, num_views, 0, renderer.device))
    wait = synchronizer(renderer.device)

    def work() -> int:
        image = renderer.render(*next(views))["rgb"]
        wait()
        assert image.shape == (num_views, size, size, 3)
        return num_views

    facts = {"environments": num_views, "renderer": renderer.backend, "gl_renderer": renderer.gl_renderer}
    protocol.serve(work, facts | {"triangles": len(scenes[0].triangles)})


if __name__ == "__main__":
    main()
