"""Exceptions of this package. Messages say what happened, what was expected, and what to do."""

from gymnasium.error import InvalidAction


class BatchSimError(Exception):
    """Base class of all exceptions that batchsim raises deliberately."""


class OptionError(BatchSimError, ValueError):
    """An option or argument has an invalid value."""


class RenderError(BatchSimError, RuntimeError):
    """OpenGL is missing, too old or out of memory, or its context was lost."""


class ActionError(OptionError, InvalidAction):
    """Actions have the wrong shape or dtype, or are out of range. Also a Gymnasium `InvalidAction`."""
