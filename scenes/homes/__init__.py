"""Procedural homes: floor plans, doorways, furniture and materials from a seed."""

from scenes.homes.home import Home, generate_home
from scenes.homes.plan import Room

__all__ = ["Home", "Room", "generate_home"]
