"""The report's plots: line charts of training curves, and means with intervals by distance."""
