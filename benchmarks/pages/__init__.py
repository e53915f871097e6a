"""Measures the figures of `docs/benchmarks.md` and writes the page."""
