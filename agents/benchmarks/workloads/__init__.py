"""What `batchsim-bench` measures: rendering, stepping, training, and the limits of the machine."""
