"""Imitation: learning from the actions of an expert that knows the map."""
