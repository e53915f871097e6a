"""Plots of the report, as SVG: charts, learning curves, distances."""
