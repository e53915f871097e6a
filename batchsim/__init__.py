"""batchsim: batch simulation for reinforcement learning; steps and renders thousands of 3D homes at once.

Importing this package registers `batchsim/PointNav-v0`, `batchsim/Flee-v0` and `batchsim/Explore-v0` with Gymnasium.
It does not import torch or moderngl: the names below are loaded when first used.

It also sets numbers of threads and how long they spin (`batchsim.cpu_threads`), which only works fully if torch is
imported later.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

# In a checkout, `batchsim.agents` and `batchsim.scenes` are the folders beside this one; installed, they are inside it.
if not (Path(__file__).parent / "scenes").is_dir():
    __path__.append(str(Path(__file__).resolve().parents[1]))

import batchsim.cpu_threads  # (before anything imports NumPy or torch)
import batchsim.process.command_line  # noqa: F401  (before the slow imports: it handles Ctrl-C during them)
from batchsim.envs.registration import register_task
from batchsim.scenes.startup.lazy_names import lazy_names

if TYPE_CHECKING:
    from batchsim.envs.single_env import NavEnv
    from batchsim.envs.vector_env import NavVectorEnv
    from batchsim.errors import ActionError, BatchSimError, OptionError, RenderError
    from batchsim.render.batch_renderer import BatchRenderer
    from batchsim.render.camera import Camera
    from batchsim.render.lidar import Lidar
    from batchsim.tasks.task import Task
    from batchsim.world.resident_scenes import ResidentScenes
    from batchsim.world.state import State

__all__ = [
    "ActionError",
    "BatchRenderer",
    "BatchSimError",
    "Camera",
    "Lidar",
    "NavEnv",
    "NavVectorEnv",
    "OptionError",
    "RenderError",
    "ResidentScenes",
    "State",
    "Task",
    "register_task",
]

_MODULES = {
    "ActionError": "batchsim.errors",
    "BatchRenderer": "batchsim.render.batch_renderer",
    "BatchSimError": "batchsim.errors",
    "Camera": "batchsim.render.camera",
    "Lidar": "batchsim.render.lidar",
    "NavEnv": "batchsim.envs.single_env",
    "NavVectorEnv": "batchsim.envs.vector_env",
    "OptionError": "batchsim.errors",
    "RenderError": "batchsim.errors",
    "ResidentScenes": "batchsim.world.resident_scenes",
    "State": "batchsim.world.state",
    "Task": "batchsim.tasks.task",
}
_SUBPACKAGES = ("agents", "scenes", "tasks", "poses", "random_streams")


def _version() -> str:
    from importlib.metadata import version

    return version("batchsim")


_OTHERS: dict[str, Callable[[], Any]] = {name: partial(import_module, f"batchsim.{name}") for name in _SUBPACKAGES}
__getattr__, __dir__ = lazy_names(__name__, _MODULES, _OTHERS | {"__version__": _version})


register_task("batchsim/PointNav-v0", "pointnav")
register_task("batchsim/Flee-v0", "flee")
register_task("batchsim/Explore-v0", "explore")
register_task("batchsim/ObjectNav-v0", "objectnav")
register_task("batchsim/ImageNav-v0", "imagenav", 1000, sensors=("rgb",))
register_task("batchsim/InstanceImageNav-v0", "instance_imagenav", 1000, sensors=("rgb", "depth"))
register_task("batchsim/MultiObjectNav-v0", "multi_objectnav", 2500)
