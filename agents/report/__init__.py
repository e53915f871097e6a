"""The evaluation report: one HTML file with figures, learning curves and episodes to play, needing nothing else."""

from batchsim.agents.report.gallery.episode_choice import choose_films
from batchsim.agents.report.gallery.fog import Sight
from batchsim.agents.report.page import write_report
from batchsim.agents.report.run import ReportedRun

__all__ = ["ReportedRun", "Sight", "choose_films", "write_report"]
