"""The evaluation report: one HTML file with figures, learning curves and episodes to play, needing nothing else."""

from agents.report.choice import choose_films
from agents.report.fog import Sight
from agents.report.page import write_report
from agents.report.run import ReportedRun

__all__ = ["ReportedRun", "Sight", "choose_films", "write_report"]
