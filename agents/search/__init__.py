"""Monte-Carlo tree search in the simulator: one tree for each environment, all of them grown in one batch."""
