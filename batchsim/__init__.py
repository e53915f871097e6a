"""batchsim: thousands of 3D homes stepped and rendered at once.

Importing it registers `batchsim/PointNav-v0`, `batchsim/Flee-v0` and `batchsim/Explore-v0` with Gymnasium, and keeps
OpenMP's waiting short (`cpu_threads`), which works where torch is imported later.
"""

import batchsim.openmp  # noqa: F401  (before whatever imports torch)
from batchsim.errors import BatchSimError, OptionError, RenderError
from batchsim.envs.registration import register_task
from batchsim.render.batch_renderer import BatchRenderer
from batchsim.render.camera import Camera
from batchsim.envs.single_env import NavEnv
from batchsim.tasks import Task
from batchsim.envs.vector_env import NavVectorEnv

__all__ = [
    "BatchRenderer",
    "BatchSimError",
    "Camera",
    "NavEnv",
    "NavVectorEnv",
    "OptionError",
    "RenderError",
    "Task",
    "register_task",
]

register_task("batchsim/PointNav-v0", "pointnav")
register_task("batchsim/Flee-v0", "flee")
register_task("batchsim/Explore-v0", "explore")
