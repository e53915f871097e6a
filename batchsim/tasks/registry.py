"""The built-in tasks by name."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from importlib import import_module

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
        task: A name in `TASKS`, "module:Class" for a class of your own, or a `Task`, which is returned as it is.
        success_distance: Metres; only for tasks that are named and have such a field.

    Raises:
        OptionError: If there is no such task, or if `success_distance` is given for a task without it.
    """
    made = task if isinstance(task, Task) else _class_of(task)()
    if success_distance is None:
        return made
    if made is task:
        raise OptionError(f"success_distance={success_distance!r}: set it in the task; got task={task!r}.")
    if not (is_dataclass(made) and any(field.name == "success_distance" for field in fields(made))):
        raise OptionError(f"success_distance={success_distance!r} does not apply to task={task!r}.")
    return replace(made, success_distance=success_distance)


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
