"""Public names of a package that are loaded when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str], others: Mapping[str, Callable[[], Any]] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns `__getattr__` and `__dir__` for a package's `__init__.py`.

    Args:
        package: The package's `__name__`.
        modules: The full name of the module that defines each public name.
        others: What makes the values of further names.
    """
    makers = dict(others or {})

    def load(name: str) -> Any:
        if name in modules:
            value = getattr(import_module(modules[name]), name)
        elif name in makers:
            value = makers[name]()
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules, *makers})

    return load, names
