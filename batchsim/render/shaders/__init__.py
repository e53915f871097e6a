"""Loads GLSL sources with their constants."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_INCLUDE = re.compile(r'^#include "(\w+)\.glsl"$', re.MULTILINE)


@cache
def _source(name: str) -> str:
    return (files(__package__) / f"{name}.glsl").read_text(encoding="utf-8")


def load_shader(name: str, **constants: float | int) -> str:
    """Returns the source of `shaders/NAME.glsl`.

    A line `#include "OTHER.glsl"` is replaced by the text of that file.

    Args:
        name: The file's name without `.glsl`.
        **constants: Become `#define`s after the version line.
    """
    version, _, body = _source(name).partition("\n")
    if not version.startswith("#version"):
        raise ValueError(f"{name}.glsl must begin with its #version line")
    defines = "".join(f"#define {key} {value!r}\n" for key, value in constants.items())
    body = _INCLUDE.sub(lambda match: _source(match[1]), body)
    return f"{version}\n{defines}#line 2\n{body}"
