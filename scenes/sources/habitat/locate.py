"""From the scene ids of Habitat's episode files to the names of scenes of this library."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.habitat.configs import CONFIG_SUFFIXES, DATASET_SUFFIX, STAGE_SUFFIX
from batchsim.scenes.sources.habitat.dataset import read_dataset
from batchsim.scenes.sources.habitat.templates import read_template

_STAGE_FOLDERS = (".", "../configs/stages", "configs")
"""Where the configuration of a stage is, seen from the folder of its 3D file."""


def stage_spec(asset: Path, folder: Path) -> str:
    """Returns the name of the scene that the file `asset` is in Habitat.

    The scene is described by a dataset that lists it, in the folders from the file's up to `folder`, else by a stage
    configuration beside it. A .glb without either has z up.
    """
    if asset.name.endswith(CONFIG_SUFFIXES) or asset.suffix.lower() in (".scene", ".json"):
        return str(asset)
    top = folder.resolve()
    for above in asset.parents:
        for path in sorted(above.glob(f"*{DATASET_SUFFIX}")):
            handle = _listed_as(path, asset)
            if handle is not None:
                return f"{path}?scene={handle}"
        if above.resolve() == top:
            break
    for name in _STAGE_FOLDERS:
        for config in sorted((asset.parent / name).glob(f"*{STAGE_SUFFIX}")):
            try:
                if read_template(config, STAGE_SUFFIX).asset.resolve() == asset.resolve():
                    return str(config)
            except SceneError:
                continue  # the configuration of another stage
    return f"{asset}?habitat=yes" if asset.suffix.lower() == ".glb" else str(asset)


def handle_spec(scene_id: str, folder: Path) -> str | None:
    """Returns the name of the scene that a dataset in `folder` calls `scene_id`, or None."""
    wanted = scene_id.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if not wanted or not folder.is_dir():
        return None
    return _specs_by_handle(folder, folder.stat().st_mtime_ns).get(wanted)


@lru_cache(maxsize=4)
def _specs_by_handle(folder: Path, modified_ns: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for pattern in (f"*{DATASET_SUFFIX}", f"*/*{DATASET_SUFFIX}", f"*/*/*{DATASET_SUFFIX}"):
        for path in sorted(folder.glob(pattern)):
            for handle in read_dataset(path).scene_handles():
                found.setdefault(handle.rpartition("/")[2], f"{path}?scene={handle}")
    return found


def _listed_as(dataset: Path, asset: Path) -> str | None:
    found = read_dataset(dataset)
    handle = found.stage_of_asset(asset)
    return handle if handle in found.scene_handles() else None
