"""Tasks define how episodes start and end, and what is observed, rewarded and measured."""

from batchsim.tasks.explore import Explore
from batchsim.tasks.flee import Flee
from batchsim.tasks.goal_navigation import GoalNavigation
from batchsim.tasks.habitat_pointnav import HabitatPointNav, RealisticPointNav
from batchsim.tasks.imagenav import ImageNav
from batchsim.tasks.instance_imagenav import InstanceImageNav, LevelInstanceImageNav
from batchsim.tasks.multi_objectnav import MultiObjectNav
from batchsim.tasks.objectnav import LevelObjectNav, ObjectNav
from batchsim.tasks.pointnav import PointNav
from batchsim.tasks.registry import TASKS, choose_task
from batchsim.tasks.task import Task

__all__ = [
    "TASKS",
    "Explore",
    "Flee",
    "GoalNavigation",
    "HabitatPointNav",
    "ImageNav",
    "InstanceImageNav",
    "LevelInstanceImageNav",
    "LevelObjectNav",
    "MultiObjectNav",
    "ObjectNav",
    "PointNav",
    "RealisticPointNav",
    "Task",
    "choose_task",
]
