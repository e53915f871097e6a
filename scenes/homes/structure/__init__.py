"""Walls, floors, ceilings and trim of a home, as triangles."""
