"""Evaluation: agents run a fixed set of episodes, and what happened is recorded and summarised."""
