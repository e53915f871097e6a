"""Checks of single option values: Python and numpy numbers are accepted, everything else is refused in one line."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

from batchsim.errors import OptionError


def whole_number(name: str, value: Any, low: int, high: int | None = None, unit: str = "") -> int:
    """Returns `value` as an int.

    Args:
        name: Name of the option, for the message.
        value: A Python or numpy integer.
        low: Smallest allowed value.
        high: Largest allowed value; None: no limit.
        unit: What is counted, for the message, such as "pixels".

    Raises:
        OptionError: If `value` is not an integer or not in the range.
    """
    try:
        # bool is an int in Python, but not a number that anybody means.
        number = None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        limits = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise OptionError(f"{name}={_short(value)}: expected a whole number {_of(unit)}{limits}.")
    return number


def real_number(name: str, value: Any, low: float, high: float, unit: str = "") -> float:
    """Returns `value` as a float.

    Args:
        name: Name of the option, for the message.
        value: A Python or numpy number.
        low: Smallest allowed value.
        high: Largest allowed value.
        unit: The unit, for the message, such as "metres".

    Raises:
        OptionError: If `value` is not a finite real number or not in the range.
    """
    is_number = isinstance(value, (Real, np.floating, np.integer)) and not isinstance(value, (bool, np.bool_))
    if not (is_number and low <= value <= high and math.isfinite(value)):
        raise OptionError(f"{name}={_short(value)}: expected a number {_of(unit)}from {low:g} to {high:g}.")
    # np.float32(0.3) means 0.3, not 0.30000001192092896.
    return float(str(value)) if isinstance(value, np.floating) else float(value)


def flag(name: str, value: Any) -> bool:
    """Returns `value` as a bool; raises `OptionError` if it is not a Python or numpy bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise OptionError(f"{name}={_short(value)}: expected True or False.")
    return bool(value)


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Returns `value`; raises `OptionError` if it is not one of `choices`."""
    if not (isinstance(value, str) and value in choices):
        raise OptionError(f"{name}={_short(value)}: expected one of {', '.join(map(repr, choices))}.")
    return value


def sequence(name: str, value: Any, example: str) -> tuple[Any, ...]:
    """Returns the items of `value`.

    Args:
        name: Name of the option, for the message.
        value: A sequence other than a string.
        example: A valid value, for the message.

    Raises:
        OptionError: If `value` is a string or bytes, or has no items.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise OptionError(f"{name}={_short(value)}: expected a sequence, such as {example}.")
    try:
        return tuple(value)
    except TypeError:  # such as a numpy array without dimensions
        raise OptionError(f"{name}={_short(value)}: expected a sequence, such as {example}.") from None


def _of(unit: str) -> str:
    return f"of {unit} " if unit else ""


def _short(value: Any) -> str:
    """Returns the repr of `value` on one line, cut after 60 characters."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # such as integers of more digits than Python prints
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else f"{text[:57]}..."
