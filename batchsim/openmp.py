"""Stops torch's threads from competing with a renderer that runs on the same cores.

After every parallel operation GNU OpenMP's threads spin for some milliseconds and wait for the next one. Meanwhile
llvmpipe needs the cores: measured on two of them, a step of 128 environments with a policy took 200 us per environment,
and 140 us with the spinning reduced to a fifth (much shorter spinning makes torch itself slower). OpenMP reads its
settings when torch is loaded, so this has no effect in a program that imports torch first; such a program can set the
variable itself.
"""

from __future__ import annotations

import os

_SPIN_COUNT = "60000"  # GNU OpenMP's own default is 300000


def limit_spinning() -> None:
    """Sets `GOMP_SPINCOUNT`, unless the environment already configures the waiting."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)


limit_spinning()
