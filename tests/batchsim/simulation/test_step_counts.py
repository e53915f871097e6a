"""What a step asks of torch and OpenGL must not grow: not with the number of environments, and not with time.

The limits are what a step took when they were last set, and a little more. A change that exceeds one has made every
step slower, whatever a clock on a busy machine says; raise the limit only with a measurement that says why it pays.
"""

from contextlib import closing

import pytest
import torch

from batchsim import NavVectorEnv
from batchsim.cuda_graph import sync_debug
from batchsim.tasks.pointnav import FORWARD, STOP
from tests.helpers.step_counts import counted

LAUNCHES, LAUNCHES_WITH_NEW_EPISODES, GL_CALLS = 500, 760, 40


@pytest.fixture
def count_step(one_room, monkeypatch):
    """Counts what one step of `num_envs` environments asks for, the first steps left out."""

    def count(num_envs, action=FORWARD, **options):
        options = {"sensors": ("depth",), "width": 16, "height": 8, "device": "cpu", "renderer": "raycast"} | options
        env = NavVectorEnv(num_envs, one_room, **options)
        env.reset(seed=0)
        walk, act = (torch.full((num_envs,), a) for a in (FORWARD, action))
        for actions in (walk, act, walk):
            env.step(actions)
        with counted(monkeypatch) as counts:
            env.step(act)
        env.close()
        return counts

    return count


@pytest.mark.parametrize("sensors", [("depth",), ("depth", "rgb", "semantic")])
@pytest.mark.parametrize("renderer", ["raycast", "raster"])
def test_counts_do_not_depend_on_the_number_of_environments(count_step, renderer, sensors):
    few, many = (count_step(n, renderer=renderer, sensors=sensors) for n in (2, 200))
    assert few.ops == many.ops
    assert few.gl == many.gl
    assert 0 < sum(many.gl.values()) <= GL_CALLS
    assert 0 < many.launches <= LAUNCHES


def test_new_episodes_cost_no_more_for_being_many(count_step):
    few, many = (count_step(n, STOP) for n in (2, 200))
    assert few.ops == many.ops
    assert few.gl == many.gl
    assert many.launches <= LAUNCHES_WITH_NEW_EPISODES


@pytest.mark.parametrize("renderer", ["raycast", "raster"])
def test_bytes_are_those_of_the_images_and_the_views(count_step, renderer):
    """A view is 32 bytes, of depth a pixel has 4 and of rgb 3; a list of patches begins with 16."""
    one, two = (count_step(n, renderer=renderer, sensors=("depth", "rgb")).bytes_moved for n in (100, 200))
    images = 16 * 8 * (4 + 3)
    # The triangles that pixels see, and the depth, are copied from the framebuffer to where they are converted.
    seen = 16 * 8 * (4 + 4) if renderer == "raster" else 0
    assert 100 * images < two - one <= 100 * (images + seen + 32)
    assert 0 <= 2 * one - two <= 16


def test_the_host_waits_as_often_as_it_must(count_step):
    """On the CPU waiting is free, and saves drawing last views: who ended is asked, and whether the actions are right.
    The GPU's test, which allows no wait at all, is beside."""
    assert 0 < sum(count_step(50).waits.values()) <= 4
    assert 0 < sum(count_step(50, sensors=()).waits.values()) <= 4


@pytest.mark.gpu
@pytest.mark.parametrize("action", [FORWARD, STOP])
def test_a_gpu_is_never_waited_for(one_room, action):
    env = NavVectorEnv(64, one_room, sensors=("depth", "rgb"), width=16, height=8, device="cuda")
    env.reset(seed=0)
    actions = torch.full((64,), action, device="cuda")
    for _ in range(3):
        env.step(actions)
    torch.cuda.synchronize()
    with closing(env), sync_debug("error"):
        env.step(actions)
