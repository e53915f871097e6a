"""Surfaces to a `Mesh`: what is see-through is left out, materials and labels are numbered, units and axes checked."""
