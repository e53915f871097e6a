"""The exception of this package, and how exceptions of others are quoted."""

from __future__ import annotations


class SceneError(ValueError):
    """A scene, a file or a name that cannot be used; the message says what, where and what to do."""


def first_line(error: BaseException, limit: int = 200) -> str:
    """Returns the message of `error` on one line of at most `limit` characters, or its type if it has no message."""
    return " ".join(str(error).split())[:limit] or type(error).__name__
