"""The commands of `batchsim-scenes` that need no renderer: generate, import and info."""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import numpy as np
import tyro

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.baking.bake import DEFAULT_NUM_GOALS, MAX_GOALS
from batchsim.scenes.baking.cache import cache_folder
from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.baking.scene_file import SCENE_SUFFIX
from batchsim.scenes.errors import SceneError
from batchsim.scenes.maps.top_down import storey_levels
from batchsim.scenes.sources.bake_many import bake_many
from batchsim.scenes.sources.habitat.templates import plain_name
from batchsim.scenes.sources.habitat_source import HabitatSource
from batchsim.scenes.sources.library import load, resolve
from batchsim.scenes.sources.scene_source import MeshFileSource, SceneFileSource, SceneSource


@dataclass(frozen=True)
class Generate:
    """Bake generated homes or other scenes ahead of time, in parallel, into the cache or a folder."""

    scenes: tyro.conf.Positional[str]
    """Scenes to bake, such as "homes:train?count=64&detail=low", "homes:val", "four-rooms", a file or a folder."""
    out: Path | None = None
    """Folder to write the baked scenes to, in addition to the cache."""
    workers: int | None = None
    """Number of processes; default: one for each core."""
    agent_radius: float = 0.1
    """Radius of the agent, metres."""
    num_goals: int = DEFAULT_NUM_GOALS
    """Number of goals of each scene, for which distances are stored."""
    json: bool = False
    """Print one JSON object on stdout and nothing else."""

    def run(self) -> dict:
        """Bakes the scenes and returns where they are."""
        _check_goals(self.num_goals)
        scene_set = resolve(self.scenes, AgentBody(radius=self.agent_radius), self.num_goals)
        bake_many(scene_set, self.workers)
        files = []
        if self.out:
            for source in scene_set:
                files.append(_file_in(self.out, source.name))
                source.load().save(files[-1])
        elif lost := [source.name for source in scene_set if not source.is_ready]:
            raise SceneError(
                f"{len(lost)} of {len(scene_set)} scenes, such as {lost[0]}, could not be stored in {cache_folder()}. "
                "Set BATCHSIM_CACHE to a writable folder with free space, or use --out."
            )
        return {"scenes": len(scene_set), "cache": str(cache_folder()), "files": [str(file) for file in files]}

    def say(self, result: dict) -> str:
        """Returns the result in words."""
        return f"{result['scenes']} scenes are ready in {self.out or result['cache']}."


