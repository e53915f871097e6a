"""Odd values of the options of the four commands. Every command line names a scene that does not exist."""

import contextlib
import io

import pytest
from hypothesis import strategies as st

from batchsim import scenes_cli
from batchsim.agents import bench, eval, train
from tests.fuzz.outcomes import examples, fuzz

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


def command_lines(heads, scene_option, names):
    """Returns a strategy of argument lists: a head, a missing scene, and up to four options."""
    option = st.tuples(st.sampled_from(names), st.sampled_from((None, *ODD)))
    flat = st.lists(option, max_size=4).map(
        lambda options: [
            part for name, value in options for part in ([f"--{name}"] if value is None else [f"--{name}", value])
        ]
    )
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
        text = said.getvalue()
        assert code == 2, (arguments, text)
        assert "Traceback" not in text
        own = [line for line in text.splitlines() if line.startswith(f"batchsim-{command}: ")]
        usage = "--help" in text and not own  # the parser's own message, of several lines
        assert len(own) == 1 or usage, (arguments, text)

    fuzz(count, command_lines(heads, scene_option, names), check)
