"""Named values of several parts in one flat mapping: the names of each part get a prefix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def with_prefix(prefix: str, values: Mapping[str, T]) -> dict[str, T]:
    """Returns `values` with `prefix` before every name."""
    return {prefix + name: value for name, value in values.items()}


def without_prefix(prefix: str, values: Mapping[str, T]) -> dict[str, T]:
    """Returns the entries of `values` whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
