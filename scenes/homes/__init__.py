"""Generates homes from seeds: floor plans, doorways, furniture and materials."""

from batchsim.scenes.homes.contents import home_categories
from batchsim.scenes.homes.floor_plan.plan import Room
from batchsim.scenes.homes.home import Home, generate_home

__all__ = ["Home", "Room", "generate_home", "home_categories"]
