"""The section about shrinking: its table, and the front of the networks that no other beats in both."""

import re

from batchsim.agents.report.costs import costs
from batchsim.agents.runs.shrink_record import Fidelity, Figure, ShrinkRecord, ShrinkRow


def row(name, size, microseconds, success):
    figure = Figure(success, success - 0.05, min(1.0, success + 0.05))
    measures = {"success": figure, "spl": Figure(0.5 * success, 0.0, 1.0)}
    return ShrinkRow(name, size // 4, size // 5, size, 2_500_000, microseconds, measures)


ROWS = [
    row("teacher", 1_000_000, 80.0, 0.9),
    row("student", 100_000, 60.0, 0.88),
    row("worse", 120_000, 61.0, 0.80),  # larger, slower and worse than the student
    row("tiny", 20_000, 59.0, 0.6),
]


def points(path):
    return re.findall(r"[ML]([\d.]+) ([\d.]+)", path)


def test_the_front_leaves_out_what_another_beats():
    section = costs(ShrinkRecord("runs/a", {}, rows=ROWS, scenes="homes:val", episodes=200))
    assert [chart.title for chart in section.charts] == ["Success over bytes", "Success over time of a step"]
    for chart in section.charts:
        assert len(chart.dots) == 4
        (front,) = chart.curves
        places = {(dot.x, dot.mean) for dot in chart.dots}
        assert set(points(front.path)) < places
        assert len(points(front.path)) == 3
        worse = next(dot for dot in chart.dots if dot.title.startswith("worse"))
        assert (worse.x, worse.mean) not in points(front.path)


def test_the_table_says_what_was_measured():
    record = ShrinkRecord(
        "runs/a", {}, rows=ROWS, scenes="homes:val", episodes=200, fidelity=Fidelity(1024, 2e-6, 0.987)
    )
    section = costs(record)
    assert [row.name for row in section.rows] == ["teacher", "student", "worse", "tiny"]
    texts = [cell.text for cell in section.rows[1].cells]
    assert texts == ["25,000", "20,000", "100,000", "2.50", "60 µs", "88.0%", "0.440"]
    assert section.rows[1].cells[5].interval == "83.0 to 93.0"
    assert "200 episodes of homes:val" in section.note
    assert "2e-06" in section.note
    assert "98.7%" in section.note


def test_without_figures_there_is_no_section():
    assert costs(None) is None
    assert costs(ShrinkRecord("runs/a", {})) is None
    assert not costs(ShrinkRecord("runs/a", {}, rows=[ShrinkRow("a", 1, 1, 1, 1, 1.0)])).charts
