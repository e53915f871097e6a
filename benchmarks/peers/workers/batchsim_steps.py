"""batchsim under random actions: N environments, images as torch tensors on the host.

    batchsim_steps.py SCENES NUM_ENVS WIDTH HEIGHT [OPTION=VALUE ...]

The agents never choose "stop", because the other simulators have no such action; episodes end by truncation.
"""

from __future__ import annotations

import ast
import itertools
import sys

import protocol
import torch

from batchsim import NavVectorEnv
from batchsim.tasks.pointnav import FORWARD, LEFT, RIGHT


def main() -> None:
    """Run the worker."""
    scenes, num_envs, width, height = sys.argv[1], *map(int, sys.argv[2:5])
    options = {name: ast.literal_eval(value) for name, value in (word.split("=") for word in sys.argv[5:])}
    env = NavVectorEnv(num_envs, scenes, sensors=("rgb",), width=width, height=height, device="cpu", **options)
    env.reset(seed=0)
    generator = torch.Generator().manual_seed(0)
    moves = torch.tensor([FORWARD, LEFT, RIGHT])
    actions = itertools.cycle([moves[torch.randint(3, (num_envs,), generator=generator)] for _ in range(64)])

    def work() -> int:
        observation = env.step(next(actions))[0]
        assert observation["rgb"].shape == (num_envs, height, width, 3)
        return num_envs

    renderer = env.simulator.renderer
    facts = {"environments": num_envs, "renderer": renderer.backend, "gl_renderer": renderer.gl_renderer}
    protocol.serve(work, facts | {"triangles": len(env.simulator.scenes.scenes[0].triangles)})


if __name__ == "__main__":
    main()
