"""The simulated world as batched tensors: agents' state, their motion, and the scenes they move in."""
