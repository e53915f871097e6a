"""The log's means by hand, its state, and files that others have damaged."""

import json

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from batchsim.agents.runs.append_file import AppendFile
from batchsim.agents.runs.run_log import LogState, RunLog, read_curves


def update(number, episodes, success=0.0, loss=0.0):
    counted = {"success": success} if episodes else {}
    return {
        "frames": 10 * number,
        "updates": number,
        "seconds": 0.5 * number,
        "episodes": episodes,
        "loss": loss,
    } | counted


def lines_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_means_by_hand(tmp_path):
    log = RunLog(tmp_path, ("success",), 3)
    log.add(update(1, 2, success=1.0, loss=1.0))
    log.add(update(2, 0, loss=2.0))
    log.add_evaluation({"spl": 0.25, "distance_to_goal": float("inf")})
    log.add(update(3, 6, success=0.5, loss=6.0))
    for number in (4, 5):
        log.add(update(number, 0))
    log.close()
    first, last = lines_of(tmp_path)
    # Episodes weigh alike: (2 * 1.0 + 6 * 0.5) / 8.
    assert first == {
        "frames": 30,
        "updates": 3,
        "seconds": 1.5,
        "episodes": 8,
        "success": 0.625,
        "loss": 3.0,
        "eval_spl": 0.25,
        "eval_distance_to_goal": None,
    }
    assert (last["updates"], last["episodes"], last["success"]) == (5, 0, None)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("charts/success")] == [(30, 0.625)]
    assert [event.step for event in events.Scalars("losses/loss")] == [30, 50]
    assert "eval/spl" in events.Tags()["scalars"]


def test_a_log_that_continues_from_its_state_is_the_same(tmp_path):
    updates = [update(number, number % 3, success=1 / number, loss=number**0.5) for number in range(1, 12)]
    straight = RunLog(tmp_path / "straight", ("success",), 4)
    for each in updates:
        straight.add(each)
    straight.close()
    for stop in range(12):
        folder = tmp_path / f"{stop}"
        first = RunLog(folder, ("success",), 4)
        for each in updates[:stop]:
            first.add(each)
        state = first.state()
        for each in updates[stop : stop + 3]:  # what a killed run had logged after its checkpoint
            first.add(each)
        first.close()
        again = RunLog(folder, ("success",), 4, state)
        for each in updates[stop:]:
            again.add(each)
        again.close()
        assert (folder / "log.jsonl").read_bytes() == (tmp_path / "straight" / "log.jsonl").read_bytes()
        events = EventAccumulator(str(folder / "tensorboard")).Reload()
        assert [event.step for event in events.Scalars("losses/loss")] == [40, 80, 110]


def test_damaged_lines_are_left_out(tmp_path):
    good = '{"frames": 10, "success": null, "loss": 0.5}'
    bad = ["{", "[]", '{"frames": NaN}', '{"loss": "1"}', "\x00" * 20, "\udcff", "9" * 400, ""]
    (tmp_path / "log.jsonl").write_text("\n".join([*bad, good, *bad, '{"frames": 2']), errors="surrogateescape")
    assert read_curves(tmp_path) == [{"frames": 10, "success": None, "loss": 0.5}]
    RunLog(tmp_path, (), 4, LogState(frames=10)).close()
    assert (tmp_path / "log.jsonl").read_text() == good + "\n"
    assert read_curves(tmp_path / "absent") == []


def test_a_file_that_the_user_replaces_has_no_gap(tmp_path):
    file = AppendFile(tmp_path / "file")
    file.append(b"one\n")
    (tmp_path / "file").write_bytes(b"")
    file.append(b"two\n")
    assert (tmp_path / "file").read_bytes() == b"two\n"
