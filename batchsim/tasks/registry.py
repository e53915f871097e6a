"""The built-in tasks by name."""

from __future__ import annotations

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
        success_distance: Metres; only for "pointnav".

    Raises:
        OptionError: If there is no such task, or if `success_distance` is given for another task than "pointnav".
    """
    if isinstance(task, Task):
        made = task
    elif success_distance is not None and isinstance(task, str) and task == "pointnav":
        return PointNav(success_distance=success_distance)
    else:
        made = _class_of(task)()
    if success_distance is not None:
        raise OptionError(f"success_distance={success_distance!r} applies to task='pointnav' only; got task={task!r}.")
    return made


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
