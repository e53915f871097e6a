"""Keeps torch's threads from standing in the way of a renderer that runs on the same cores.

After every parallel operation GNU OpenMP's threads spin for some milliseconds, waiting for the next. Meanwhile llvmpipe
wants the cores: measured on 2 of them, a step of 128 environments with policy took 200 us an environment, and 140 with
the spinning cut to a fifth (far shorter spinning makes torch itself slower again). OpenMP reads its settings when torch
is loaded, so this does nothing in a program that imported torch first; such a program can set the variable itself.
"""

from __future__ import annotations

import os

_SPIN_COUNT = "60000"  # GNU OpenMP's own default is 300000


def limit_spinning() -> None:
    """Set `GOMP_SPINCOUNT`, unless the environment says something about waiting already."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)


limit_spinning()
