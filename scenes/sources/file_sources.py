"""Files and folders, with their options, to sources: `building.obj?up=z&scale=0.01`, `scans?subfolders=yes`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.baking.bake import DEFAULT_BODY, DEFAULT_NUM_GOALS
from batchsim.scenes.baking.scene_file import SCENE_SUFFIX
from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.assembly.placement import UP_AXES
from batchsim.scenes.sources.assembly.transparency import ALPHA_POLICIES
from batchsim.scenes.sources.habitat.configs import CONFIG_SUFFIXES
from batchsim.scenes.sources.habitat.templates import is_semantic_mesh
from batchsim.scenes.sources.habitat_source import (
    HabitatSource,
    habitat_files,
    habitat_sources,
    is_habitat_file,
    without_repeats,
)
from batchsim.scenes.sources.importer import MESH_SUFFIXES
from batchsim.scenes.sources.scene_source import MeshFileSource, SceneFileSource, SceneSource
from batchsim.scenes.user_files import is_hidden

FILE_OPTIONS = ("up", "scale", "alpha", "root", "force", "wall_tops")
"""What may follow the "?" of a file; see `importer.import_file` and, for `wall_tops`, `bake`."""

_SUFFIXES = (*MESH_SUFFIXES, SCENE_SUFFIX)
_YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def file_source(
    path: Path, options: dict[str, str], body: AgentBody | None = None, num_goals: int | None = None
) -> SceneSource:
    """Returns the source of a 3D file or baked scene; `SceneError` for an unknown kind or option.

    A dataset of Habitat must hold one scene, or the option `scene` must name one; see `file_sources`.
    """
    found = file_sources(path, options, body, num_goals)
    if len(found) != 1:
        raise SceneError(f"{path}: holds {len(found)} scenes; name one: '{path}?scene={found[0].name}'.")
    return found[0]


def file_sources(
    path: Path, options: dict[str, str], body: AgentBody | None = None, num_goals: int | None = None
) -> list[SceneSource]:
    """Returns the sources of a file: several for a dataset of Habitat, one for any other."""
    if is_habitat_file(path) or "habitat" in options:
        return list(_habitat_sources(path, options, body, num_goals))
    return [_plain_source(path, options, body, num_goals)]


def _habitat_sources(
    path: Path, options: dict[str, str], body: AgentBody | None, num_goals: int | None
) -> list[HabitatSource]:
    text = f"{path}?" + "&".join(f"{key}={value}" for key, value in options.items())
    force = _yes(text, options, "force")
    if "habitat" in options and not _yes(text, options, "habitat"):
        raise SceneError(f"{text!r}: leave habitat out where it is not meant.")
    known = ("habitat", "force", "scene", "wall_tops")
    refuse_rest(text, {key: value for key, value in options.items() if key not in known}, known)
    baking = HabitatSource(
        body=body or DEFAULT_BODY,
        num_goals=num_goals or DEFAULT_NUM_GOALS,
        wall_tops=_yes(text, options, "wall_tops"),
        force=force,
    )
    return list(habitat_sources(path, options.get("scene"), baking))


def _plain_source(path: Path, options: dict[str, str], body: AgentBody | None, num_goals: int | None) -> SceneSource:
    suffix = path.suffix.lower()
    if suffix == SCENE_SUFFIX:
        refuse_rest(str(path), options, ())
        return SceneFileSource(str(path), path, body)
    if suffix == ".json":
        raise SceneError(f"{path}: names no scene. Of Habitat's files, those that end in {listed(CONFIG_SUFFIXES)} do.")
    if suffix not in MESH_SUFFIXES:
        raise SceneError(
            f"{path}: files with {f'the extension {suffix}' if suffix else 'no extension'} cannot be imported. "
            f"Expected {listed(_SUFFIXES)}."
        )
    text = str(path) + ("?" + "&".join(f"{key}={value}" for key, value in options.items()) if options else "")
    refuse_rest(text, {key: value for key, value in options.items() if key not in FILE_OPTIONS}, FILE_OPTIONS)
    chosen: dict[str, Any] = {
        "up": _one_of(text, options, "up", tuple(UP_AXES), "y"),
        "scale": _positive(text, "scale", options.get("scale", "1")),
        "alpha": _one_of(text, options, "alpha", ALPHA_POLICIES, "auto"),
        "root": Path(options["root"]) if "root" in options else None,
        "force": _yes(text, options, "force"),
        "wall_tops": _yes(text, options, "wall_tops"),
    }
    if num_goals is not None:
        chosen["num_goals"] = num_goals
    return MeshFileSource(name=text, path=path, body=body or DEFAULT_BODY, **chosen)


def folder_sources(
    folder: Path, options: dict[str, str], body: AgentBody | None = None, num_goals: int | None = None
) -> list[SceneSource]:
    """Returns the sources of all scene files in a folder, sorted by name; those of Habitat's datasets come first.

    If a baked file has the same stem as others, only the baked one is taken. The option `subfolders=yes` searches
    subfolders too; other options apply to each 3D file.
    """
    text = f"{folder}?" + "&".join(f"{key}={value}" for key, value in options.items())
    deep = _yes(text, options, "subfolders")
    rest = {key: value for key, value in options.items() if key != "subfolders"}
    found = folder.rglob("*") if deep else folder.iterdir()
    inside = sorted(path for path in found if not is_hidden(path, folder))
    of_habitat, others = habitat_files(inside)
    sources = [source for path in of_habitat for source in file_sources(path, dict(rest), body, num_goals)]
    found_scenes = list(without_repeats(sources))
    by_stem: dict[Path, list[Path]] = {}
    for path in others:
        if is_semantic_mesh(path):
            continue
        if path.suffix.lower() in _SUFFIXES and path.is_file():
            by_stem.setdefault(path.with_suffix(""), []).append(path)
    chosen: list[Path] = []
    for paths in by_stem.values():
        baked = [path for path in paths if path.suffix.lower() == SCENE_SUFFIX]
        chosen.extend(baked or paths)
    if not chosen and not found_scenes:
        hint = "" if deep else f" Subfolders are not searched; ask for them with '{folder}?subfolders=yes'."
        raise SceneError(f"{folder}: contains no scene files ({listed(_SUFFIXES)}).{hint}")
    return found_scenes + [
        file_source(path, {} if path.suffix.lower() == SCENE_SUFFIX else dict(rest), body, num_goals) for path in chosen
    ]


def parse_options(text: str, query: str) -> dict[str, str]:
    """Returns the options in the part of `text` after its "?"."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise SceneError(f"{text!r}: the part after the '?' must look like 'detail=high&count=64'.") from None
    return dict(pairs)


def refuse_rest(text: str, rest: dict[str, str], known: Sequence[str]) -> None:
    """Raises `SceneError` if options are left over."""
    if rest:
        raise SceneError(
            f"{text!r}: unknown option {listed(rest)}. "
            + (f"Known options: {listed(known)}." if known else "There are none.")
        )


def listed(names: Iterable[str]) -> str:
    """Returns names for a message."""
    return ", ".join(repr(name) for name in names)


def _one_of(text: str, options: dict[str, str], name: str, known: tuple[str, ...], default: str) -> str:
    value = options.get(name, default)
    if value not in known:
        raise SceneError(f"{text!r}: {name} is {value!r}; expected {' or '.join(map(repr, known))}.")
    return value


def _yes(text: str, options: dict[str, str], name: str) -> bool:
    value = options.get(name, "no").lower()
    if value not in _YES:
        raise SceneError(f"{text!r}: {name} is {value!r}; expected 'yes' or 'no'.")
    return _YES[value]


def _positive(text: str, what: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise SceneError(f"{text!r}: {what} is {value!r}; expected a positive number.")
    return number
