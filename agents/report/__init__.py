"""The evaluation report: one HTML file with figures, learning curves and episodes to play, needing nothing else."""

from agents.report.page import write_report

__all__ = ["write_report"]
