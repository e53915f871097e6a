"""Procedural homes: floor plans, doorways, furniture and materials from a seed."""

from batchsim.scenes.homes.floor_plan.plan import Room
from batchsim.scenes.homes.home import Home, generate_home

__all__ = ["Home", "Room", "generate_home"]
