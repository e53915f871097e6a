"""The one exception type of this package."""


class SceneError(ValueError):
    """A scene, a file or a name that cannot be used; the message says what, where and what to do."""
