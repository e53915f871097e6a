"""Simulation: advances a batch of environments from one state to the next."""
