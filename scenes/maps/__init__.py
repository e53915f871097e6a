"""Top-down maps of scenes."""
