"""Runs GPU tests without a GPU, on the pretend one (`tests/helpers/pretend_gpu`)."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from tests.helpers.paths import ROOT

pytestmark = [
    pytest.mark.skipif(torch.version.cuda is not None, reason="needs a CPU build of torch"),
    pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="needs a C++ compiler"),
]

QUICK = [
    "tests/batchsim/render/test_scene_slots.py",
    "tests/batchsim/simulation/test_cuda_paths.py::test_gpu_images_lie_on_the_gpu_and_agree_with_the_other_backend",
    "tests/batchsim/simulation/test_cuda_paths.py::test_gpu_steps_without_waiting",
    "tests/batchsim/simulation/test_cuda_paths.py::test_gpu_is_what_auto_takes",
    "tests/batchsim/simulation/test_step_counts.py",
    "tests/batchsim/simulation/test_graphed_transition.py::test_gpu_tasks[SAME_STEP-pointnav]",
    "tests/batchsim/streaming/test_scene_streamer.py",
    "tests/batchsim/envs/test_fork.py",
    "tests/batchsim/test_cuda_graph.py",
    "tests/agents/ppo/test_trainer.py",
    "tests/agents/ppo/test_double_buffering.py::test_gpu_halves_are_collected_without_waiting",
    "tests/agents/ppo/test_host_waits.py",
]
EVERYTHING = ["tests/agents/ppo", "tests/agents/networks", "tests/batchsim"]
# Of what a real driver reports, and of the order in which a real GPU works.
NOT_PRETENDED = "not draws_on_every_device and not uuid_reads and not order_holds and not compiled"


def run_gpu_tests(chosen, seconds):
    plugin = ["-p", "tests.helpers.pretend_gpu.plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugin, "-m", "gpu", "-k", NOT_PRETENDED, "-rs", *chosen]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    assert "SKIPPED" not in result.stdout
    return result.stdout


def test_gpu_tests_pass_on_a_pretend_gpu():
    run_gpu_tests(QUICK, 600)


@pytest.mark.slow
def test_all_gpu_tests_pass_on_a_pretend_gpu():
    run_gpu_tests(EVERYTHING, 3600)
