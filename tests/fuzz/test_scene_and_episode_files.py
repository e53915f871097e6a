"""Damaged files of baked scenes and of Habitat's episodes."""

import gzip
import json
import struct

import numpy as np
from hypothesis import strategies as st

from batchsim.scenes import Scene, load_episodes
from tests.fuzz.mutations import damaged_bytes, damaged_document, damaged_json
from tests.fuzz.outcomes import examples, fuzz, own_error
from tests.helpers.episode_files import entry


def loaded_soundly(path):
    scene = Scene.load(path)
    assert np.isfinite(scene.triangles).all()
    assert scene.materials.max() < len(scene.material_table)
    assert scene.walkable.islands.min() >= 0


@examples(40, 1200)
def test_scene_files_with_damaged_bytes(tmp_path, four_rooms, count):
    path = tmp_path / "x.scene"
    four_rooms.save(path)
    content = path.read_bytes()

    def check(damaged):
        path.write_bytes(damaged)
        own_error(lambda: loaded_soundly(path), path)

    fuzz(count, damaged_bytes(content), check)


@examples(20, 800)
def test_scene_files_with_damaged_headers(tmp_path, four_rooms, count):
    path = tmp_path / "x.scene"
    four_rooms.save(path)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    about = json.loads(header["__metadata__"]["scene"])

    def check(damaged):
        header["__metadata__"]["scene"] = json.dumps(damaged)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)
        own_error(lambda: loaded_soundly(path), path)

    fuzz(count, damaged_document(about), check)


def read_soundly(path):
    episodes = load_episodes(path)
    assert np.isfinite(episodes.start_position).all()
    assert np.isfinite(episodes.start_heading).all()
    assert np.isfinite(episodes.goal).all()


@examples(60, 2000)
def test_episode_files(tmp_path, count):
    path = tmp_path / "val.json.gz"
    document = {"episodes": [entry("one-room"), entry("homes:val/3", info={}), entry("maze", episode_id="x")]}
    packed = gzip.compress(json.dumps(document).encode(), mtime=0)
    files = damaged_json(document).map(lambda text: gzip.compress(text, mtime=0))

    def check(damaged):
        path.write_bytes(damaged)
        own_error(lambda: read_soundly(path), path)
        own_error(lambda: load_episodes(path, bad=[]), path)

    fuzz(count, st.one_of(files, files, damaged_bytes(packed)), check)
