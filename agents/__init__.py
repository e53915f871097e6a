"""Agents that learn in batches: policies, PPO, training, evaluation and reports."""

import batchsim  # noqa: F401  (before torch: see batchsim.cpu_threads)
