"""How the renderer's cost grows with the number of triangles: one home, cut ever finer, from the same views.

python -m agents.benchmarks.scaling --num-envs 2048 --device cuda --json

The pictures are the same at every size, so that nothing but the number of triangles can make the difference.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tyro

from agents.benchmarks.options import BenchOptions
from agents.benchmarks.record import BenchRecord
from agents.benchmarks.render import measure_renderer
from agents.command import run_command
from batchsim.devices import choose_device
from scenes import Scene, load
from scenes.bvh import build_bvh


@dataclass(frozen=True)
class ScalingCommand:
    """Measure the renderer on one scene cut into more and more triangles."""

    triangles: tuple[int, ...] = (20_000, 200_000, 2_000_000)
    """Numbers of triangles to cut the scene into, about."""
    scene: str = "homes:train/0"
    """The scene."""
    num_envs: int = 256
    """Views at once."""
    renderer: str = "raycast"
    """The renderer's backend."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1."""
    repeats: int = 5
    """Runs; the median counts."""
    json: bool = False
    """Print one JSON list on stdout, and nothing else there."""


def cut_finer(scene: Scene, triangles: int) -> Scene:
    """`scene` with every triangle cut into n x n equal ones, n such that there are about `triangles` of them."""
    n = max(1, round((triangles / max(1, len(scene.triangles))) ** 0.5))
    weights = _pieces(n)  # [n * n, 3 corners, 3 weights]
    corners = np.einsum("pcw,twx->tpcx", weights, scene.triangles).reshape(-1, 3, 3).astype(np.float32)
    uvs = np.einsum("pcw,twx->tpcx", weights, scene.uvs).reshape(-1, 3, 2).astype(np.float32)
    bvh = build_bvh(corners)
    source = bvh.order // (n * n)
    return replace(
        scene,
        name=f"{scene.name} in {len(corners):,} triangles",
        triangles=corners[bvh.order],
        uvs=uvs[bvh.order],
        materials=scene.materials[source],
        labels=scene.labels[source],
        bvh=bvh,
    )


def _pieces(n: int) -> np.ndarray:
    """Barycentric weights float64 `[n * n, 3, 3]` of the corners of the pieces of a triangle; winding is kept."""
    pieces = []
    for i in range(n):
        for j in range(n - i):
            pieces.append([(i, j), (i + 1, j), (i, j + 1)])
            if i + j < n - 1:
                pieces.append([(i + 1, j), (i + 1, j + 1), (i, j + 1)])
    along = np.array(pieces, np.float64) / n
    return np.concatenate([1 - along.sum(-1, keepdims=True), along], -1)


def measure_scaling(command: ScalingCommand, typed: str) -> list[BenchRecord]:
    """A record for each number of triangles."""
    device = choose_device(command.device)
    scene = load(command.scene)
    options = BenchOptions(
        num_envs=command.num_envs,
        scenes=f"{command.scene} cut finer",
        renderer=command.renderer,
        device=command.device,
        repeats=command.repeats,
        command=typed,
    )
    records = []
    for count in command.triangles:
        print(f"{count:,} triangles ...", file=sys.stderr)
        records.append(measure_renderer(options, [cut_finer(scene, count)], device))
    return records


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    typed = sys.argv[1:] if arguments is None else list(arguments)
    command = tyro.cli(ScalingCommand, args=typed, prog="python -m agents.benchmarks.scaling")
    run_command("scaling", lambda: _main(command, shlex.join(["python", "-m", "agents.benchmarks.scaling", *typed])))


def _main(command: ScalingCommand, typed: str) -> int:
    records = measure_scaling(command, typed)
    if command.json:
        print(json.dumps([record.to_json() for record in records]))
    else:
        for record in records:
            print(f"{record.triangles_mean:>12,.0f} triangles {record.fps:>12,.0f} views/s")
    return 0


if __name__ == "__main__":
    main()
