"""Tasks: what an episode is about, what is rewarded, and how it is measured."""

from batchsim.tasks.explore import Explore
from batchsim.tasks.flee import Flee
from batchsim.tasks.pointnav import PointNav
from batchsim.tasks.registry import TASKS, choose_task
from batchsim.tasks.task import Task

__all__ = ["TASKS", "Explore", "Flee", "PointNav", "Task", "choose_task"]
