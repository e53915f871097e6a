"""One simulation step for N environments."""
