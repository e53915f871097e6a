"""`docs/benchmarks.md`: measure its figures and write the page."""
