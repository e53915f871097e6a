"""OBJ files to surfaces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.obj.faces import Faces, read_faces
from batchsim.scenes.sources.obj.materials import Materials, ObjLook
from batchsim.scenes.sources.obj.statements import Section, Statements, library_lines, parse
from batchsim.scenes.sources.surfaces.color import srgb_to_linear
from batchsim.scenes.sources.surfaces.source_files import SourceFiles
from batchsim.scenes.sources.surfaces.surface import Surface, check_count
from batchsim.scenes.sources.surfaces.text import decode_text


def read_obj(files: SourceFiles) -> Iterator[Surface]:
    """Yields the surfaces of an OBJ file, one for each run of faces of one object, group and material.

    Raises:
        SceneError: If the file is damaged or has too many triangles.
    """
    statements = parse(decode_text(files.path.read_bytes()), files.path)
    if not statements.sections:
        raise SceneError(f"{files.path}: contains no triangles (no line 'f').")
    materials = Materials(files, statements.libraries)
    count = 0
    for section in statements.sections:
        faces = read_faces(section, statements, files.path)
        count += len(faces.positions)
        check_count(files.path, count)
        yield _surface(section, faces, statements, materials.look(section.material))


def obj_files(files: SourceFiles) -> None:
    """Finds the files that an OBJ file refers to, without reading images."""
    Materials(files, library_lines(decode_text(files.path.read_bytes())), report=False).find_textures()


def _surface(section: Section, faces: Faces, statements: Statements, use: ObjLook) -> Surface:
    uvs = None
    if faces.uvs is not None:
        uvs = statements.uvs[faces.uvs] * use.scale + use.offset
        uvs[..., 1] = 1 - uvs[..., 1]
    tints = None
    if statements.colors is not None:
        linear = srgb_to_linear(np.clip(statements.colors, 0, 1))[faces.positions].mean(1)
        tints = np.concatenate([linear, np.ones((len(linear), 1))], 1).astype(np.float32)
    return Surface(
        statements.positions[faces.positions],
        None if uvs is None else uvs.astype(np.float32),
        use.look,
        (section.object_name, *section.group.split()),
        section.object_name or section.group,
        tints,
    )
