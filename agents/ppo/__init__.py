"""Proximal policy optimisation for large batches: experience, update, training loop."""
