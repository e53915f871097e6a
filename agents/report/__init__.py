"""The evaluation report: one HTML file with figures, learning curves and episodes to play, needing nothing else."""

from batchsim.agents.report.gallery.episode_choice import choose_replays
from batchsim.agents.report.gallery.fog import AgentView
from batchsim.agents.report.page import write_report
from batchsim.agents.report.run import ReportedRun

__all__ = ["AgentView", "ReportedRun", "choose_replays", "write_report"]
