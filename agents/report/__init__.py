"""The evaluation report: one self-contained HTML file with results, learning curves and episodes to play."""

from batchsim.agents.report.evaluation_report import DEFAULT_VIDEOS, write_evaluation
from batchsim.agents.report.gallery.episode_choice import choose_replays
from batchsim.agents.report.gallery.fog import AgentView
from batchsim.agents.report.page import write_report
from batchsim.agents.report.reported_run import ReportedRun

__all__ = ["DEFAULT_VIDEOS", "AgentView", "ReportedRun", "choose_replays", "write_evaluation", "write_report"]
