"""The exception of this package, and checks of options that raise it."""

from __future__ import annotations


class AgentError(ValueError):
    """A run, checkpoint or option that cannot be used; the message says what, where and what to do."""


def require_positive(options: object, name: str, largest: float) -> None:
    """Raises `AgentError` unless the field `name` of `options` is more than 0 and at most `largest`."""
    value = getattr(options, name)
    if not value > 0:
        raise AgentError(f"{name} is {value}; expected more than 0.")
    if not value <= largest:
        raise AgentError(f"{name} is {value}; expected at most {largest:g}.")


def require_between(options: object, name: str, low: float, high: float) -> None:
    """Raises `AgentError` unless the field `name` of `options` is in [`low`, `high`]; nan is in no range."""
    value = getattr(options, name)
    if not low <= value <= high:
        raise AgentError(f"{name} is {value}; expected {low} to {high:g}.")
