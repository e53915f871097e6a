"""Training in several processes under torchrun."""
