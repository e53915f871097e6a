import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import resource, torch
from batchsim.agents.ppo.malloc_tuning import keep_freed_memory
if {keep}:
    assert keep_freed_memory()
def touch():
    torch.ones(8 << 20)  # 32 MiB, freed at once
for _ in range(20):
    touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _page_faults(keep: bool) -> int:
    program = _PROGRAM.format(keep=keep)
    return int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_memory_that_was_freed_is_not_asked_of_the_system_again() -> None:
    pages = (32 << 20) // 4096
    assert _page_faults(keep=False) > 5 * pages  # by default all pages are mapped again
    assert _page_faults(keep=True) < pages // 10