@dataclass(frozen=True)
class Import:
    """Import 3D files (.glb .gltf .obj .ply .stl .off .dae .usd .usdz) and bake each into a .scene file."""

    files: tyro.conf.Positional[tuple[str, ...]]
    """Files to import, or folders of files. Options of one file may follow its name: "a.obj?up=z&scale=0.01"."""
    out: Path | None = None
    """Folder for the .scene files; default: beside each file."""
    up: str = "y"
    """Axis of the files that points up: y (as in glTF), z, -y or -z."""
    scale: float = 1.0
    """Metres per unit of the files, such as 0.01 for centimetres."""
    alpha: str = "auto"
    """Transparent surfaces: auto follows the file (masks are cut out, blended surfaces are left out where alpha is
    below one half), solid keeps everything, clear leaves out all that blends."""
    root: Path | None = None
    """Folder outside which no texture or other file is read; default: the file's folder and the folders beside it."""
    force: bool = False
    """Import files that appear not to be in metres, or not to have y up."""
    wall_tops: bool = False
    """Keep floor that nothing leads to above a larger floor: roofs, and tops of walls in scans without a ceiling."""
    subfolders: bool = False
    """Search the subfolders of folders too."""
    agent_radius: float = 0.1
    """Radius of the agent, metres."""
    num_goals: int = DEFAULT_NUM_GOALS
    """Number of goals of each scene, for which distances are stored."""
    json: bool = False
    """Print one JSON object on stdout and nothing else."""

    def run(self) -> dict:
        """Imports all files and describes each."""
        if not self.files:
            raise SceneError("No file given. Name one or more .glb, .gltf, .obj or .ply files, or a folder.")
        _check_goals(self.num_goals)
        body = AgentBody(radius=self.agent_radius)
        sources = [source for file in self.files for source in resolve(self._spec(file), body, self.num_goals)]
        if len(sources) > 1:
            bake_many(sources)
        return {"files": [self._import(source) for source in sources]}

    def _spec(self, file: str) -> str:
        """The file with the options of the command line; its own options take precedence."""
        name, _, query = (file, "", "") if Path(file).exists() else file.partition("?")
        chosen = {"up": self.up, "scale": f"{self.scale}", "alpha": self.alpha, "root": f"{self.root or ''}"}
        switches = {"force": self.force, "wall_tops": self.wall_tops, "subfolders": self.subfolders}
        chosen |= {name: "yes" if is_on else "no" for name, is_on in switches.items()}
        default = {"up": "y", "scale": "1.0", "alpha": "auto", "root": ""} | dict.fromkeys(switches, "no")
        named = dict(parse_qsl(query))
        extra = {key: value for key, value in chosen.items() if value != default[key] and key not in named}
        if not Path(name).is_dir():
            extra.pop("subfolders", None)
        options = "&".join(filter(None, [query, urlencode(extra, safe="/")]))
        return f"{name}?{options}" if options else name

    def _import(self, source: SceneSource) -> dict:
        if not isinstance(source, MeshFileSource | SceneFileSource | HabitatSource):
            raise SceneError(f"{source.name}: is not a file; bake it with 'batchsim-scenes generate'.")
        scene = source.load()
        target = (self.out or source.path.parent) / (_stem(source) + SCENE_SUFFIX)
        scene.save(target)
        return {"file": str(source.path), "baked": str(target)} | describe(scene)

    def say(self, result: dict) -> str:
        """Returns the result in words."""
        return "\n".join(
            f"{item['file']} -> {item['baked']}: {item['triangles']:,} triangles, "
            f"{item['navigable_area_m2']:.1f} m2 walkable"
            for item in result["files"]
        )


@dataclass(frozen=True)
class Info:
    """Describe a scene: size, floors, walkable area, textures, memory."""

    scene: tyro.conf.Positional[str]
    """A file, or a name such as "homes:val/3" or "maze"."""
    json: bool = False
    """Print one JSON object on stdout and nothing else."""

    def run(self) -> dict:
        """Loads the scene and describes it."""
        return describe(load(self.scene))

    def say(self, result: dict) -> str:
        """Returns the result in words."""
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
    """Describes `scene` by plain numbers and lists. Metres, square metres, bytes."""
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


def run(command: Any) -> int:
    """Runs one of the commands and prints its result.

    Args:
        command: An object of one of the command classes.

    Returns:
        The exit code: that of the command's `exit_code`, if it has one, else 0.
    """
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files may have characters that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    result = command.run()
    print(json.dumps(result) if command.json else command.say(result))
    return command.exit_code(result) if hasattr(command, "exit_code") else 0


def _check_goals(count: int) -> None:
    if not 1 <= count <= MAX_GOALS:
        raise SceneError(f"--num-goals is {count}; expected 1 to {MAX_GOALS:,}.")


def _stem(source: MeshFileSource | SceneFileSource | HabitatSource) -> str:
    """The name of a baked file: that of the scene in its dataset, else that of the file."""
    if isinstance(source, HabitatSource):
        return Path(source.handle).name or plain_name(source.path)
    return source.path.stem


def _file_in(folder: Path, name: str) -> Path:
    stem = Path(name).stem if Path(name).suffix else name
    return folder / ("".join(c if c.isalnum() or c in "-_." else "-" for c in stem) + SCENE_SUFFIX)


def _point(corner: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in corner) + ")"
