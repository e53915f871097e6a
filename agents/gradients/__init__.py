"""Sparse and small gradients, emulated: stochastic pruning and floats of a few bits."""
