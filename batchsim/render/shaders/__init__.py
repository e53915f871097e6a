"""GLSL sources, read with their constants filled in."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_INCLUDE = re.compile(r'^#include "(\w+)\.glsl"$', re.MULTILINE)


@cache
def _source(name: str) -> str:
    return (files(__package__) / f"{name}.glsl").read_text(encoding="utf-8")


def load_shader(name: str, **constants: float | int) -> str:
    """The source of `shaders/NAME.glsl` with `#define`s of `constants` after its version line.

    A line `#include "OTHER.glsl"` stands for the text of that file.
    """
    version, _, body = _source(name).partition("\n")
    if not version.startswith("#version"):
        raise ValueError(f"{name}.glsl must begin with its #version line")
    defines = "".join(f"#define {key} {value!r}\n" for key, value in constants.items())
    body = _INCLUDE.sub(lambda match: _source(match[1]), body)
    return f"{version}\n{defines}#line 2\n{body}"
