"""Agents that learn in batches: policies, PPO, training, evaluation and reports."""
