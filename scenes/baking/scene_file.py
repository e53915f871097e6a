"""Files of baked scenes: safetensors of packed arrays (nothing executable), with the rest as JSON in the header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from batchsim.scenes.atomic_files import write_user_file
from batchsim.scenes.baking.packing import differences, from_differences, pack, unpack
from batchsim.scenes.errors import SceneError

FORMAT = "batchsim-scene"
FORMAT_VERSION = 3
SCENE_SUFFIX = ".scene"

_DISTANCES = ("goal_distances", "objects.category_distances", "objects.goal_distances")


def write_scene_file(path: Path, about: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Writes `arrays`, and `about`, which JSON can hold, to `path`. Readers see the old file or the whole new one.

    Raises:
        SceneError: If the file cannot be written.
    """
    arrays = arrays | {name: differences(arrays[name]) for name in _DISTANCES}
    about = about | {"arrays": {name: [array.dtype.str, array.shape] for name, array in arrays.items()}}
    metadata = {"format": FORMAT, "version": str(FORMAT_VERSION), "scene": json.dumps(about)}
    write_user_file(path, save({name: pack(array) for name, array in arrays.items()}, metadata))


def read_scene_file(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads what `write_scene_file` wrote.

    Raises:
        SceneError: If `path` is missing, truncated or of another kind; the message names it.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about = _check_header(path, file.metadata() or {})
            packed = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise SceneError(f"{path}: no such file.") from None
    except (SafetensorError, OSError) as error:
        raise SceneError(
            f"{path}: not a whole baked scene ({error}). Bake it again from its mesh, or copy the file again."
        ) from error
    try:
        arrays = {name: unpack(packed[name], dtype, tuple(shape)) for name, (dtype, shape) in about["arrays"].items()}
        return about, arrays | {name: from_differences(arrays[name]) for name in _DISTANCES}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> SceneError:
    """Returns the error to raise where the content of `path` makes no sense."""
    return SceneError(f"{path}: the baked scene is damaged ({error!r}). Bake it again from its mesh.")


def _check_header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    if metadata.get("format") != FORMAT:
        raise SceneError(f"{path}: a safetensors file, but not a baked scene (its header lacks format={FORMAT!r}).")
    if metadata.get("version") != str(FORMAT_VERSION):
        raise SceneError(
            f"{path}: format version {metadata.get('version')}, but this version of batchsim reads "
            f"{FORMAT_VERSION}. Bake it again from its mesh."
        )
    try:
        return json.loads(metadata["scene"])
    except (KeyError, json.JSONDecodeError) as error:
        raise SceneError(f"{path}: the baked scene's header is damaged ({error!r}).") from error
