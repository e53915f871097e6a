"""Geometric building blocks of homes: polygons, solids, curved surfaces."""
