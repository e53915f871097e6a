"""Two ranks reach what one process with the same total batch reaches."""

import numpy as np
import pytest

from tests.helpers.final_returns import SEEDS, final_return, noise

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.mark.slow
def test_two_ranks_learn_as_well_as_one_process(tmp_path):
    """The same total batch, three seeds: the means differ by less than the spread of the seeds explains."""

    def trained(name, launcher, num_envs, seed):
        return final_return(tmp_path / f"{name}-{seed}", {"num-envs": num_envs, "seed": seed}, launcher, timeout=120)

    one = np.array([trained("one", [], 128, seed) for seed in SEEDS])
    two = np.array([trained("two", TORCHRUN, 64, seed) for seed in SEEDS])
    print(f"one process {one.round(3)}, two ranks {two.round(3)}")
    assert one.min() > 2
    assert two.min() > 2
    assert abs(one.mean() - two.mean()) < noise(one, two)
