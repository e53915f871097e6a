"""Baked scenes as files: safetensors (packed arrays, nothing executable) with the rest as JSON in the header."""

from __future__ import annotations

import json
import os
import secrets
import weakref
from contextlib import suppress
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from batchsim.scenes.agent_body import AgentBody
from batchsim.scenes.baking.bvh import BVH
from batchsim.scenes.baking.packing import differences, from_differences, pack, unpack
from batchsim.scenes.baking.scene import Scene
from batchsim.scenes.errors import SceneError
from batchsim.scenes.mesh import Material
from batchsim.scenes.walking.layers import link
from batchsim.scenes.walking.walkable import Walkable

FORMAT = "batchsim-scene"
FORMAT_VERSION = 2
SCENE_SUFFIX = ".scene"

_OWN_ARRAYS = ("triangles", "uvs", "materials", "labels", "goals", "goal_distances")
_texture_pool: weakref.WeakValueDictionary[bytes, np.ndarray] = weakref.WeakValueDictionary()


def write_scene(scene: Scene, path: Path) -> None:
    """Write `scene` to `path`. A reader sees the old file or the whole new one, never a part.

    Raises `SceneError` if the folder cannot be written.
    """
    tensors = {name: getattr(scene, name) for name in _OWN_ARRAYS}
    tensors |= {f"bvh.{name}": array for name, array in scene.bvh.to_arrays().items()}
    tensors |= {f"walkable.{name}": array for name, array in _without_derived(scene.walkable.to_arrays()).items()}
    tensors |= {f"texture.{i}": texture for i, texture in enumerate(scene.textures)}
    about = {
        "name": scene.name,
        "materials": [asdict(material) for material in scene.material_table],
        "num_textures": len(scene.textures),
        "body": asdict(scene.body),
        "label_names": scene.label_names,
    }
    tensors["goal_distances"] = differences(scene.goal_distances)
    about["arrays"] = {name: [array.dtype.str, array.shape] for name, array in tensors.items()}
    metadata = {"format": FORMAT, "version": str(FORMAT_VERSION), "scene": json.dumps(about)}
    data = save({name: pack(array) for name, array in tensors.items()}, metadata)
    write_atomically(path, data)


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` under a temporary name beside `path`, force it to disk, then rename.

    Raises `SceneError` if the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise SceneError(f"{path}: cannot be written ({error.strerror or error}).") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def read_scene(path: Path) -> Scene:
    """Read a baked scene; `SceneError` naming the path if that is not what the file is."""
    try:
        with safe_open(path, framework="numpy") as file:
            about = _check_header(path, file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise SceneError(f"{path}: no such file.") from None
    except (SafetensorError, OSError) as error:
        raise SceneError(
            f"{path}: not a whole baked scene ({error}). Bake it again from its mesh, or copy the file again."
        ) from error
    try:
        return _assemble(about, _unpacked(about["arrays"], tensors))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SceneError(f"{path}: the baked scene is damaged ({error!r}). Bake it again from its mesh.") from error


def _check_header(path: Path, metadata: dict[str, str]) -> dict:
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


def _unpacked(arrays: dict[str, list], tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    unpacked = {name: unpack(tensors[name], dtype, tuple(shape)) for name, (dtype, shape) in arrays.items()}
    return unpacked | {"goal_distances": from_differences(unpacked["goal_distances"])}


def _assemble(about: dict, tensors: dict[str, np.ndarray]) -> Scene:
    scene = Scene(
        name=about["name"],
        **{name: tensors[name] for name in _OWN_ARRAYS},
        material_table=tuple(Material(m["name"], tuple(m["base_color"]), m["texture"]) for m in about["materials"]),
        textures=tuple(_pooled(tensors[f"texture.{i}"]) for i in range(about["num_textures"])),
        bvh=BVH.from_arrays(_under("bvh.", tensors)),
        walkable=Walkable.from_arrays(_with_derived(_under("walkable.", tensors))),
        body=AgentBody(**about["body"]),
        label_names=tuple(about["label_names"]),
    )
    _check_arrays(scene)
    return scene


def _without_derived(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A walkable's arrays but those that follow from the others: a third of a home's file, for 3 ms of reading."""
    return {name: array for name, array in arrays.items() if name not in ("cells", "neighbors")}


def _with_derived(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `_without_derived`. Raises ValueError if the cells are not numbered 0 .. C - 1."""
    index, heights = arrays["index"], arrays["heights"]
    layer, row, col = np.nonzero(index >= 0)
    number = index[layer, row, col]
    if len(number) != len(heights) or (np.bincount(number, minlength=len(heights)) != 1).any():
        raise ValueError("walkable.index does not number the cells of walkable.heights")
    cells = np.empty((len(number), 3), np.int32)
    cells[number] = np.stack([layer, row, col], 1)
    max_step = AgentBody(*arrays["body"]).max_step
    neighbors = link(index, cells[:, 1].astype(np.int64) * index.shape[2] + cells[:, 2], heights, max_step)
    return arrays | {"cells": cells, "neighbors": neighbors}


def _check_arrays(scene: Scene) -> None:
    """Raise ValueError where arrays disagree: an index out of range would crash the device, not raise."""
    count, cells = len(scene.triangles), scene.walkable.num_cells
    expected = {
        "triangles": (np.float32, (count, 3, 3)),
        "uvs": (np.float32, (count, 3, 2)),
        "materials": (np.int32, (count,)),
        "labels": (np.int32, (count,)),
        "goals": (np.float32, (len(scene.goals), 3)),
        "goal_distances": (np.float16, (len(scene.goals), cells)),
    }
    for name, (dtype, shape) in expected.items():
        array = getattr(scene, name)
        if array.dtype != dtype or array.shape != shape:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
    if not 0 <= scene.materials.min(initial=0) <= scene.materials.max(initial=0) < len(scene.material_table):
        raise ValueError("materials point outside the material table")
    if any(not -1 <= material.texture < len(scene.textures) for material in scene.material_table):
        raise ValueError("a material points outside the textures")
    if any(texture.dtype != np.uint8 or texture.ndim != 3 for texture in scene.textures):
        raise ValueError("a texture is not uint8 [height, width, 3]")


def _under(prefix: str, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}


def _pooled(texture: np.ndarray) -> np.ndarray:
    """The array in memory that equals `texture`: homes share their textures, so most are here already."""
    key = blake2b(texture.tobytes(), digest_size=16, person=str(texture.shape).encode()[:16]).digest()
    return _texture_pool.setdefault(key, texture)
