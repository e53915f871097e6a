"""Pruned and 6-bit neural gradients train a small scene to the same return as plain ones."""

import numpy as np
import pytest

from tests.helpers.final_returns import SEEDS, final_return, noise


@pytest.mark.slow
def test_coded_gradients_learn_as_well_as_plain_ones(tmp_path):
    """85% of the neural gradients pruned, and floats of 6 bits, over three seeds each."""

    def trained(coding, seed):
        options = {"num-envs": 128, "neural-gradients": coding, "seed": seed}
        return final_return(tmp_path / f"{coding}-{seed}", options)

    found = {coding: np.array([trained(coding, seed) for seed in SEEDS]) for coding in ("full", "pruned", "fp6")}
    print({coding: returns.round(3).tolist() for coding, returns in found.items()})
    plain = found.pop("full")
    assert plain.min() > 2
    for coding, returns in found.items():
        assert abs(plain.mean() - returns.mean()) < noise(plain, returns), coding
