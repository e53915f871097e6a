from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from batchsim.agents.evaluation.results import MEASURES, EpisodeRecord, Evaluation, bootstrap_interval


def record(scene: str, number: int, **measures: float) -> EpisodeRecord:
    values = {**dict.fromkeys(MEASURES, 0.0), **measures}
    return EpisodeRecord(scene, str(number), 4.0, [1.0, 0.0, 2.0], values, [[0.0, 0.0, 0.0], [0.0, 0.0, -0.25]])


def test_interval_of_two_scenes_by_hand() -> None:
    # Two scenes of means 0 and 1: a draw of two gives 0, 1/2 or 1 with chances 1/4, 1/2, 1/4.
    assert bootstrap_interval(np.array([0.0, 0.0, 1.0, 1.0]), ["a", "a", "b", "b"], 0) == (0.0, 1.0)


def test_interval_of_one_scene_is_that_of_its_episodes() -> None:
    # Four draws of 0 or 1 are all 0 once in sixteen times, more often than 2.5%; and as often all 1.
    assert bootstrap_interval(np.array([0.0, 1.0, 1.0, 0.0]), ["a"] * 4, 0) == (0.0, 1.0)
    assert bootstrap_interval(np.array([0.25]), ["a"], 0) == (0.25, 0.25)


def test_interval_weighs_scenes_by_their_episodes() -> None:
    # Forty scenes of three failures and forty of one success each: scenes count by their size, so the mean is 1/4.
    values = np.repeat([0.0, 1.0], [120, 40])
    clusters = [f"f{i // 3}" for i in range(120)] + [f"s{i}" for i in range(40)]
    low, high = bootstrap_interval(values, clusters, 0)
    # Linearised variance of the ratio of sums: mean of (total - ratio * size)^2 over the scenes / (n * mean size^2).
    spread = np.sqrt(((0 - 0.25 * 3) ** 2 + (1 - 0.25) ** 2) / 2 / (80 * 2**2))
    assert low == pytest.approx(0.25 - 1.96 * spread, abs=0.015)
    assert high == pytest.approx(0.25 + 1.96 * spread, abs=0.015)


def test_interval_agrees_with_the_normal_one_for_independent_episodes() -> None:
    values = np.random.default_rng(3).normal(2.0, 1.5, 400)
    low, high = bootstrap_interval(values, [str(i) for i in range(400)], 0)
    half = 1.96 * values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_interval_covers_the_truth_where_scenes_differ() -> None:
    rng = np.random.default_rng(0)
    scenes = np.repeat(np.arange(40), 5)
    trials, covered, covered_by_episodes = 250, 0, 0
    for trial in range(trials):
        chance = rng.beta(2, 1, 40)[scenes]  # a scene's own difficulty; its mean is 2/3
        success = (rng.random(200) < chance).astype(float)
        low, high = bootstrap_interval(success, [f"s{k}" for k in scenes], trial)
        covered += low <= 2 / 3 <= high
        low, high = bootstrap_interval(success, [str(i) for i in range(200)], trial)
        covered_by_episodes += low <= 2 / 3 <= high
    assert 0.90 <= covered / trials <= 0.98
    assert covered_by_episodes < covered


def test_summary_and_scene_table() -> None:
    records = (
        record("b", 0, success=1.0, spl=0.5, reward=3.0),
        record("a", 0, success=0.0, distance_to_goal=4.0),
        record("a", 1, success=1.0, spl=1.0, reward=1.5),
    )
    evaluation = Evaluation("runs/x", "homes:val", 5, records)
    summary = evaluation.summary()
    assert summary["episodes"] == 3
    assert summary["success"]["mean"] == pytest.approx(2 / 3)
    assert summary["spl"]["mean"] == pytest.approx(0.5)
    assert summary["spl"]["ci95"] == [0.5, 0.5]
    assert set(summary) == {"episodes", *MEASURES}
    table = evaluation.per_scene()
    assert list(table) == ["a", "b"]
    assert table["a"]["episodes"] == 2
    assert table["a"]["success"] == 0.5
    assert table["a"]["distance_to_goal"] == 2.0
    assert table["b"]["reward"] == 3.0


def test_table_by_distance() -> None:
    lengths = {2.4: 1.0, 2.5: 0.0, 4.9: 1.0, 12.0: 1.0, 35.0: 0.0}
    records = tuple(
        replace(record(f"s{i}", i, success=value), start_distance=length)
        for i, (length, value) in enumerate(lengths.items())
    )
    table = Evaluation("greedy", "x", 0, records).per_distance()
    assert [(row["from"], row["to"], row["episodes"]) for row in table] == [
        (0, 2.5, 1),
        (2.5, 5, 2),
        (10, 15, 1),
        (30, math.inf, 1),
    ]
    assert [row["success"]["mean"] for row in table] == [1, 0.5, 1, 0]
    assert table[1]["success"]["ci95"] == [0, 1]
    # Unknown distances have no row.
    unknown = Evaluation("greedy", "x", 0, (*records, replace(records[0], start_distance=math.nan)))
    assert unknown.per_distance() == table
    assert unknown.summary()["episodes"] == 6


def test_measures_are_the_tasks() -> None:
    records = tuple(replace(record("a", i), measures={"flee_ratio": i / 2, "reward": 1.0}) for i in range(3))
    evaluation = Evaluation("forward", "x", 0, records, ("flee_ratio", "reward"))
    assert set(evaluation.summary()) == {"episodes", "flee_ratio", "reward"}
    assert evaluation.summary()["flee_ratio"]["mean"] == 0.5
    assert set(evaluation.per_scene()["a"]) == {"episodes", "flee_ratio", "reward"}
