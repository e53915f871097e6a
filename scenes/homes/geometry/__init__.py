"""Geometry for homes: polygons, solids, curved surfaces."""
