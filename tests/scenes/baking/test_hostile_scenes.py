"""Scene files that were crafted or damaged: each is refused with one line, or is safe to simulate and draw."""

import json
import struct
import subprocess
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchsim import scenes
from batchsim.scenes import AgentBody, Scene, SceneError
from batchsim.scenes.baking import scene_file
from batchsim.scenes.baking.bvh import BVH
from batchsim.scenes.baking.cache import CacheKey, cached
from batchsim.scenes.homes import generate_home


@pytest.fixture(scope="module")
def scene():
    return scenes.load("four-rooms", num_goals=4)


@pytest.fixture(scope="module")
def home():
    return scenes.bake(generate_home(4, storeys=2).mesh, "home", num_goals=4)


def changed(array, value, where=...):
    array = array.copy()
    array[where] = value
    return array


def with_nodes(scene, value, where):
    return replace(scene, bvh=replace(scene.bvh, nodes=changed(scene.bvh.nodes, value, where)))


def with_stack(scene, size):
    return replace(scene, bvh=replace(scene.bvh, stack_size=size))


def with_walkable(scene, **values):
    return replace(scene, walkable=replace(scene.walkable, **values))


def with_missing_box(scene):
    """The first missing child of a node gets a box, so that rays enter a child that does not exist."""
    nodes = scene.bvh.nodes.copy()
    for node in nodes:
        low = np.array([node[4 + axis : 5 + axis].view(np.uint8) for axis in range(3)])
        slots = np.flatnonzero((low == 255).all(0))
        if len(slots):
            for axis in range(3):
                node[4 + axis : 5 + axis].view(np.uint8)[slots[0]] = 0
                node[7 + axis : 8 + axis].view(np.uint8)[slots[0]] = 255
            return replace(scene, bvh=replace(scene.bvh, nodes=nodes))
    raise AssertionError("no node has a missing child")


def chain(scene, length=2000):
    """A valid tree in which each node has one inner child and a leaf: deeper than any stack."""
    triangles = np.repeat(scene.triangles[:1], length, 0)
    root = scene.bvh.nodes[0]
    nodes = np.tile(root, (length, 1))
    nodes[:, 3] = (root[3] & 0xFFFFFF) | (1 << 26)
    nodes[-1, 3] = (root[3] & 0xFFFFFF) | (1 << 24)
    nodes[:, 4:7], nodes[:, 7:10] = 0xFFFF0000, 0x0000FFFF
    nodes[-1, 4:7], nodes[-1, 7:10] = 0xFFFFFF00, 0x000000FF
    nodes[:, 10], nodes[:, 11] = np.arange(1, length + 1), np.arange(length)
    return replace(
        scene,
        triangles=triangles,
        uvs=np.zeros((length, 3, 2), np.float32),
        materials=np.zeros(length, np.int32),
        labels=np.zeros(length, np.int32),
        instances=np.zeros(length, np.int32),
        bvh=BVH(nodes, np.arange(length, dtype=np.int32), length),
    )


def with_color(scene, color):
    return replace(scene, material_table=tuple(replace(m, base_color=color) for m in scene.material_table))


