"""Renders the report's Jinja2 templates, with every value escaped."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

_PACKAGE = files("batchsim.agents.report")
# Control characters but tab and line feed, and those that set the direction of text.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def render(template: str, **context: Any) -> str:
    """Render the template of this name in `templates/`."""
    return _environment().get_template(template).render(context)


def static_file(name: str) -> Markup:
    """The text of a file in `static/`, to be put into the page as it is."""
    return Markup((_PACKAGE / "static" / name).read_text(encoding="utf-8"))


def csp_hash(script: str) -> str:
    """The source expression of a Content-Security-Policy that allows exactly this inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode('ascii')}'"


def visible(text: str) -> str:
    """`text` with control characters written out, such as "[U+202E]".

    Names come from files and folders. Bidirectional controls in them would reorder the text around them, and so make a
    name look like another one.
    """
    return _CONTROLS.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(lambda name: (_PACKAGE / "templates" / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters["json"] = _json
    return environment


def _json(data: Any) -> Markup:
    """Compact JSON that is safe in script elements and in single-quoted attributes; numbers must be finite."""

    def dumps(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    return htmlsafe_json_dumps(data, dumps=dumps)
