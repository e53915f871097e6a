"""Builds the walls, floors, ceilings and trim of a home from triangles."""
