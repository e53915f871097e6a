"""`make gpu-check`: tests and measurements on an NVIDIA GPU."""
