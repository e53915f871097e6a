"""Objects of meshes: their numbers by default, checked, and kept apart where meshes are joined."""

import numpy as np
import pytest

from batchsim.scenes import Mesh, SceneError

TRIANGLE = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]], np.float32)


def with_instances(numbers):
    """A mesh of as many equal triangles as `numbers`."""
    count = len(numbers)
    plain = np.zeros(count, np.int32)
    return Mesh(
        np.repeat(TRIANGLE, count, 0), np.zeros((count, 3, 2)), plain, plain, instances=np.array(numbers, np.int32)
    )


def test_triangles_belong_to_no_object_by_default():
    assert Mesh.from_triangles(np.repeat(TRIANGLE, 3, 0)).instances.tolist() == [0, 0, 0]


def test_joined_meshes_keep_their_objects_apart():
    joined = Mesh.concatenate([with_instances([2, 0, 1]), with_instances([0, 0]), with_instances([1, 2, 0, 1])])
    assert joined.instances.tolist() == [2, 0, 1, 0, 0, 3, 4, 0, 3]


def test_negative_numbers_are_refused():
    with pytest.raises(SceneError, match=r"instances holds -1"):
        with_instances([0, -1])
