"""A daemon thread that steps to the end does not crash the program when it exits."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
import torch
import batchsim

options = {"blind": {"sensors": ()}, "raycast": {"renderer": "raycast", "width": 16, "height": 16}}[sys.argv[1]]
env = batchsim.NavVectorEnv(8, "one-room", device="cpu", **options)
env.reset(seed=0)
actions, stepped = torch.ones(8, dtype=torch.int64), threading.Event()

def step_forever():
    while True:
        env.step(actions)
        stepped.set()

threading.Thread(target=step_forever, daemon=True).start()
stepped.wait()
"""

LATE = """
import threading, time
import torch
import batchsim

env = batchsim.NavVectorEnv(8, "one-room", sensors=(), device="cpu")
env.reset(seed=0)

def finish():
    time.sleep(0.5)  # the main thread has ended by then
    for _ in range(3):
        env.step(torch.ones(8, dtype=torch.int64))
    print("stepped")

threading.Thread(target=finish).start()
"""


@pytest.mark.parametrize("sensors", ["blind", "raycast"])
def test_a_daemon_thread_that_steps_forever(sensors, cache_of_this_session):
    done = subprocess.run([sys.executable, "-c", PROGRAM, sensors], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_other_threads_finish_their_steps(cache_of_this_session):
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "stepped\n", "")
