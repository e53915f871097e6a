"""Steps environments at random for a long time, and measures what must not grow and what must always hold.

Prints one JSON object; the exit code is 1 if something did not hold:

    python -m tests.helpers.soak --steps 2000000 --backend raycast
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium as gym
import torch

from batchsim import NavVectorEnv
from batchsim.render.opengl.context import activated
from batchsim.render.opengl.egl import load_egl

ACTION_CHANCES = (0.05, 0.55, 0.2, 0.2)
"""Of stop, forward, left and right: episodes last about 20 steps, so that scenes are swapped often."""

MEMORY_GROWTH = 0.01
GL_KINDS = ("Buffer", "Texture", "Framebuffer", "VertexArray", "Program", "Shader", "Renderbuffer", "Query", "Sampler")
GL_NAMES = 4096
"""Drivers give out the lowest free names, so a leak shows among the first ones."""


def resident_bytes() -> int:
    """The process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def gl_objects(env: NavVectorEnv) -> dict[str, int]:
    """How many objects of each kind the driver holds for the environment's context: asks it about every name."""
    counts = {}
    with activated(env.simulator.renderer.context):
        for kind in GL_KINDS:
            exists = load_egl().function(f"glIs{kind}", ctypes.c_ubyte, ctypes.c_uint)
            counts[kind] = sum(bool(exists(name)) for name in range(1, GL_NAMES))
    return counts


def process_counts() -> dict[str, int]:
    """Open file handles, Python's threads, and all threads of the process."""
    return {
        "file_handles": len(os.listdir("/proc/self/fd")) - 1,  # one is that of the listing
        "python_threads": threading.active_count(),
        "threads": len(os.listdir("/proc/self/task")),
    }


def settled_counts(expected: dict[str, int] | None = None) -> dict[str, int]:
    """The smallest counts of up to half a second: a thread that loads a scene has its file open for a moment."""
    smallest = process_counts()
    for _ in range(50):
        if smallest == expected:
            break
        time.sleep(0.01)
        smallest = {name: min(count, smallest[name]) for name, count in process_counts().items()}
    return smallest


def outside_space(observation: dict[str, Any], space: gym.spaces.Dict, num_envs: int) -> list[str]:
    """Names of the observations that do not lie in their space; each is a batch, compared as a whole."""
    wrong = [f"{name}: missing or unknown" for name in observation.keys() ^ space.keys()]
    for name in observation.keys() & space.keys():
        value, box = observation[name], space[name]
        if value.shape != (num_envs, *box.shape) or value.dtype != getattr(torch, box.dtype.name):
            wrong.append(f"{name}: {value.dtype} {tuple(value.shape)}")
        elif not bool(((value >= _bound(box.low)) & (value <= _bound(box.high))).all()):
            wrong.append(f"{name}: values outside")
    return wrong


def _bound(limit: Any) -> torch.Tensor:
    return torch.as_tensor(limit.flat[0] if (limit == limit.flat[0]).all() else limit)


def off_floor(env: NavVectorEnv, slots: torch.Tensor, positions: torch.Tensor) -> int:
    """How many positions are on no walkable cell of the scene in their slot."""
    return int((env.simulator.scenes.locate(slots, positions) < 0).sum())


def off_floor_of_files(env: NavVectorEnv) -> int:
    """The same for the current positions, looked up in the scenes as they were baked, not in the device's tensors."""
    state = env.simulator.state
    missing = 0
    for slot in state.scene.unique().tolist():
        walkable = env.simulator.scenes.scenes[slot].walkable
        missing += int((walkable.locate(state.position[state.scene == slot].cpu().numpy()) < 0).sum())
    return missing


