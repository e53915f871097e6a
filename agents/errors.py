"""The one exception type of this package."""


class AgentError(ValueError):
    """A run, checkpoint or option that cannot be used; the message says what, where and what to do."""
