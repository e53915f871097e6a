"""`Setting`: everything about an environment that makes numbers comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from batchsim.errors import OptionError
from batchsim.scenes import AgentBody
from batchsim.tasks import Task


@dataclass(frozen=True)
class Setting:
    """A published benchmark's options of `NavVectorEnv`.

    Attributes:
        name: Such as "habitat-objectnav-2022".
        version: Raised whenever an option changes, so that old numbers can be told apart.
        task: The task with its reward and success distance.
        options: Values of `NavVectorEnv`'s options that are fixed.
        differences: Where this differs from the benchmark, one sentence each.
    """

    name: str
    version: int
    task: Task
    options: Mapping[str, Any]
    differences: tuple[str, ...] = ()

    @property
    def body(self) -> AgentBody:
        """The body that scenes are baked for."""
        return AgentBody(radius=self.options["agent_radius"], height=self.options["agent_height"])

    def to_json(self) -> dict[str, Any]:
        """Returns all of it as plain values."""
        task = {item.name: _plain(getattr(self.task, item.name)) for item in fields(self.task) if item.name != "table"}  # type: ignore[arg-type]
        return {
            "name": self.name,
            "version": self.version,
            "task": {"class": type(self.task).__name__, "actions": list(self.task.action_names)} | task,
            "options": {name: _plain(value) for name, value in self.options.items()},
            "differences": list(self.differences),
        }


def find_setting(name: str, settings: Mapping[str, Setting]) -> Setting:
    """Returns the setting called `name`.

    Raises:
        OptionError: If there is none.
    """
    if not isinstance(name, str) or name not in settings:
        raise OptionError(f"setting={name!r}: expected one of {', '.join(settings)}.")
    return settings[name]


def _plain(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
