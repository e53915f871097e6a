"""Settings of the threads that torch and the CPU renderer (Mesa's llvmpipe) start.

Number of threads: both libraries start one thread per core of the CPU affinity, but neither knows the CPU quotas that
containers and job schedulers set. More threads than the quota allows spend it on waiting for each other. So where a
quota allows fewer cores than the affinity does, `OMP_NUM_THREADS` and `LP_NUM_THREADS` are set to that number, unless
the user has set them.

Spinning: after every parallel operation GNU OpenMP's threads spin for some milliseconds and wait for the next one.
Meanwhile llvmpipe needs the cores: measured on two of them, a step of 128 environments with a policy took 200 us per
environment, and 140 us with the spinning reduced to a fifth (much shorter spinning makes torch itself slower).

The libraries read these variables when they are loaded, so batchsim sets them when it is imported. In a program that
imports torch first only the number of torch's threads can still be changed; it can set the variables itself.
"""

from __future__ import annotations

import os
import sys

from batchsim.scenes.startup.available_cores import affinity_cores, available_cores

_SPIN_COUNT = "60000"  # GNU OpenMP's own default is 300000


def limit_spinning() -> None:
    """Sets `GOMP_SPINCOUNT`, unless the environment already configures the waiting."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)


def limit_threads() -> None:
    """Sets the number of threads to that of the available cores if a CPU quota limits them."""
    cores = available_cores()
    if cores >= affinity_cores():
        return
    os.environ.setdefault("LP_NUM_THREADS", str(cores))
    if "OMP_NUM_THREADS" in os.environ:
        return
    os.environ["OMP_NUM_THREADS"] = str(cores)
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() > cores:
        torch.set_num_threads(cores)


limit_spinning()
limit_threads()
