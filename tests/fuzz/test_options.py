"""Odd values of the keywords of `NavVectorEnv`."""

import inspect

import numpy as np
from hypothesis import strategies as st

from batchsim import NavVectorEnv
from tests.fuzz.mutations import ODD_VALUES
from tests.fuzz.outcomes import examples, fuzz, own_error

SMALL = {"num_envs": 2, "sensors": (), "width": 8, "height": 8, "renderer": "raycast", "device": "cpu"}
ODD = (*ODD_VALUES, (), (0, 1), b"x", np.int64(2), np.float32(0.3), np.array([1.0, 2.0]), np.nan, int, object())
NAMES = [name for name in inspect.signature(NavVectorEnv).parameters if name not in ("scenes", "options", "self")]


@examples(20, 600)
def test_keywords(one_room, count):
    values = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(ODD), min_size=1, max_size=3)

    def check(options):
        own_error(lambda: made_and_reset(one_room, SMALL | options))

    fuzz(count, values, check)


def made_and_reset(scene, options):
    env = NavVectorEnv(scenes=scene, **options)
    try:
        env.reset(seed=0)
    finally:
        env.close()
