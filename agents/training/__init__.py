"""One training run: built from a config, run to its end, and evaluated periodically."""
