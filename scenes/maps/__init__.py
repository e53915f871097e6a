"""Top-down maps of scenes, and the grid that measures coverage."""