@dataclass
class Soak:
    """Walks `env` at random; `run` returns the figures.

    Args:
        env: A torch environment with images.
        warm_up: Vector steps at least before the counts are taken for the first time. The warm-up continues until every
            scene has been in memory, because slots grow to the size of the largest scene.
        steps: Vector steps in all.
        samples: How often memory and counts are taken during these.
        seed: Seed of the environments and of the actions.
    """

    env: NavVectorEnv
    warm_up: int
    steps: int
    samples: int = 20
    seed: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._generator = torch.Generator().manual_seed(self.seed)
        self._chances = torch.tensor(ACTION_CHANCES).expand(self.env.num_envs, -1)
        self.episodes = 0

    def run(self) -> dict[str, Any]:
        """Warms up, walks, and returns the figures; `ok` tells whether everything held."""
        self._check(self.env.reset(seed=self.seed)[0])
        warm = self._warm_up()
        steps = self.steps - warm
        counts, objects = settled_counts(), gl_objects(self.env)
        memory = [self._memory()]
        started = time.perf_counter()
        for sample in range(self.samples):
            self._walk(steps * (sample + 1) // self.samples - steps * sample // self.samples)
            memory.append(self._memory())
            self._compare(settled_counts(counts), counts, fewer_allowed=True)  # threads from before may still end
            self._compare(gl_objects(self.env), objects)
            self.faults["positions off the baked floor"] += off_floor_of_files(self.env)
        seconds = time.perf_counter() - started
        # Medians, because memory also falls and rises with the sizes of the scenes that are in memory or being loaded.
        part = max(1, len(memory) // 4)
        growth = median(memory[-part:]) / median(memory[:part]) - 1
        if growth > MEMORY_GROWTH:
            self.faults["memory grew"] += 1
        self.faults += Counter()  # drops zeros
        return {
            "ok": not self.faults,
            "faults": dict(self.faults),
            "environment_steps": self.steps * self.env.num_envs,
            "steps_after_warm_up": steps * self.env.num_envs,
            "num_envs": self.env.num_envs,
            "seconds": round(seconds, 1),
            "episodes": self.episodes,
            **self.env.scene_counts,
            "memory_mib": [round(value / 2**20, 1) for value in memory],
            "memory_growth_percent": round(100 * growth, 3),
            **counts,
            "gl_objects": {kind: count for kind, count in objects.items() if count},
        }

    def _warm_up(self) -> int:
        """Walks until every scene has been in memory; returns the number of vector steps that this took."""
        walked, streamer = self.warm_up, self.env.simulator.streamer
        self._walk(walked)
        while streamer is not None and len(streamer.visited) < len(streamer.loader.sources):
            if walked + 16 > self.steps - self.samples:
                raise SystemExit(f"{self.steps} steps are too few: {len(streamer.visited)} scenes visited.")
            self._walk(16)
            walked += 16
        return walked

    def _memory(self) -> int:
        gc.collect()
        return resident_bytes()

    def _compare(self, found: dict[str, int], expected: dict[str, int], fewer_allowed: bool = False) -> None:
        for name, count in found.items():
            if count > expected[name] or (count < expected[name] and not fewer_allowed):
                self.faults[f"{name}: {count}, not {expected[name]}"] += 1

    def _walk(self, steps: int) -> None:
        for _ in range(steps):
            slots = self.env.simulator.state.scene.clone()
            actions = torch.multinomial(self._chances, 1, generator=self._generator).squeeze(-1)
            observation, reward, terminated, truncated, info = self.env.step(actions)
            self.episodes += int((terminated | truncated).sum())
            self._check(observation)
            if "final_obs" in info:
                self._check(info["final_obs"])
            self.faults["rewards that are not finite"] += int((~reward.isfinite()).sum())
            state = self.env.simulator.state
            self.faults["positions off the floor"] += off_floor(self.env, state.scene, state.position)
            self.faults["ends of steps off the floor"] += off_floor(self.env, slots, info["position"])

    def _check(self, observation: dict[str, Any]) -> None:
        space = self.env.single_observation_space
        assert isinstance(space, gym.spaces.Dict)
        self.faults.update(outside_space(observation, space, self.env.num_envs))


def main(arguments: list[str] | None = None) -> int:
    """Runs the soak that the command line asks for."""
    parser = argparse.ArgumentParser(description="Step environments at random; check memory, counts and observations.")
    parser.add_argument(
        "--steps", type=int, default=2_000_000, help="environment steps after a warm-up of half as many"
    )
    parser.add_argument("--backend", choices=("raycast", "raster"), default="raycast")
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--scenes", default="homes:train?count=24")
    parser.add_argument("--num-resident-scenes", type=int, default=8)
    parser.add_argument("--size", type=int, default=32, help="width and height of the images")
    parser.add_argument("--readings", type=int, default=100, help="how often memory and counts are taken")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    env = NavVectorEnv(
        options.num_envs,
        options.scenes,
        num_resident_scenes=options.num_resident_scenes,
        sensors=("depth", "rgb"),
        width=options.size,
        height=options.size,
        renderer=options.backend,
        device=options.device,
    )
    measured = -(-options.steps // options.num_envs)
    warm_up = measured // 2  # enough for each scene to be swapped in several times
    figures = Soak(env, warm_up, warm_up + measured, samples=options.readings, seed=options.seed).run()
    env.close()
    print(json.dumps({"backend": options.backend} | figures))
    return 0 if figures["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
