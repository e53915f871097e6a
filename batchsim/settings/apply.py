"""Gives an environment the options of a setting, and refuses others."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from batchsim.control import read_velocity_options
from batchsim.errors import OptionError
from batchsim.noise import Noise, RedwoodDepth, read_noise
from batchsim.settings.habitat import SETTINGS
from batchsim.settings.setting import Setting, find_setting
from batchsim.tasks import TASKS, Task, choose_task


def apply_setting(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Returns the options of `NavVectorEnv` with those of a setting.

    Args:
        name: Name of the setting.
        given: Options that a user gave explicitly. Images may be left out of `sensors`, and depth noise may be given
            its table.

    Raises:
        OptionError: If there is no such setting, or `given` has another value for an option that it fixes.
    """
    setting = find_setting(name, SETTINGS)
    options = given | dict(setting.options) | {"task": _task(setting, given)}
    if given.get("success_distance") is not None:
        _refuse(setting, "success_distance", getattr(setting.task, "success_distance", None), given["success_distance"])
    options.pop("success_distance", None)
    for option, fixed in setting.options.items():
        if option in given:
            options[option] = _agreed(setting, option, fixed, given[option])
    return options


def task_of_setting(name: str) -> str:
    """Returns the name of a setting's task, as `NavVectorEnv` takes it."""
    kind = type(find_setting(name, SETTINGS).task)
    return next(known for known, made in TASKS.items() if made is kind)


def _agreed(setting: Setting, option: str, fixed: Any, value: Any) -> Any:
    """Returns the value of an option that a user gave although the setting fixes it."""
    if option == "sensors":
        if set(value) <= set(fixed):
            return value
    elif option == "max_episode_steps" and value == sys.maxsize:
        return value  # Gymnasium's TimeLimit wrapper counts the steps
    elif option == "velocity" and read_velocity_options(value) == fixed:
        return fixed
    elif option == "noise" and _without_table(read_noise(value)) == fixed:
        return value
    elif option not in ("velocity", "noise") and value == fixed:
        return fixed
    _refuse(setting, option, fixed, value)
    return fixed


def _task(setting: Setting, given: dict[str, Any]) -> Task:
    """Returns the setting's task; a user may name a more general one, as Gymnasium's ids do."""
    asked = given.get("task")
    if asked is not None and asked != setting.task and not isinstance(setting.task, type(choose_task(asked))):
        _refuse(setting, "task", type(setting.task).__name__, asked)
    return setting.task


def _without_table(noise: Noise) -> Noise:
    depth = RedwoodDepth(noise.depth.multiplier) if noise.depth is not None else None
    return Noise(noise.actuation, noise.rgb, depth)


def _refuse(setting: Setting, option: str, fixed: Any, value: Any) -> None:
    if value != fixed:
        raise OptionError(
            f"setting={setting.name!r} fixes {option}={fixed!r}; got {value!r}. Leave {option} out, or the setting."
        )


def with_setting(init: Callable[..., None]) -> Callable[..., None]:
    """Adds the option `setting` to the constructor of an environment class, whose instances get it as an attribute."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def wrapped(self: Any, *args: Any, setting: str | None = None, **options: Any) -> None:
        self.setting = None if setting is None else find_setting(setting, SETTINGS)
        init(self, *args, **options if setting is None else apply_setting(setting, options))

    parameter = inspect.Parameter("setting", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="str | None")
    parameters = [*signature.parameters.values(), parameter]
    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return wrapped
