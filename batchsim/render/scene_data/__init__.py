"""Geometry and textures of scenes in GPU memory."""
