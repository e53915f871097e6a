"""Headings and quaternions against worked numbers and scipy's rotations."""

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from batchsim import poses

ANGLE = st.floats(-20, 20, width=32)


def test_forward_of_the_four_quarters():
    heading = torch.tensor([0.0, math.pi / 2, math.pi, -math.pi / 2])
    expected = torch.tensor([[0.0, 0, -1], [-1, 0, 0], [0, 0, 1], [1, 0, 0]])
    assert torch.allclose(poses.forward(heading), expected, atol=1e-6)


def test_quaternion_of_a_quarter_turn_left():
    expected = torch.tensor([0.0, math.sqrt(0.5), 0.0, math.sqrt(0.5)])
    assert torch.allclose(poses.heading_to_quaternion(torch.tensor(math.pi / 2)), expected)


@given(ANGLE)
def test_the_quaternion_turns_minus_z_to_forward(angle):
    heading = torch.tensor(angle)
    turned = Rotation.from_quat(poses.heading_to_quaternion(heading).numpy()).apply([0, 0, -1])
    assert np.allclose(turned, poses.forward(heading).numpy(), atol=1e-5)


@given(ANGLE, ANGLE)
def test_two_turns_are_one_of_their_sum(first, second):
    a, b = (Rotation.from_quat(poses.heading_to_quaternion(torch.tensor(h)).numpy()) for h in (first, second))
    both = torch.tensor((a * b).as_quat())
    difference = poses.quaternion_to_heading(both) - (first + second)
    assert abs(math.sin(difference)) < 1e-4
    assert math.cos(difference) > 0.99


@given(ANGLE)
def test_quaternion_and_back(angle):
    heading = torch.tensor(angle)
    back = poses.quaternion_to_heading(poses.heading_to_quaternion(heading))
    # The same direction, in the principal range; a quaternion and its negative are one rotation.
    assert torch.allclose(poses.forward(back), poses.forward(heading), atol=1e-5)
    negative = poses.quaternion_to_heading(-poses.heading_to_quaternion(heading))
    assert torch.allclose(poses.forward(negative), poses.forward(heading), atol=1e-5)


def test_wrap_angle():
    angle = torch.tensor([0.0, 3.0, 3.5, -3.5, 2 * math.pi, 7.0, -7.0, 100.0])
    expected = torch.tensor([math.remainder(float(a), 2 * math.pi) for a in angle])
    assert torch.allclose(poses.wrap_angle(angle), expected, atol=1e-5)


def test_wrapped_angles_never_leave_the_range_of_the_goal_sensor():
    close = torch.tensor([math.pi, -math.pi, 3 * math.pi])
    angle = torch.cat([close + step * 1e-7 for step in range(-20, 21)])
    wrapped = poses.wrap_angle(torch.cat([angle, torch.linspace(-50, 50, 100_001)]))
    assert wrapped.abs().max() <= np.float32(math.pi)


def test_shapes_are_kept():
    heading = torch.zeros(3, 5)
    assert poses.forward(heading).shape == (3, 5, 3)
    assert poses.heading_to_quaternion(heading).shape == (3, 5, 4)
    assert poses.quaternion_to_heading(torch.zeros(2, 4)).shape == (2,)
