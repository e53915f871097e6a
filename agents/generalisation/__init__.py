"""How much worse agents are in homes that they were not trained in, and what they go by."""