BROKEN = {
    "children in a circle": lambda s: with_nodes(s, 0, (slice(None), 10)),
    "children far outside": lambda s: with_nodes(s, 0x0FFFFFFF, (slice(None), 10)),
    "a child that is shared": lambda s: with_nodes(s, s.bvh.nodes[1, 10], (2, 10)),
    "triangles far outside": lambda s: with_nodes(s, 0x0FFFFFFF, (slice(None), 11)),
    "triangles of another leaf": lambda s: with_nodes(s, s.bvh.nodes[-2, 11], (-1, 11)),
    "a box with NaN": lambda s: with_nodes(s, 0x7FC00000, (0, 0)),
    "a box of step infinity": lambda s: with_nodes(s, s.bvh.nodes[0, 3] | 0xFF, (0, 3)),
    "a box of step 0": lambda s: with_nodes(s, s.bvh.nodes[0, 3] & ~np.uint32(0xFF), (0, 3)),
    "a box for a missing child": with_missing_box,
    "no nodes": lambda s: replace(s, bvh=replace(s.bvh, nodes=s.bvh.nodes[:0])),
    "half of the nodes": lambda s: replace(s, bvh=replace(s.bvh, nodes=s.bvh.nodes[: len(s.bvh.nodes) // 2])),
    "a chain of nodes": chain,
    "an order that repeats": lambda s: replace(s, bvh=replace(s.bvh, order=changed(s.bvh.order, 0))),
    "an order outside": lambda s: replace(s, bvh=replace(s.bvh, order=changed(s.bvh.order, 1 << 30, 0))),
    "a negative order": lambda s: replace(s, bvh=replace(s.bvh, order=changed(s.bvh.order, -1, 0))),
    "too small a stack": lambda s: with_stack(s, 1),
    "too large a stack": lambda s: with_stack(s, 2**31 - 1),
    "a negative stack": lambda s: with_stack(s, -5),
    "triangles of NaN": lambda s: replace(s, triangles=changed(s.triangles, np.nan, (3, 1, 2))),
    "triangles of infinity": lambda s: replace(s, triangles=changed(s.triangles, np.inf, 0)),
    "uvs of NaN": lambda s: replace(s, uvs=changed(s.uvs, np.nan, 0)),
    "labels too large": lambda s: replace(s, labels=changed(s.labels, 1 << 30)),
    "labels below 0": lambda s: replace(s, labels=changed(s.labels, -7)),
    "instances too large": lambda s: replace(s, instances=changed(s.instances, 1 << 30, 0)),
    "materials too large": lambda s: replace(s, materials=changed(s.materials, 1000, 0)),
    "materials below 0": lambda s: replace(s, materials=changed(s.materials, -1, 0)),
    "a texture that is missing": lambda s: replace(s, textures=s.textures[:1]),
    "a texture without pixels": lambda s: replace(s, textures=(s.textures[0][:0], *s.textures[1:])),
    "a texture with two channels": lambda s: replace(s, textures=(s.textures[0][..., :2], *s.textures[1:])),
    "a texture 20,000 pixels wide": lambda s: replace(s, textures=(np.zeros((1, 20_000, 3), "u1"), *s.textures[1:])),
    "colors of NaN": lambda s: with_color(s, (float("nan"), 0.0, 0.0)),
    "colors of infinity": lambda s: with_color(s, (float("inf"), 0.0, 0.0)),
    "colors of two numbers": lambda s: with_color(s, (1.0, 0.5)),
    "goal distances of NaN": lambda s: replace(s, goal_distances=changed(s.goal_distances, np.nan)),
    "goal distances below 0": lambda s: replace(s, goal_distances=changed(s.goal_distances, -5)),
    "goal distances of infinity": lambda s: replace(s, goal_distances=changed(s.goal_distances, np.inf)),
    "goals of NaN": lambda s: replace(s, goals=changed(s.goals, np.nan)),
    "goals off the floor": lambda s: replace(s, goals=s.goals + np.float32(100)),
    "more goals than distances": lambda s: replace(s, goals=np.concatenate([s.goals, s.goals])),
    "heights of NaN": lambda s: with_walkable(s, heights=changed(s.walkable.heights, np.nan)),
    "islands too large": lambda s: with_walkable(s, islands=changed(s.walkable.islands, 1 << 30)),
    "islands below 0": lambda s: with_walkable(s, islands=changed(s.walkable.islands, -1, 0)),
    "islands with a gap": lambda s: with_walkable(s, islands=changed(s.walkable.islands, 2, slice(9))),
    "one floor of two islands": lambda s: with_walkable(s, islands=changed(s.walkable.islands, 1, slice(9))),
    "cells of size 0": lambda s: with_walkable(s, cell_size=0.0),
    "cells of size NaN": lambda s: with_walkable(s, cell_size=float("nan")),
    "cells of negative size": lambda s: with_walkable(s, cell_size=-0.05),
    "cells 1e300 m wide": lambda s: with_walkable(s, cell_size=1e300),
    "an origin of NaN": lambda s: with_walkable(s, origin=changed(s.walkable.origin, np.nan)),
    "a cell numbered twice": lambda s: with_walkable(s, index=np.minimum(s.walkable.index, 5)),
    "a cell number outside": lambda s: with_walkable(
        s, index=np.where(s.walkable.index == 0, 1 << 30, s.walkable.index).astype("i4")
    ),
    "no cells": lambda s: with_walkable(s, index=changed(s.walkable.index, -1), heights=s.walkable.heights[:0]),
    "a flat index": lambda s: with_walkable(s, index=s.walkable.index[0]),
    "another body": lambda s: replace(s, body=AgentBody(radius=0.2)),
    "a radius of NaN": lambda s: replace(s, body=replace(s.body, radius=float("nan"))),
    "float64 triangles": lambda s: replace(s, triangles=s.triangles.astype(np.float64)),
    "big-endian labels": lambda s: replace(s, labels=s.labels.astype(">i4")),
    "complex goals": lambda s: replace(s, goals=s.goals.astype(np.complex64)),
}
HOME_ONLY = {
    "view cells outside": lambda o: replace(o, view_cells=changed(o.view_cells, 1 << 30, 0)),
    "view offsets that fall": lambda o: replace(o, view_offsets=changed(o.view_offsets, 0, -2)),
    "view offsets below 0": lambda o: replace(o, view_offsets=changed(o.view_offsets, -1, 1)),
    "object labels outside": lambda o: replace(o, labels=changed(o.labels, 1 << 20, 0)),
    "object goals outside": lambda o: replace(o, goals=changed(o.goals, len(o), 0)),
    "image goals outside": lambda o: replace(o, image_goals=changed(o.image_goals, len(o.goals), 0)),
    "image poses of NaN": lambda o: replace(o, image_poses=changed(o.image_poses, np.nan, 0)),
    "category distances of NaN": lambda o: replace(o, category_distances=changed(o.category_distances, np.nan, 0)),
    "a category too many": lambda o: replace(o, categories=(*o.categories, "cow")),
    "poses without heading": lambda o: replace(o, image_poses=o.image_poses[:, :3]),
}


def assert_refused(scene, path):
    scene.save(path)
    with pytest.raises(SceneError) as raised:
        Scene.load(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("broken", BROKEN)
def test_what_shaders_and_look_ups_index_by_is_checked(scene, tmp_path, broken):
    assert_refused(BROKEN[broken](scene), tmp_path / "x.scene")


@pytest.mark.parametrize("broken", HOME_ONLY)
def test_what_is_known_of_objects_is_checked(home, tmp_path, broken):
    assert_refused(replace(home, objects=HOME_ONLY[broken](home.objects)), tmp_path / "x.scene")


def test_all_kinds_of_good_scenes_pass(home, scene, tmp_path):
    empty = replace(scene, goals=scene.goals[:0], goal_distances=scene.goal_distances[:0])
    single = scenes.bake(scenes.Mesh.from_triangles(np.array([[[0, 0, 6], [6, 0, 0], [0, 0, 0]]])), "one")
    corners = np.array([(-3, -3), (-3, 3), (3, 3), (3, -3)], np.float32)[[[0, 1, 2], [0, 2, 3]]]
    plane = scenes.bake(scenes.Mesh.from_triangles(np.insert(corners, 1, 0, -1)), "flat")
    far = scenes.bake(replace(scene.mesh, triangles=scene.mesh.triangles + np.float32([5000, -800, 9000])), "far")
    for number, good in enumerate((home, empty, single, plane, far)):
        good.save(tmp_path / f"{number}.scene")
        assert len(Scene.load(tmp_path / f"{number}.scene").triangles) == len(good.triangles)


def traverse(scene):
    """Visits the tree as the shader does if a ray hits every box; returns the triangles and the largest stack."""
    stack, most, triangles, nodes = [0], 0, [], 0
    while stack:
        node = scene.bvh.nodes[stack.pop()]
        nodes += 1
        before = 0
        for slot in range(4):
            count = int(node[3]) >> (24 + 2 * slot) & 3
            low, high = ([int(node[first + axis]) >> (8 * slot) & 255 for axis in range(3)] for first in (4, 7))
            if count:
                triangles += range(int(node[11]) + before, int(node[11]) + before + count)
                before += count
            elif low <= high:
                stack.append(int(node[10]) + slot)
        assert nodes <= len(scene.bvh.nodes)
        most = max(most, len(stack) - 1)
    return triangles, most


def test_the_tree_that_passes_leads_to_every_triangle_once(home):
    triangles, most = traverse(home)
    assert sorted(triangles) == list(range(len(home.triangles)))
    assert most <= home.bvh.stack_size


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 11), st.integers(0, 1 << 20), st.integers(0, (1 << 32) - 1))
def test_whatever_tree_is_accepted_can_be_walked(scene, tmp_path, word, node, value):
    broken = with_nodes(scene, value, (node % len(scene.bvh.nodes), word))
    broken.save(tmp_path / "x.scene")
    try:
        loaded = Scene.load(tmp_path / "x.scene")
    except SceneError:
        return
    triangles, most = traverse(loaded)
    assert sorted(triangles) == list(range(len(scene.triangles)))
    assert most <= loaded.bvh.stack_size <= 200


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_flipped_bytes_are_refused_or_harmless(scene, tmp_path, data):
    path = tmp_path / "x.scene"
    scene.save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        loaded = Scene.load(path)
    except SceneError:
        return
    assert np.isfinite(loaded.triangles).all()


def crafted(path, change, arrays=()):
    """Rewrites the header of a scene file by `change`, and appends packed `arrays`: (name, dtype, shape, stream)."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    about = json.loads(header["__metadata__"]["scene"])
    change(about)
    for name, dtype, shape, stream in arrays:
        about["arrays"][name] = [dtype, shape]
        header[name] = {"dtype": "U8", "shape": [len(stream)], "data_offsets": [len(data), len(data) + len(stream)]}
        data += stream
    header["__metadata__"]["scene"] = json.dumps(about)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.update(name=7),
        lambda h: h.update(label_names="nothing"),
        lambda h: h.update(num_textures=10**400),
        lambda h: h.update(num_textures=-1),
        lambda h: h.update(num_textures=1.5),
        lambda h: h.update(materials=[{"name": "a", "base_color": [1, 1], "texture": 0}]),
        lambda h: h.update(materials={}),
        lambda h: h["body"].update(radius="wide"),
        lambda h: h["body"].update(height=10**400),
        lambda h: h["arrays"].update(labels=["<i4", [10**18, 10**18]]),
        lambda h: h["arrays"].update(labels=["<i4", [-1]]),
        lambda h: h["arrays"].update(labels=["|O", [3]]),
        lambda h: h["arrays"].update(labels=["i4,i4", [3]]),
        lambda h: h["arrays"].update(labels=[3]),
        lambda h: h["arrays"].update(absent=["<i4", [3]]),
        lambda h: h.pop("arrays"),
        lambda h: h["arrays"].pop("bvh.nodes"),
        lambda h: h["arrays"].pop("walkable.heights"),
    ],
)
def test_every_value_of_the_header_is_checked(scene, tmp_path, change):
    path = tmp_path / "x.scene"
    scene.save(path)
    crafted(path, change)
    with pytest.raises(SceneError, match=r"x\.scene") as raised:
        Scene.load(path)
    assert len(str(raised.value)) < 1000


LOAD = """
import re, sys
from pathlib import Path
from batchsim.scenes import Scene, SceneError
try:
    Scene.load(sys.argv[1])
except SceneError as error:
    print(error)
# Not ru_maxrss, which starts at what the parent had in use.
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def test_a_small_file_does_not_take_gigabytes(scene, tmp_path):
    path = tmp_path / "bomb.scene"
    scene.save(path)
    stream = zlib.compress(bytes(100_000_000), 9)
    crafted(path, lambda h: None, [(f"extra.{i}", "|u1", [100_000_000], stream) for i in range(24)])
    assert path.stat().st_size < 4e6
    done = subprocess.run([sys.executable, "-c", LOAD, path], capture_output=True, text=True, check=True, timeout=60)
    message, megabytes = done.stdout.splitlines()
    assert "at most 537 MB are allowed" in message
    assert int(megabytes) < 400


def test_a_scene_that_would_not_be_read_is_not_written(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(scene_file, "MAX_UNPACKED_BYTES", 1000)
    monkeypatch.setattr(scene_file, "MAX_RATIO", 1)
    with pytest.raises(SceneError, match="would need"):
        scene.save(tmp_path / "x.scene")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_replaced(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path))
    key = CacheKey("four-rooms", "content", "code")
    with_nodes(scene, 0, (slice(None), 10)).save(key.path)
    with pytest.warns(RuntimeWarning, match="again"):
        cached(key, lambda: scene)
    np.testing.assert_array_equal(Scene.load(key.path).bvh.nodes, scene.bvh.nodes)


def test_a_scene_that_fails_leaves_nothing_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHSIM_CACHE", str(tmp_path))

    def fail():
        raise SceneError("no floor")

    with pytest.raises(SceneError, match="no floor"):
        cached(CacheKey("x", "content", "code"), fail)
    assert list(tmp_path.iterdir()) == []
