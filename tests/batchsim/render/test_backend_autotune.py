"""How backends are timed, with a clock that only drawing moves."""

from types import SimpleNamespace

import numpy as np
import pytest

from batchsim.render import backend_autotune as choice


class Clock:
    """Time that passes only while something is drawn."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(choice.time, "perf_counter", lambda: self.now)

    def draw(self, per_view, per_call=0.0, hiccups=()):
        """A backend that takes so many seconds, and 50 ms more in calls whose numbers are in `hiccups`."""
        calls = []

        def draw(count):
            calls.append(count)
            self.now += per_call + per_view * count + 0.05 * (len(calls) in hiccups)

        draw.calls = calls
        return draw


def test_the_cost_of_a_view_is_found_and_the_whole_batch_is_drawn_where_there_is_time(monkeypatch):
    clock = Clock(monkeypatch)
    draws = {"raycast": clock.draw(1e-4), "raster": clock.draw(8e-5)}
    seconds = choice.seconds_per_view(draws, 500)
    assert seconds == pytest.approx({"raycast": 1e-4, "raster": 8e-5})
    assert draws["raster"].calls[-1] == draws["raycast"].calls[-1] == 500
    assert clock.now < 1


def test_calls_that_cost_much_are_told_from_views_that_do(monkeypatch):
    # With 16 views the first looks slower; with all of them it is faster.
    clock = Clock(monkeypatch)
    draws = {"raycast": clock.draw(2e-5, per_call=5e-3), "raster": clock.draw(6e-5)}
    seconds = choice.seconds_per_view(draws, 1000)
    assert min(seconds, key=seconds.get) == "raycast"


def test_a_hiccup_of_the_machine_does_not_count(monkeypatch):
    clock = Clock(monkeypatch)
    draws = {"raycast": clock.draw(1e-4, hiccups=(2, 4, 6)), "raster": clock.draw(1.1e-4)}
    seconds = choice.seconds_per_view(draws, 200)
    assert min(seconds, key=seconds.get) == "raycast"


def test_slow_backends_are_told_apart_in_a_second(monkeypatch):
    clock = Clock(monkeypatch)
    seconds = choice.seconds_per_view({"raycast": clock.draw(5e-4), "raster": clock.draw(5e-3)}, 2000)
    assert min(seconds, key=seconds.get) == "raycast"
    assert clock.now < 1


def test_a_few_scenes_stand_for_many():
    many = [SimpleNamespace(triangles=np.zeros(size)) for size in np.random.default_rng(0).permutation(1000) + 1]
    sizes = [len(scene.triangles) for scene in choice.typical_scenes(many)]
    assert len(sizes) == 6
    assert np.mean(sizes) == pytest.approx(500, rel=0.02)
    large = [SimpleNamespace(triangles=np.zeros(150_000))] * 8
    assert len(choice.typical_scenes(large)) == 2
    assert len(choice.typical_scenes(large[:1])) == 1
    assert len(choice.typical_scenes([SimpleNamespace(triangles=np.zeros(10**6))] * 3)) == 1
