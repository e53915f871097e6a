"""Whatever is on the disk when the program is killed, the old or the new checkpoint is whole.

The state of the folder is recorded before every line of the code that writes, in this process: it is what a kill at
that line would leave. `test_kills.py` kills for real, at every system call.
"""

import json
import shutil
import sys
from pathlib import Path

import pytest

from batchsim.agents.errors import AgentError
from batchsim.agents.runs import checkpoint_folder
from batchsim.agents.runs.checkpoint_folder import holds_checkpoints, newest_whole, write_checkpoint_folder
from batchsim.scenes import atomic_files

TRACED = {checkpoint_folder.__file__, atomic_files.__file__, shutil.__file__, __file__}
State = dict[str, bytes | None]


def state_of(folder: Path) -> State:
    """Every file's content and every folder, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def make(state: State, folder: Path) -> Path:
    folder.mkdir()
    for name, content in state.items():
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)
    return folder


def write(parent: Path, generation: int) -> None:
    def fill(folder: Path) -> None:
        (folder / "weights").write_bytes(bytes([generation]) * 1000)
        with (folder / "counters").open("w") as file:
            file.write(str(generation))
            file.flush()
            file.write(" and the rest")

    write_checkpoint_folder(parent, fill)


def generation_of(parent: Path) -> int | None:
    folder = newest_whole(parent)
    if folder is None:
        return None
    generation = (folder / "weights").read_bytes()[0]
    assert (folder / "weights").read_bytes() == bytes([generation]) * 1000
    assert (folder / "counters").read_text() == f"{generation} and the rest"
    return generation


def states_while(action, folder: Path) -> list[State]:
    """The distinct states of `folder` before each line that `action` runs, in their order."""
    states: list[State] = []

    def trace(frame, event, _):
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line" and not (states and states[-1] == (now := state_of(folder))):
            states.append(state_of(folder) if not states else now)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return [*states, state_of(folder)]


def test_a_kill_at_any_line_and_another_while_continuing_leaves_a_whole_checkpoint(tmp_path):
    parent = tmp_path / "checkpoint"
    first = states_while(lambda: write(parent, 1), tmp_path)
    assert len(first) > 6
    after_first_kill = states_while(lambda: write(parent, 2), parent)
    assert len(after_first_kill) > 12
    seen = []
    for i, state in enumerate(after_first_kill):
        folder = make(state, tmp_path / f"killed-{i}")
        found = generation_of(folder)
        assert holds_checkpoints(folder)
        seen.append(found)
        again = states_while(lambda: write(folder, found + 10), folder)  # noqa: B023
        continued = []
        for k, twice in enumerate(again):
            other = make(twice, tmp_path / f"killed-{i}-{k}")
            continued.append(generation_of(other))
            shutil.rmtree(other)
        assert set(continued) == {found, found + 10}
        assert continued == sorted(continued)
        assert list(folder.iterdir()) == [newest_whole(folder)]
    assert set(seen) == {1, 2}
    assert seen == sorted(seen)


def test_before_the_first_checkpoint_is_whole_there_is_none(tmp_path):
    found = []
    for i, state in enumerate(states_while(lambda: write(tmp_path / "run", 1), tmp_path)):
        folder = make(state, tmp_path.with_name(f"{tmp_path.name}-{i}"))
        found.append(generation_of(folder / "run"))
        assert holds_checkpoints(folder / "run") == (found[-1] is not None)
    assert found[0] is None
    assert found[-1] == 1


@pytest.mark.parametrize("damage", ["size", "content", "missing", "manifest", "outside"])
def test_a_damaged_checkpoint_is_not_taken_for_a_whole_one(tmp_path, damage):
    write(tmp_path, 1)
    old = newest_whole(tmp_path)
    kept = make(state_of(old), tmp_path.with_name("kept"))
    write(tmp_path, 2)
    new = newest_whole(tmp_path)
    if damage == "size":
        (new / "weights").write_bytes(b"\2" * 999)
    elif damage == "content":
        (new / "weights").write_bytes(b"\2" * 999 + b"\0")
    elif damage == "missing":
        (new / "counters").unlink()
    elif damage == "manifest":
        (new / "manifest.json").write_text("{")
    else:
        manifest = json.loads((new / "manifest.json").read_text())
        (new / "manifest.json").write_text(json.dumps(manifest | {"../../kept/weights": manifest["weights"]}))
    with pytest.raises(AgentError, match="holds no undamaged checkpoint") as raised:
        newest_whole(tmp_path)
    assert str(new) in str(raised.value)
    kept.rename(old)  # where an older one is left, it serves
    assert newest_whole(tmp_path) == old


def test_other_names_are_no_checkpoints(tmp_path):
    for name in ("old", "-1", "1.5", "٣", "9" * 30):
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file")
    assert newest_whole(tmp_path) is None
    assert newest_whole(tmp_path / "absent") is None
