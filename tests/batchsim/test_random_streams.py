"""The environments' random streams against SplitMix64 in numpy's unsigned integers."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from batchsim.random_streams import mix, uniform

GAMMA = np.uint64(0x9E3779B97F4A7C15)
INT64 = st.integers(-(2**63), 2**63 - 1)


def split_mix(value):
    """SplitMix64's finaliser as published, on uint64."""
    with np.errstate(over="ignore"):
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))


def expected_uniform(seed, counter, draws):
    seed, counter = np.uint64(seed % 2**64), np.uint64((counter + 1) % 2**64)
    with np.errstate(over="ignore"):
        key = split_mix(split_mix(np.atleast_1d(seed + GAMMA)) + counter * GAMMA)
        words = split_mix(key + np.arange(1, draws + 1, dtype=np.uint64) * GAMMA)
    return (words >> np.uint64(40)).astype(np.float64) / 2**24


def test_published_first_numbers():
    # The first outputs of SplitMix64 seeded with 1234567, as in the reference implementation's own test.
    state = torch.tensor(1234567) + torch.arange(1, 6) * int(np.int64(np.uint64(GAMMA).view(np.int64)))
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [int(v) % 2**64 for v in mix(state)] == published


@given(st.lists(INT64, min_size=1, max_size=20))
def test_mix_is_split_mix_64(values):
    ours = mix(torch.tensor(values, dtype=torch.int64)).numpy().view(np.uint64)
    assert (ours == split_mix(np.array(values, np.int64).view(np.uint64))).all()


@given(INT64, st.integers(0, 2**40), st.integers(1, 9))
def test_uniform_is_a_function_of_seed_and_counter(seed, counter, draws):
    ours = uniform(torch.tensor([seed]), torch.tensor([counter]), draws)
    assert ours.dtype == torch.float32
    assert (ours[0].double().numpy() == expected_uniform(seed, counter, draws)).all()


def test_streams_do_not_depend_on_how_many_run_beside_them():
    seed, counter = torch.arange(1000) * 7 - 300, torch.arange(1000) % 13
    together = uniform(seed, counter, 5)
    assert torch.equal(uniform(seed[17:18], counter[17:18], 5), together[17:18])
    assert torch.equal(uniform(seed.flip(0), counter.flip(0), 5), together.flip(0))
    assert torch.equal(uniform(seed, counter, 3), together[:, :3])


def test_draws_are_uniform_over_seeds_counters_and_places():
    many = torch.arange(20_000)
    zero = torch.zeros_like(many)
    samples = {
        "neighbouring seeds": uniform(many, zero, 1)[:, 0],
        "neighbouring episodes": uniform(zero, many, 1)[:, 0],
        "places of one draw": uniform(zero[:1], zero[:1], 20_000)[0],
    }
    for name, sample in samples.items():
        assert sample.min() >= 0, name
        assert sample.max() < 1, name
        counts = np.histogram(sample.numpy(), 64, (0, 1))[0]
        assert chisquare(counts).pvalue > 1e-4, name


def test_neighbouring_streams_are_uncorrelated():
    draws = uniform(torch.arange(300), torch.zeros(300, dtype=torch.int64), 400).numpy()
    off_diagonal = np.corrcoef(draws)[~np.eye(300, dtype=bool)]
    # 1 / sqrt(400) = 0.05 is one deviation; of 44,850 pairs the largest is expected near 4.3 of them.
    assert np.abs(off_diagonal).max() < 0.3
    assert abs(off_diagonal.std() - 0.05) < 0.003
