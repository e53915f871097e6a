"""Articulated objects (.urdf): the 3D files of their links, where their joints put them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation

from batchsim.scenes.errors import SceneError, first_line
from batchsim.scenes.user_files import read_bytes

JointPose = Mapping[str, float] | Sequence[float]
"""Radians or metres by the name of the joint, or for the movable joints in the order of the file."""

_TURNING, _SLIDING = ("revolute", "continuous"), ("prismatic",)


@dataclass(frozen=True)
class Visual:
    """A 3D file of a link: a point p of it is at `matrix @ p + translation` in the frame of the root link."""

    asset: Path
    matrix: np.ndarray
    translation: np.ndarray


@dataclass(frozen=True)
class ArticulatedModel:
    """The visible parts of an articulated object, and the number of those that are not 3D files."""

    visuals: tuple[Visual, ...]
    num_shapes: int


@dataclass(frozen=True)
class _Joint:
    name: str
    kind: str
    parent: str
    child: str
    origin: np.ndarray
    axis: np.ndarray


def read_urdf(path: Path, pose: JointPose = ()) -> ArticulatedModel:
    """Reads an articulated object.

    Args:
        path: The file.
        pose: The positions of its joints; those that it does not name are at 0.

    Raises:
        SceneError: If the file is damaged.
    """
    data = read_bytes(path, "a URDF file")
    if b"<!ENTITY" in data:
        raise SceneError(f"{path}: defines XML entities, which a URDF file has no use for.")
    try:
        robot = ElementTree.fromstring(data)
        joints = [_joint(element) for element in robot.iterfind("joint")]
        frames = _frames([link.get("name", "") for link in robot.iterfind("link")], joints, _positions(joints, pose))
        visuals = []
        num_shapes = 0
        for link in robot.iterfind("link"):
            for visual in link.iterfind("visual"):
                mesh = visual.find("geometry/mesh")
                if mesh is None:
                    num_shapes += 1
                    continue
                placed = frames[link.get("name", "")] @ _origin(visual)
                scale = _numbers(mesh.get("scale"), (1.0, 1.0, 1.0))
                asset = _asset(path.parent, mesh.get("filename", ""))
                visuals.append(Visual(asset, placed[:3, :3] * scale, placed[:3, 3]))
    except (ElementTree.ParseError, ValueError, KeyError, RecursionError) as error:
        raise SceneError(f"{path}: damaged, cannot be read as URDF ({first_line(error)}).") from error
    return ArticulatedModel(tuple(visuals), num_shapes)


def _joint(element: ElementTree.Element) -> _Joint:
    parent, child, axis = element.find("parent"), element.find("child"), element.find("axis")
    if parent is None or child is None:
        raise ValueError("a joint without parent or child")
    return _Joint(
        element.get("name", ""),
        element.get("type", "fixed"),
        parent.get("link", ""),
        child.get("link", ""),
        _origin(element),
        _numbers(None if axis is None else axis.get("xyz"), (1.0, 0.0, 0.0)),
    )


def _positions(joints: list[_Joint], pose: JointPose) -> dict[str, float]:
    movable = [joint.name for joint in joints if joint.kind in (*_TURNING, *_SLIDING)]
    if isinstance(pose, Mapping):
        if any(name in movable for name in pose):
            return {name: float(value) for name, value in pose.items()}
        pose = list(pose.values())
    return {name: float(value) for name, value in zip(movable, pose, strict=False)}


def _frames(links: list[str], joints: list[_Joint], positions: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The frame of each link, float64 `[4, 4]`, in that of the root link."""
    by_child = {joint.child: joint for joint in joints}
    frames: dict[str, np.ndarray] = {}

    def frame(link: str, below: tuple[str, ...] = ()) -> np.ndarray:
        if link in below:
            raise ValueError(f"the link {link!r} hangs on itself")
        if link not in frames:
            joint = by_child.get(link)
            above = np.eye(4) if joint is None else frame(joint.parent, (*below, link))
            frames[link] = above if joint is None else above @ joint.origin @ _moved(joint, positions)
        return frames[link]

    for link in links:
        frame(link)
    return frames


def _moved(joint: _Joint, positions: Mapping[str, float]) -> np.ndarray:
    moved = np.eye(4)
    value = positions.get(joint.name, 0.0)
    length = float(np.linalg.norm(joint.axis))
    if not value or not length:
        return moved
    if joint.kind in _TURNING:
        moved[:3, :3] = Rotation.from_rotvec(joint.axis / length * value).as_matrix()
    elif joint.kind in _SLIDING:
        moved[:3, 3] = joint.axis / length * value
    return moved


def _origin(element: ElementTree.Element) -> np.ndarray:
    origin = element.find("origin")
    placed = np.eye(4)
    if origin is not None:
        roll_pitch_yaw = _numbers(origin.get("rpy"), (0.0, 0.0, 0.0))
        placed[:3, :3] = Rotation.from_euler("xyz", roll_pitch_yaw).as_matrix()
        placed[:3, 3] = _numbers(origin.get("xyz"), (0.0, 0.0, 0.0))
    return placed


def _numbers(text: str | None, default: tuple[float, float, float]) -> np.ndarray:
    values = np.array(default if text is None else [float(word) for word in text.split()])
    if values.shape == (1,):
        values = np.repeat(values, 3)
    if values.shape != (3,) or not np.isfinite(values).all():
        raise ValueError(f"expected three numbers, got {text!r}")
    return values


def _asset(folder: Path, name: str) -> Path:
    """The file that a URDF names: a path beside it, also with the `package://` of ROS in front."""
    for scheme in ("package://", "file://", "model://"):
        name = name.removeprefix(scheme)
    plain = Path(name.replace("\\", "/"))
    candidates = [folder / plain, folder / Path(*plain.parts[1:]), folder.parent / plain, folder / plain.name]
    return next((found for found in candidates if found.is_file()), candidates[0])
