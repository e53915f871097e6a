"""Headings, quaternions and poses.

y is up, heading 0 looks along -z, and positive angles turn left: forward(h) = (-sin h, 0, -cos h). A pose is
`[..., 7]`: position x y z in metres, then the quaternion x y z w.
"""

from __future__ import annotations

import torch
from torch import Tensor


def forward(heading: Tensor) -> Tensor:
    """Returns the unit vectors `[..., 3]` along which agents with these headings (radians) look."""
    return torch.stack((-torch.sin(heading), torch.zeros_like(heading), -torch.cos(heading)), -1)


def to_the_right(heading: Tensor) -> Tensor:
    """Returns the unit vectors `[..., 3]` to the right of agents with these headings (radians)."""
    return torch.stack((torch.cos(heading), torch.zeros_like(heading), -torch.sin(heading)), -1)


def heading_to_quaternion(heading: Tensor) -> Tensor:
    """Returns the quaternions `[..., 4]` (x y z w) of rotations by `heading` (radians) about y."""
    zero = torch.zeros_like(heading)
    return torch.stack((zero, torch.sin(heading / 2), zero, torch.cos(heading / 2)), -1)


def tilted(quaternion: Tensor, pitch: Tensor) -> Tensor:
    """Returns the rotations `[..., 4]` of cameras that are tilted up by `pitch` (radians) in their own frame."""
    zero = torch.zeros_like(pitch)
    return multiply(quaternion, torch.stack((torch.sin(pitch / 2), zero, zero, torch.cos(pitch / 2)), -1))


def quaternion_to_heading(quaternion: Tensor) -> Tensor:
    """Returns the headings (radians, in [-pi, pi)) of rotations `[..., 4]` about y."""
    return wrap_angle(2 * torch.atan2(quaternion[..., 1], quaternion[..., 3]))


def wrap_angle(angle: Tensor) -> Tensor:
    """Returns the same angle in [-pi, pi)."""
    return torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Returns the rotation `b` followed by `a`: the Hamilton product of quaternions `[..., 4]`, broadcast."""
    ax, ay, az, aw = a.unbind(-1)
    bx, by, bz, bw = b.unbind(-1)
    return torch.stack(
        (
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ),
        -1,
    )


def rotate(vector: Tensor, quaternion: Tensor) -> Tensor:
    """Rotates vectors `[..., 3]` by unit quaternions `[..., 4]`, broadcast."""
    vector, axis = torch.broadcast_tensors(vector, quaternion[..., :3])
    twice = 2 * torch.linalg.cross(axis, vector)
    return vector + quaternion[..., 3:] * twice + torch.linalg.cross(axis, twice)


def compose(carrier: Tensor, mounted: Tensor) -> Tensor:
    """Returns the world poses `[..., 7]` of objects whose poses in the frames of `carrier` are `mounted`; broadcast."""
    position = carrier[..., :3] + rotate(mounted[..., :3], carrier[..., 3:])
    return torch.cat((position, multiply(carrier[..., 3:], mounted[..., 3:])), -1)
