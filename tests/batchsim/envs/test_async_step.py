"""A step in two halves gives what a whole one gives; what must not be called in between says so."""

import pytest
import torch
from gymnasium.error import AlreadyPendingCallError, NoAsyncCallError

from batchsim import RenderError

SMALL = {"width": 16, "height": 12, "device": "cpu", "max_episode_steps": 9}


def random_actions(steps, num_envs):
    generator = torch.Generator().manual_seed(0)
    return torch.multinomial(torch.tensor([0.1, 0.5, 0.2, 0.2]), steps * num_envs, True, generator=generator).reshape(
        steps, num_envs
    )


def flat(value):
    if isinstance(value, dict):
        return [item for key in value for item in flat(value[key])]
    if isinstance(value, tuple):
        return [item for part in value for item in flat(part)]
    return [value.clone()]


@pytest.mark.parametrize("mode", ["SAME_STEP", "NEXT_STEP", "DISABLED"])
@pytest.mark.parametrize(("renderer", "sensors"), [("raycast", ("depth", "rgb")), ("raster", ("depth",))])
def test_two_batches_in_turns_give_what_each_gives_alone(homes, make_env, mode, renderer, sensors):
    """While one batch is being drawn the other is submitted and fetched, as double buffering does."""
    options = {"autoreset_mode": mode, "renderer": renderer, "sensors": sensors, **SMALL}
    envs = [make_env(5, homes, **options) for _ in range(4)]
    for env, seed in zip(envs, (3, 4, 3, 4), strict=True):
        env.reset(seed=seed)
    first, second, *alone = envs
    first.step_async(torch.ones(5, dtype=torch.int64))
    expected = alone[0].step(torch.ones(5, dtype=torch.int64))
    ended = 0
    for action in random_actions(25, 5):
        second.step_async(action)
        assert all(map(torch.equal, flat(first.step_wait()), flat(expected)))
        first.step_async(action)
        assert all(map(torch.equal, flat(second.step_wait()), flat(alone[1].step(action))))
        expected = alone[0].step(action)
        ended += int((expected[2] | expected[3]).sum())
    assert ended > 5


@pytest.mark.parametrize(
    "call",
    [
        lambda env: env.step_async([1, 1, 1]),
        lambda env: env.step([1, 1, 1]),
        lambda env: env.reset(seed=0),
        lambda env: env.observe(),
        lambda env: env.state_dict(),
        lambda env: env.load_state_dict(env.before),
        lambda env: env.render(),
    ],
)
def test_nothing_else_may_be_asked_of_a_step_under_way(one_room, make_env, call):
    env = make_env(3, one_room, render_mode="rgb_array", **SMALL)
    env.reset(seed=0)
    env.before = env.state_dict()
    env.step_async([1, 2, 3])
    with pytest.raises(AlreadyPendingCallError, match=r"step_wait\(\) first"):
        call(env)
    alone = make_env(3, one_room, **SMALL)
    alone.reset(seed=0)
    assert all(map(torch.equal, flat(env.step_wait()), flat(alone.step([1, 2, 3]))))


def test_waiting_for_nothing_says_so(one_room, make_env):
    env = make_env(3, one_room, **SMALL)
    env.reset(seed=0)
    with pytest.raises(NoAsyncCallError, match=r"Call step_async\(\) before"):
        env.step_wait()
    with pytest.raises(RenderError, match=r"without render_async\(\)"):
        env.simulator.renderer.render_wait()


def test_a_step_under_way_can_be_closed(one_room, make_env):
    env = make_env(3, one_room, **SMALL)
    env.reset(seed=0)
    env.step_async([1, 1, 1])
    env.close()


@pytest.mark.parametrize("backend", ["raycast", "raster"])
def test_images_that_nobody_fetched_are_drawn_over(one_room, make_renderer, backend):
    renderer = make_renderer([one_room], 4, 16, 12, sensors=("depth", "rgb"), backend=backend)
    poses = torch.tensor([[float(x), 1.25, 0, 0, 0, 0, 1] for x in range(4)])
    scene = torch.zeros(4, dtype=torch.int64)
    expected = {name: image.clone() for name, image in renderer.render(poses[:2], scene[:2]).items()}
    renderer.render_async(poses.flip(0), scene)
    renderer.render_async(poses[:2], scene[:2])
    images = renderer.render_wait()
    assert all(torch.equal(images[name], expected[name]) for name in expected)


@pytest.mark.gpu
@pytest.mark.parametrize("renderer", ["raycast", "raster"])
def test_gpu_two_batches_in_turns_give_what_each_gives_alone(homes, make_env, renderer):
    """Other work on torch's stream in between must not reach the images, nor miss them."""
    options = {"renderer": renderer, "sensors": ("depth", "rgb"), "width": 32, "height": 32, "device": "cuda"}
    both, alone = (make_env(32, homes, **options) for _ in range(2))
    for env in (both, alone):
        env.reset(seed=3)
    load = torch.randn(2048, 2048, device="cuda")
    for action in random_actions(30, 32).cuda():
        both.step_async(action)
        load = (load @ load).tanh()
        assert all(map(torch.equal, flat(both.step_wait()), flat(alone.step(action))))
