"""Noise in environments: every environment has its own, whatever runs beside it, and none where it is off."""

import pytest
import torch

from batchsim import NavVectorEnv

NOISE = {
    "actuation": {"robot": "LoCoBot", "controller": "Proportional", "multiplier": 0.5},
    "rgb": {"model": "gaussian", "intensity": 0.1},
    "depth": "redwood",
}


def run(one_room, num_envs, noise, steps=6):
    env = NavVectorEnv(
        num_envs,
        one_room,
        noise=noise,
        sensors=("rgb", "depth"),
        width=16,
        height=12,
        renderer="raycast",
        device="cpu",
    )
    observation, _ = env.reset(seed=0)
    seen = [{name: observation[name].clone() for name in ("rgb", "depth")}]
    final = None
    for step in range(steps):
        action = torch.tensor([1, 2, 3])[(torch.arange(num_envs) + step) % 3]
        if step == steps - 1:
            action = torch.zeros(num_envs, dtype=torch.int64)
        observation, *_, info = env.step(action)
        seen.append({name: observation[name].clone() for name in ("rgb", "depth")})
        final = {name: info["final_obs"][name].clone() for name in ("rgb", "depth")}
    position = info["position"].clone()
    env.close()
    return seen, final, position


def test_noise_of_an_environment_does_not_depend_on_the_others(one_room):
    few, few_final, few_position = run(one_room, 2, NOISE)
    many, many_final, many_position = run(one_room, 5, NOISE)
    for one, other in zip([*few, few_final], [*many, many_final], strict=True):
        for name in one:
            assert torch.equal(one[name], other[name][:2])
    assert torch.equal(few_position, many_position[:2])


def test_noise_changes_images_and_motion(one_room):
    clean, clean_final, clean_position = run(one_room, 2, None)
    noisy, noisy_final, noisy_position = run(one_room, 2, NOISE)
    difference = noisy[0]["rgb"].float() - clean[0]["rgb"].float()
    assert float(difference.std()) == pytest.approx(25.5, rel=0.25)
    assert not torch.equal(noisy[0]["depth"], clean[0]["depth"])
    assert ((noisy[0]["depth"] >= 0) & (noisy[0]["depth"] <= 1)).all()
    assert not torch.equal(noisy_final["rgb"], clean_final["rgb"])
    assert 0.001 < float((noisy_position - clean_position).norm(dim=-1).min()) < 1.5
    # The same state seen again has the same noise; the next step has other.
    again, _, _ = run(one_room, 2, NOISE, steps=1)
    assert torch.equal(again[0]["rgb"], noisy[0]["rgb"])


def test_looking_up_and_down_tilts_the_view(one_room):
    env = NavVectorEnv(
        1, one_room, task="explore", sensors=("depth",), width=9, height=9, renderer="raycast", device="cpu"
    )
    env.reset(seed=0)
    state = env.simulator.state
    state.position, state.heading = torch.zeros(1, 3), torch.zeros(1)
    state.pitch = torch.tensor([0.5])
    env.simulator.transition._tilts = True
    up = env.observe()["depth"].clone()
    state.pitch = torch.tensor([-0.5])
    down = env.observe()["depth"].clone()
    # The ceiling is 2.74 m high and the eye at 1.25 m: the floor is nearer than the ceiling.
    assert float(down[0, -1].mean()) < float(up[0, 0].mean())
    expected = 1.25 / torch.sin(torch.tensor(0.5))
    assert float(down[0, 4, 4]) * 10 == pytest.approx(float(expected), rel=0.02)
    env.close()
