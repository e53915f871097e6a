"""The built-in tasks by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl

from batchsim.errors import OptionError
from batchsim.tasks.explore import Explore
from batchsim.tasks.flee import Flee
from batchsim.tasks.habitat_pointnav import HabitatPointNav, RealisticPointNav
from batchsim.tasks.imagenav import ImageNav
from batchsim.tasks.instance_imagenav import InstanceImageNav, LevelInstanceImageNav
from batchsim.tasks.multi_objectnav import MultiObjectNav
from batchsim.tasks.objectnav import LevelObjectNav, ObjectNav
from batchsim.tasks.pointnav import PointNav
from batchsim.tasks.task import Task

TASKS: dict[str, type[Task]] = {
    "pointnav": PointNav,
    "flee": Flee,
    "explore": Explore,
    "objectnav": ObjectNav,
    "objectnav_level": LevelObjectNav,
    "imagenav": ImageNav,
    "instance_imagenav": InstanceImageNav,
    "instance_imagenav_level": LevelInstanceImageNav,
    "multi_objectnav": MultiObjectNav,
    "habitat_pointnav": HabitatPointNav,
    "realistic_pointnav": RealisticPointNav,
}


def choose_task(task: str | Task, success_distance: float | None = None) -> Task:
    """Returns the task that `task` names.

    Args:
        task: A name in `TASKS` or "module:Class" for a class of your own, with values of its fields if some follow:
            "objectnav?categories=bed,sofa&success_reward=5"; or a `Task`, which is returned as it is.
        success_distance: Metres; only for tasks that are named and have such a field.

    Raises:
        OptionError: If there is no such task, or if `success_distance` is given for a task without it.
    """
    made = task if isinstance(task, Task) else _made(task)
    if success_distance is None:
        return made
    if made is task:
        raise OptionError(f"success_distance={success_distance!r}: set it in the task; got task={task!r}.")
    if not (is_dataclass(made) and any(field.name == "success_distance" for field in fields(made))):
        raise OptionError(f"success_distance={success_distance!r} does not apply to task={task!r}.")
    return replace(made, success_distance=success_distance)


def name_of_task(task: str) -> str:
    """Returns the name in `task` without the values of fields."""
    return task.partition("?")[0]


def _made(task: str) -> Task:
    kind = _class_of(name_of_task(task) if isinstance(task, str) else task)
    _, mark, query = task.partition("?")
    try:
        given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        given = []
    names = [name for name, _ in given]
    if bool(mark) != bool(given) or len(set(names)) < len(names):
        raise OptionError(f"task={task!r}: expected fields and values such as ?success_distance=1&slack_reward=0.")
    made: Task = kind()
    return replace(made, **_values(task, made, dict(given))) if given else made  # type: ignore[type-var]


def _values(task: str, made: Task, given: Mapping[str, str]) -> dict[str, Any]:
    """Returns the given values of fields of `made` as the types of their defaults."""
    known: dict[str, Any] = (
        {f.name: getattr(made, f.name) for f in fields(made) if f.init} if is_dataclass(made) else {}
    )
    convert = {name: _CONVERT[type(value)] for name, value in known.items() if type(value) in _CONVERT}
    convert.pop("table", None)  # set by the environment
    values = {}
    for name, text in given.items():
        if name not in convert:
            raise OptionError(f"task={task!r}: no field {name!r}; expected some of {', '.join(convert) or 'none'}.")
        try:
            values[name] = convert[name](text)
        except (ValueError, KeyError):
            raise OptionError(f"task={task!r}: {name}={text!r}: expected a value such as {known[name]!r}.") from None
    return values


_CONVERT: dict[type, Callable[[str], Any]] = {
    float: float,
    int: int,
    bool: {"true": True, "false": False}.__getitem__,
    str: str,
    tuple: lambda text: tuple(text.split(",")) if text else (),
}


def _class_of(name: str) -> type[Task]:
    if not isinstance(name, str):
        raise OptionError(
            f'task is of type {type(name).__name__}: expected one of {", ".join(TASKS)}, "module:Class" with '
            "a subclass of batchsim.tasks.Task, or an instance of one."
        )
    if name in TASKS:
        return TASKS[name]
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute) if attribute else None
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise OptionError(f"task={name!r}: {error}.") from None
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise OptionError(
            f'task={name!r}: expected one of {", ".join(TASKS)}, "module:Class" with a subclass of '
            "batchsim.tasks.Task, or an instance of one."
        )
    return found
