"""The autoreset modes against environments that are reset by hand; see test_sync_vector_env.py for Gymnasium's own."""

import numpy as np
import torch

from batchsim import NavEnv
from tests.helpers.infos import measures

SMALL = {"width": 16, "height": 16, "renderer": "raster", "max_episode_steps": 12}


def random_actions(steps, num_envs):
    return np.random.default_rng(0).choice(4, (steps, num_envs), p=[0.06, 0.5, 0.22, 0.22])


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in b)


def close(a, b):
    """Numbers equal but for the last digits; images of two renderers may differ along edges."""
    goals = np.allclose(a["pointgoal_with_gps_compass"], b["pointgoal_with_gps_compass"], atol=1e-5)
    return goals and (np.abs(a["depth"] - b["depth"]) < 1e-3).mean() > 0.98


def row(observation, i):
    return {name: value[i] for name, value in observation.items()}


def test_same_step_against_resets_by_hand(homes, make_env):
    same_step = make_env(6, homes, **SMALL)
    by_hand = make_env(6, homes, autoreset_mode="DISABLED", **SMALL)
    assert equal(same_step.reset(seed=3)[0], by_hand.reset(seed=3)[0])
    ended = 0
    for action in random_actions(80, 6):
        observation, *results, info = same_step.step(action)
        last, *expected, hand_info = by_hand.step(action)
        assert all(torch.equal(a, b) for a, b in zip(results, expected, strict=True))
        assert equal(measures(info), measures(hand_info))
        assert torch.equal(info["position"], hand_info["position"])
        done = expected[1] | expected[2]
        assert torch.equal(info["_final_obs"], done)
        assert torch.equal(info["_final_info"], done)
        assert torch.equal(info["_spl"], ~done)
        assert hand_info["_spl"].all()
        for name, value in last.items():
            final, exact = info["final_obs"][name][done], value[done]
            assert torch.allclose(final, exact, atol=1e-3) or ((final - exact).abs() < 1e-3).float().mean() > 0.98
        assert torch.equal(info["final_info"]["_spl"], done)
        if done.any():
            ended += int(done.sum())
            last, _ = by_hand.reset(options={"reset_mask": done})
        assert close({k: v.numpy() for k, v in observation.items()}, {k: v.numpy() for k, v in last.items()})
    assert ended > 40


def test_a_reset_in_between_is_not_repeated_by_next_step(one_room, make_env):
    env = make_env(2, one_room, sensors=(), autoreset_mode="NextStep")
    env.reset(seed=0)
    _, _, terminated, _, _ = env.step([0, 0])
    assert terminated.all()
    env.reset(options={"reset_mask": np.array([True, False])})
    *_, info = env.step([1, 1])
    # The first acts, since it was reset by hand; the second only starts its next episode.
    assert info["episode_length"].tolist() == [1, 0]
    assert info["_episode_length"].tolist() == [True, False]


def test_cast_images_of_a_slot_equal_the_single_environments_bit_for_bit(homes, make_env, gl_watched):
    options = SMALL | {"renderer": "raycast"}
    env, single = make_env(3, homes, output="numpy", **options), NavEnv(homes, **options)
    observation, _ = env.reset(seed=20)
    alone, _ = single.reset(seed=22)
    for action in random_actions(50, 3):
        assert all(np.array_equal(row(observation, 2)[name], alone[name]) for name in alone)
        observation, *_ = env.step(action)
        alone, _, terminated, truncated, _ = single.step(action[2])
        if terminated or truncated:
            alone, _ = single.reset()
    single.close()
