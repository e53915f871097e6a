"""How hard the generated homes are to find one's way in: what the set for validation promises."""

import numpy as np
import pytest

from batchsim.scenes import load_all, sample_episodes


@pytest.mark.slow
def test_ways_in_homes_wind_and_lead_everywhere():
    homes = load_all("homes:val?count=20", progress=False)
    episodes = sample_episodes(homes, 400, seed=0)
    straight = np.linalg.norm(episodes.goal - episodes.start_position, axis=1)
    assert (episodes.geodesic_distance / straight).mean() >= 1.3
    assert np.abs(episodes.goal[:, 1] - episodes.start_position[:, 1]).max() <= 0.5
    for home in homes:
        assert np.isfinite(home.goal_distances).all(), home.name
        assert len(home.walkable.island_areas) == 1, home.name
