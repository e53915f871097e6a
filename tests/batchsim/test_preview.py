import numpy as np
import pytest

from batchsim import OptionError
from batchsim.preview import choose_views, preview


def free_way(scene, position, heading):
    """Metres one can walk straight on, at most 12, tried point by point."""
    forward = np.array([-np.sin(heading), 0, -np.cos(heading)])
    free = scene.is_navigable(position + np.arange(0, 12, 0.05)[:, None] * forward)
    return 0.05 * (free.argmin() if not free.all() else len(free))


def test_views_stand_in_different_rooms_and_look_far(four_rooms):
    position, heading = choose_views(four_rooms, 4)
    assert four_rooms.is_navigable(position).all()
    # The rooms are the quarters of the plan.
    quarters = {(x > 0, z > 0) for x, _, z in position.tolist()}
    assert len(quarters) >= 3
    ways = [free_way(four_rooms, *pose) for pose in zip(position, heading, strict=True)]
    # Rooms are 6 m wide.
    assert np.mean(ways) > 4


def test_views_repeat(four_rooms):
    first, second = (choose_views(four_rooms, 3) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_both_storeys_of_a_home_are_looked_at(homes):
    drawn = preview(homes[1], 5, 80, 60)
    assert len(drawn.map.levels) == 2
    assert set(drawn.map.storey(drawn.position[:, 1]).tolist()) == {0, 1}


def test_the_image_holds_the_map_and_the_views(one_room):
    drawn = preview(one_room, 2, 80, 60)
    height, width, _ = drawn.image.shape
    # Two views side by side, 12 pixels around and between; the square map is as high as they are.
    assert (height, width) == (60 + 2 * 12, 60 + 80 + 80 + 4 * 12)
    views = drawn.image[12:72, -172:-12]
    # The room is textured all around: the views are not white and not of one colour.
    assert views.std() > 5
    assert (drawn.image[:12] == 255).all()


def test_no_view_is_refused(one_room):
    with pytest.raises(OptionError, match="num_views=0"):
        preview(one_room, 0)
