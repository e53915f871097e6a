"""A pretend NVIDIA GPU for machines without one.

`plugin` makes a CPU build of torch believe in one CUDA device whose tensors keep their numbers on the host. It is as
strict as CUDA where it matters: mixing devices raises, what makes the host wait is counted or raises, copies to the
host that nothing waits for arrive late, graphs are recorded and replayed, and torch must not touch what OpenGL owns.
It does not show missing barriers, a driver's speed, or real concurrency.
"""
