import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["batchsim", "batchsim.agents.train", "batchsim.agents.eval"])
def test_torch_is_loaded_after_its_threads_are_told_to_wait_less(module: str) -> None:
    code = f"import os, sys; import {module}; print(os.environ['GOMP_SPINCOUNT'])"
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "60000"


def test_what_the_user_says_stays() -> None:
    code = "import os, batchsim; print(os.environ.get('GOMP_SPINCOUNT'))"
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"} | {"OMP_WAIT_POLICY": "active"}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "None"


def test_gymnasium_does_not_load_torch_first() -> None:
    code = "import gymnasium, sys; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
