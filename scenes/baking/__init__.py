"""Turns a mesh into a scene ready for simulation, and stores it in a file.

`bake` computes a `Scene` from a mesh, `bvh` its bounding volume hierarchy for ray casting; `scene_file` reads and
writes the file format, and `cache` keeps such files so that scenes are baked only once.
"""
