"""Turns names, files and folders into scenes.

A spec is one of:

- `"homes:train"` (1,000 generated homes), `"homes:val"` (100), `"homes:test"` (100), with options
  `"?detail=low|medium|high&count=64"`; a single home is `"homes:train/17"`; `look=1`, `furniture=1` and `light=1` give
  other colours and textures, other furniture, and other light in the same rooms;
- `"one-room"`, `"four-rooms"`, `"maze"`: small known worlds;
- a 3D file: .glb .gltf .obj .ply .stl .off .dae .usd .usda .usdc .usdz, with options `"?up=z&scale=0.01"` (also
  `alpha`, `root` and `force`: see `importer.import_file`; `wall_tops`: see `bake`), or a baked .scene;
- Habitat's files: a `*.scene_instance.json`, a `*.stage_config.json`, a `*.scene_dataset_config.json` (all its scenes,
  or one with `"?scene=apt_0"`), a .glb with the option `habitat=yes` (z up, semantics beside it);
- a folder: all such files in it, sorted by name; if a baked file has the same stem, only the baked one;
  `"?subfolders=yes"` searches subfolders too;
- a `Scene`, a `SceneSource`, a `SceneSet`, or a list of any of these.

A known name takes precedence over a file of the same name; write `./maze` for the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, overload

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.baking.bake import DEFAULT_BODY, DEFAULT_NUM_GOALS
from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.bake_many import bake_many
from batchsim.scenes.sources.file_sources import file_sources, folder_sources, listed, parse_options, refuse_rest
from batchsim.scenes.sources.home_variation import LARGEST, Variation
from batchsim.scenes.sources.scene_source import HomeSource, MemorySource, SceneSource, WorldSource

DETAILS = ("low", "medium", "high")
VARIED = ("look", "furniture", "light")
WORLDS = ("one-room", "four-rooms", "maze")


@dataclass(frozen=True)
class HomeSet:
    """A range of seeds of the home generator; no two sets share a seed."""

    first_seed: int
    size: int


HOME_SETS = {"train": HomeSet(0, 1000), "val": HomeSet(1_000_000, 100), "test": HomeSet(2_000_000, 100)}


class SceneSet(Sequence[SceneSource]):
    """The scenes that a spec names, not loaded yet. A slice of it is a `SceneSet` too."""

    def __init__(self, sources: Iterable[SceneSource], name: str = "scenes") -> None:
        self.sources = tuple(sources)
        self.name = name

    @property
    def names(self) -> list[str]:
        """The names of the scenes, in order."""
        return [source.name for source in self.sources]

    def __len__(self) -> int:
        return len(self.sources)

    @overload
    def __getitem__(self, index: int) -> SceneSource: ...
    @overload
    def __getitem__(self, index: slice) -> SceneSet: ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return SceneSet(self.sources[index], self.name)
        return self.sources[index]

    def __repr__(self) -> str:
        return f"SceneSet({self.name!r}, {len(self)} scenes)"


Spec: TypeAlias = "str | os.PathLike[str] | Scene | SceneSource | SceneSet | Sequence[Spec]"


def resolve(spec: Spec, body: AgentBody | None = None, num_goals: int | None = None) -> SceneSet:
    """Returns the scenes that `spec` (see the module) names, without generating or reading them yet.

    Args:
        spec: The scenes.
        body: The agent to bake for. None takes baked files and `Scene` objects as they are, and bakes others for
            `AgentBody()`.
        num_goals: Number of goals whose distance fields are kept, for scenes that are not baked yet.

    Raises:
        SceneError: For an unknown name, option or file; the message lists what exists.
    """
    if isinstance(spec, SceneSet):
        return SceneSet([source.baked_for(body, num_goals) for source in spec], spec.name)
    if isinstance(spec, SceneSource):
        return SceneSet([spec.baked_for(body, num_goals)], spec.name)
    if isinstance(spec, Scene):
        return SceneSet([MemorySource(spec).baked_for(body, num_goals)], spec.name)
    if isinstance(spec, (str, os.PathLike)):
        return SceneSet(_from_text(os.fspath(spec), _Baking(body, num_goals or DEFAULT_NUM_GOALS)), os.fspath(spec))
    if isinstance(spec, Sequence) and len(spec):
        parts = [resolve(part, body, num_goals) for part in spec]
        return SceneSet([source for part in parts for source in part], ", ".join(dict.fromkeys(p.name for p in parts)))
    raise SceneError(
        f"scenes={spec!r} names no scene; expected a set such as 'homes:train', a file, a folder or a list."
    )


def load(spec: Spec, body: AgentBody | None = None, num_goals: int | None = None) -> Scene:
    """Loads the single scene that `spec` names: imports or generates it, bakes it, and caches the result.

    Raises:
        SceneError: If `spec` names several scenes (use `resolve` or `load_all` then), or the scene cannot be loaded.
    """
    scene_set = resolve(spec, body, num_goals)
    if len(scene_set) != 1:
        raise SceneError(
            f"{scene_set.name} names {len(scene_set)} scenes, the first of which is {scene_set.names[0]!r}. Name "
            "one of them, or use scenes.resolve or scenes.load_all."
        )
    return scene_set[0].load()


def load_all(spec: Spec, workers: int | None = None, progress: bool | str = True) -> list[Scene]:
    """Loads all scenes of `spec`, in order; those not in the cache are baked first, in parallel (see `bake_many`)."""
    scene_set = resolve(spec)
    bake_many(scene_set, workers, progress)
    return [source.load() for source in scene_set]


@dataclass(frozen=True)
class _Baking:
    """How the sources created here are baked."""

    body: AgentBody | None
    num_goals: int

    @property
    def options(self) -> dict:
        return {"body": self.body or DEFAULT_BODY, "num_goals": self.num_goals}


def _from_text(text: str, baking: _Baking) -> list[SceneSource]:
    path = Path(text)
    if text.startswith("homes:"):
        return _homes(text, baking)
    if text in WORLDS:
        return [WorldSource(name=text, **baking.options)]
    if path.is_dir():
        return folder_sources(path, {}, baking.body, baking.num_goals)
    if path.is_file():
        return file_sources(path, {}, baking.body, baking.num_goals)
    name, _, query = text.partition("?")
    if query and Path(name).is_dir():
        return folder_sources(Path(name), parse_options(text, query), baking.body, baking.num_goals)
    if query and Path(name).is_file():
        return file_sources(Path(name), parse_options(text, query), baking.body, baking.num_goals)
    raise SceneError(
        f"{text!r} is neither a file, a folder nor a known name. Known names are {listed(_set_names())} and "
        f"{listed(WORLDS)}."
    )


def _homes(text: str, baking: _Baking) -> list[SceneSource]:
    head, _, query = text.removeprefix("homes:").partition("?")
    set_name, _, index = head.partition("/")
    if set_name not in HOME_SETS:
        raise SceneError(f"{text!r}: there is no set {set_name!r} of homes; expected one of {listed(_set_names())}.")
    home_set = HOME_SETS[set_name]
    options = parse_options(text, query)
    detail = options.pop("detail", "low")
    if detail not in DETAILS:
        raise SceneError(f"{text!r}: detail is {detail!r}; expected one of {listed(DETAILS)}.")
    indices: Sequence[int]
    if index:
        indices = [_whole_number(text, "the home's number", index, 0, home_set.size - 1)]
    else:
        count = options.pop("count", str(home_set.size))
        indices = range(_whole_number(text, "count", count, 1, home_set.size))
    varied = {name: options.pop(name, "0") for name in VARIED}
    variation = Variation(**{name: _whole_number(text, name, value, 0, LARGEST) for name, value in varied.items()})
    refuse_rest(text, options, ("detail", *VARIED) if index else ("detail", "count", *VARIED))
    chosen = "&".join(filter(None, ("" if detail == "low" else f"detail={detail}", variation.suffix)))
    suffix = f"?{chosen}" if chosen else ""
    return [
        HomeSource(
            name=f"homes:{set_name}/{i}{suffix}",
            seed=home_set.first_seed + i,
            detail=detail,
            variation=variation,
            **baking.options,
        )
        for i in indices
    ]


def _whole_number(text: str, what: str, value: str, low: int, high: int) -> int:
    if not value.isdecimal() or not low <= int(value) <= high:
        raise SceneError(f"{text!r}: {what} is {value!r}; expected a whole number from {low} to {high}.")
    return int(value)


def _set_names() -> list[str]:
    return [f"homes:{name}" for name in HOME_SETS]
