"""Exceptions of this package; each message says what happened, where, and what to do."""


class BatchSimError(Exception):
    """Base class of everything that batchsim raises on purpose."""


class OptionError(BatchSimError, ValueError):
    """An option or argument that cannot be used."""


class RenderError(BatchSimError, RuntimeError):
    """OpenGL is missing, too old, out of room, or lost."""
