"""Exceptions of this package. Messages say what happened, what was expected, and what to do."""


class BatchSimError(Exception):
    """Base class of all exceptions that batchsim raises deliberately."""


class OptionError(BatchSimError, ValueError):
    """An option or argument has an invalid value."""


class RenderError(BatchSimError, RuntimeError):
    """OpenGL is missing, too old or out of memory, or its context was lost."""
