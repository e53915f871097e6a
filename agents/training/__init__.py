"""One training run: build it from a config, run it, evaluate it now and then."""
