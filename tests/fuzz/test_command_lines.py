"""Odd values of the options of the four commands, with scenes that do not exist and with a small one that does."""

import contextlib
import io
import shutil

import pytest
from hypothesis import strategies as st

from batchsim import scenes_cli
from batchsim.agents import bench, eval, train
from tests.fuzz.outcomes import examples, fuzz
from tests.helpers.rooms import make_room

ODD = (
    *("", " ", "-1", "0", "1", "0.5", "nan", "inf", "-inf", "1e308", "1e999", "9" * 400, "0x10", "1_0", "+", "1e18"),
    *("x", "é", "\udc80", "a\nb", "[red]", "None", "True", "()", "{}", "1,2", "depth,rgb", "depth,depth", "a=b"),
    *(
        "num_envs=1,2",
        "scenes=x,y",
        "json=on",
        "../..",
        "missing/file.glb",
        "os:getcwd",
        "x:y",
        "auto",
        "cpu",
        "cuda:9",
    ),
)
MISSING = (
    "missing",
    "missing.glb",
    "missing/folder",
    "homes:nowhere",
    "homes:val/x",
    "homes:val?count=x",
    "",
    "a\nb",
    "é",
)
SIZES = ("num-envs", "width", "height", "seed")
TRAIN = (
    *(*SIZES, "task", "frames", "rollout-steps", "learning-rate", "gamma", "clip", "entropy-coef", "hidden-size"),
    *(
        "renderer",
        "device",
        "precision",
        "checkpoint-minutes",
        "max-episode-steps",
        "eval-episodes",
        "preset",
        "nothing",
    ),
)
COMMANDS = {
    "scenes": (scenes_cli.main, (("info",), ("check",), ("preview",), ("generate",), ("import",)), None,
               ("out", "views", "width", "height", "pixels-per-metre", "workers", "agent-radius", "num-goals", "up",
                "scale", "alpha", "root", "json", "force")),
    "train": (train.main, ((),), "--scenes", TRAIN),
    "eval": (eval.main, (("random",), ("greedy", "oracle"), ("missing",), ("",), ("blind:x",)), "--scenes",
             ("episodes", "episodes-file", "scenes-dir", "num-envs", "baselines", "task", "videos", "seed", "renderer",
              "setting", "max-episode-steps", "device", "trust", "json", "deterministic")),
    "bench": (bench.main, (("render",), ("step",), ("train",)), "--scenes",
              (*SIZES, "seconds", "repeats", "resolution", "sensors", "detail", "triangles", "renderer", "device",
               "steps", "sweep", "limits", "no-limits", "json")),
}  # fmt: skip


def odd_options(names, most):
    """Returns a strategy of up to `most` options, some without a value."""
    option = st.tuples(st.sampled_from(names), st.sampled_from((None, *ODD)))
    return st.lists(option, max_size=most).map(
        lambda options: [
            part for name, value in options for part in ([f"--{name}"] if value is None else [f"--{name}", value])
        ]
    )


def command_lines(heads, scene_option, names):
    """Returns a strategy of argument lists: a head, a missing scene, and up to four options."""
    flat = odd_options(names, 4)
    return st.tuples(st.sampled_from(heads), st.sampled_from(MISSING), flat).map(
        lambda drawn: [*drawn[0], *([scene_option] if scene_option else []), drawn[1], *drawn[2]]
    )


@pytest.mark.parametrize("command", COMMANDS)
@examples(10, 350)
def test_command_lines(command, count, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main, heads, scene_option, names = COMMANDS[command]

    def check(arguments):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            try:
                code = main(arguments)
            except SystemExit as end:
                code = end.code
        assert code == 2, (arguments, said.getvalue())
        assert one_error(command, said.getvalue()), (arguments, said.getvalue())

    fuzz(count, command_lines(heads, scene_option, names), check)


def one_error(command, text):
    """Whether what a command said on stderr has one line with an error, and no traceback."""
    own = [line for line in text.splitlines() if line.startswith(f"batchsim-{command}: ")]
    return len(own) == 1 and "Traceback" not in text


TINY = ("--num-envs", "2", "--width", "16", "--height", "16", "--device", "cpu")
ENDLESS = {"frames", "total-frames", "repeats", "seconds", "steps", "workers"}
"""Options that ask for as much work as the user likes."""
WITH_SCENE = {
    "scenes": (("info", "{room}"), ("check", "{room}"), ("generate", "{room}", "--out", "baked"),
               ("preview", "{room}", "--width", "16", "--height", "16", "--views", "1", "--pixels-per-metre", "4"),
               ("import", "{mesh}", "--num-goals", "2")),
    "train": (("--scenes", "{room}", "--eval-scenes", "", "--total-frames", "8", "--rollout-steps", "4",
               "--minibatches", "1", *TINY),),
    "eval": (("random", "--scenes", "{room}", "--episodes", "2", "--num-envs", "2", "--max-episode-steps", "5",
              "--videos", "0", "--out", "evaluated"),),
    "bench": (("step", "--scenes", "{room}", "--steps", "2", "--repeats", "1", "--no-limits", *TINY),
              ("render", "--scenes", "{room}", "--steps", "2", "--repeats", "1", "--no-limits", *TINY)),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
@examples(4, 100)
def test_command_lines_with_a_scene(command, count, tmp_path, monkeypatch):
    """One or two odd options of a command that works; it ends well, or with one line and exit code 2."""
    monkeypatch.chdir(tmp_path)
    make_room(0).save(tmp_path / "room.scene")
    (tmp_path / "floor.obj").write_text("v 0 0 0\nv 4 0 0\nv 4 0 -4\nv 0 0 -4\nf 1 2 3 4\n")
    main, names = COMMANDS[command][0], [name for name in COMMANDS[command][3] if name not in ENDLESS]
    heads = st.sampled_from(WITH_SCENE[command])

    def check(drawn):
        head, options = drawn
        for name in ("run", "evaluated", "baked"):
            shutil.rmtree(tmp_path / name, ignore_errors=True)
        words = [word.format(room="room.scene", mesh="floor.obj") for word in head]
        arguments = [*words, *(("--out", "run") if command == "train" else ()), *options]
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            try:
                code = main(arguments)
            except SystemExit as end:
                code = end.code
        assert not code or (code == 2 and one_error(command, said.getvalue())), (arguments, code, said.getvalue())

        return code

    assert not check((WITH_SCENE[command][0], []))
    fuzz(count, st.tuples(heads, odd_options(names, 2)), check)
