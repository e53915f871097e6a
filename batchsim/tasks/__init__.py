"""Tasks: what an episode is about, what is rewarded, and how it is measured."""

from batchsim.tasks.pointnav import PointNav

__all__ = ["PointNav"]
