"""GLSL sources, read with their constants filled in."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def _source(name: str) -> str:
    return (files(__package__) / f"{name}.glsl").read_text(encoding="utf-8")


def load_shader(name: str, **constants: float | int) -> str:
    """The source of `shaders/NAME.glsl` with `#define`s of `constants` after its version line."""
    version, _, body = _source(name).partition("\n")
    if not version.startswith("#version"):
        raise ValueError(f"{name}.glsl must begin with its #version line")
    defines = "".join(f"#define {key} {value!r}\n" for key, value in constants.items())
    return f"{version}\n{defines}#line 2\n{body}"
