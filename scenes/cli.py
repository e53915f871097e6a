"""The commands of `batchsim-scenes` that need no renderer: generate, import, info."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.baking.bake import DEFAULT_NUM_GOALS
from batchsim.scenes.baking.cache import cache_folder
from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.baking.scene_file import SCENE_SUFFIX
from batchsim.scenes.errors import SceneError
from batchsim.scenes.maps.top_down import storey_levels
from batchsim.scenes.sources.bake_many import bake_many
from batchsim.scenes.sources.library import load, resolve

BAD_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count


@dataclass(frozen=True)
class Generate:
    """Bake generated homes or other scenes ahead of time, in parallel, into the cache or a folder."""

    scenes: tyro.conf.Positional[str]
    """Which, such as "homes:train?count=64&detail=low", "homes:val", "four-rooms", a file or a folder."""
    out: Path | None = None
    """Folder to copy the baked scenes to. Without it they are only kept in the cache."""
    workers: int | None = None
    """Processes to bake with; one for each core if not given."""
    agent_radius: float = 0.1
    """Radius of the agent that will walk there, metres."""
    num_goals: int = DEFAULT_NUM_GOALS
    """Goals for which to keep the distance from everywhere, in each scene."""
    json: bool = False
    """Print one JSON object on stdout, and nothing else there."""

    def run(self) -> dict:
        """Bake, and say where the scenes are."""
        scene_set = resolve(self.scenes, AgentBody(radius=self.agent_radius), self.num_goals)
        bake_many(scene_set, self.workers)
        files = []
        for source in scene_set if self.out else ():
            files.append(_file_in(self.out, source.name))
            source.load().save(files[-1])
        return {"scenes": len(scene_set), "cache": str(cache_folder()), "files": [str(file) for file in files]}

    def say(self, result: dict) -> str:
        """For people."""
        return f"{result['scenes']} scenes are ready in {self.out or result['cache']}."


@dataclass(frozen=True)
class Import:
    """Import 3D files (.glb .gltf .obj .ply) and bake each into a .scene file."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """The files."""
    out: Path | None = None
    """Folder for the .scene files. Without it each is written beside its own file."""
    up: str = "y"
    """Which axis of the files points up: y (as glTF prescribes) or z."""
    scale: float = 1.0
    """Metres per unit of the files: 0.01 for centimetres."""
    agent_radius: float = 0.1
    """Radius of the agent that will walk there, metres."""
    num_goals: int = DEFAULT_NUM_GOALS
    """Goals for which to keep the distance from everywhere."""
    json: bool = False
    """Print one JSON object on stdout, and nothing else there."""

    def run(self) -> dict:
        """Import all, and describe each."""
        if not self.files:
            raise SceneError("No file given. Name one or more .glb, .gltf, .obj or .ply files.")
        return {"files": [self._import(file) for file in self.files]}

    def _import(self, file: Path) -> dict:
        spec = str(file)
        if (self.up, self.scale) != ("y", 1.0):
            spec += f"?up={self.up}&scale={self.scale}"
        scene = load(spec, AgentBody(radius=self.agent_radius), self.num_goals)
        target = (self.out or file.parent) / (file.stem + SCENE_SUFFIX)
        scene.save(target)
        return {"file": str(file), "baked": str(target)} | describe(scene)

    def say(self, result: dict) -> str:
        """For people."""
        return "\n".join(
            f"{item['file']} -> {item['baked']}: {item['triangles']:,} triangles, "
            f"{item['navigable_area_m2']:.1f} m2 to walk on"
            for item in result["files"]
        )


@dataclass(frozen=True)
class Info:
    """Say what a scene holds: size, floors, where one can walk, textures, memory."""

    scene: tyro.conf.Positional[str]
    """A file, or a name such as "homes:val/3" or "maze"."""
    json: bool = False
    """Print one JSON object on stdout, and nothing else there."""

    def run(self) -> dict:
        """Load the scene and describe it."""
        return describe(load(self.scene))

    def say(self, result: dict) -> str:
        """For people."""
        low, high = result["bounds_m"]
        size = " x ".join(f"{b - a:.2f}" for a, b in zip(low, high, strict=True))
        floors = ", ".join(f"{floor['area_m2']:.1f} m2 at {floor['height_m']:.2f} m" for floor in result["floors"])
        lines = {
            "scene": result["name"],
            "triangles": f"{result['triangles']:,}",
            "size": f"{size} m (x, y, z), from {_point(low)} to {_point(high)}",
            "floors": f"{len(result['floors'])} ({floors})",
            "navigable": f"{result['navigable_area_m2']:.1f} m2 for an agent of radius {result['agent_radius_m']} m, "
            f"on cells of {100 * result['cell_size_m']:.1f} cm",
            "islands": f"{len(result['islands_m2'])} ({', '.join(f'{area:.1f} m2' for area in result['islands_m2'])})",
            "goals": str(result["goals"]),
            "materials": str(result["materials"]),
            "textures": f"{len(result['textures'])} ({', '.join(result['textures']) or 'none'})",
            "labels": ", ".join(result["labels"]),
            "memory": f"{result['memory_bytes'] / 1e6:.1f} MB once resident",
        }
        return "\n".join(f"{key + ':':11} {value}" for key, value in lines.items())


def describe(scene: Scene) -> dict:
    """What a person would ask about `scene`, as plain numbers and lists. Metres, square metres, bytes."""
    walkable = scene.walkable
    levels = storey_levels(scene)
    storey = np.abs(walkable.heights[:, None] - levels).argmin(1)
    floor_areas = np.bincount(storey, minlength=len(levels)) * walkable.cell_size**2
    return {
        "name": scene.name,
        "triangles": len(scene.triangles),
        "bounds_m": [[round(float(value), 4) for value in corner] for corner in scene.bounds],
        "floors": [
            {"height_m": round(float(level), 3), "area_m2": round(float(area), 3)}
            for level, area in zip(levels, floor_areas, strict=True)
        ],
        "navigable_area_m2": round(walkable.area, 3),
        "islands_m2": [round(float(area), 3) for area in walkable.island_areas],
        "agent_radius_m": scene.body.radius,
        "cell_size_m": walkable.cell_size,
        "goals": len(scene.goals),
        "materials": len(scene.material_table),
        "textures": [f"{texture.shape[1]} x {texture.shape[0]}" for texture in scene.textures],
        "labels": [scene.label_names[label] for label in np.unique(scene.labels)],
        "memory_bytes": scene.nbytes,
    }


def run(
    commands: Any,
    description: str | None,
    arguments: Sequence[str] | None,
    errors: tuple[type[Exception], ...] = (SceneError,),
) -> int:
    """Run the one of `commands` (a union of annotated command classes) that `arguments` name; the exit code.

    One of `errors` becomes one line on stderr and exit code 2; Ctrl-C one line and 130.
    """
    command = tyro.cli(commands, prog="batchsim-scenes", description=description, args=arguments)
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    try:
        result = command.run()
    except errors as error:
        print(f"batchsim-scenes: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("batchsim-scenes: interrupted", file=sys.stderr)
        return INTERRUPTED
    print(json.dumps(result) if command.json else command.say(result))
    return 0


def _file_in(folder: Path, name: str) -> Path:
    stem = Path(name).stem if Path(name).suffix else name
    return folder / ("".join(c if c.isalnum() or c in "-_." else "-" for c in stem) + SCENE_SUFFIX)


def _point(corner: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in corner) + ")"
