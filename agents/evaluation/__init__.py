"""Evaluation: run every episode exactly once, record it, and compute measures with intervals."""
