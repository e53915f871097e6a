"""Draws many small views of many scenes in one call."""
