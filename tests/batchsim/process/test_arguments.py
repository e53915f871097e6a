"""Errors of command lines: one line that names the option, what was expected and what was given."""

import pytest

from batchsim import OptionError, scenes_cli
from batchsim.agents import bench, eval, train
from batchsim.process.arguments import parse_arguments

COMMANDS = {"scenes": scenes_cli.main, "train": train.main, "eval": eval.main, "bench": bench.main}
LONG = "9" * 300 + ".5"
CASES = {
    "train --num-envs x": "--num-envs: expected a whole number; got 'x'. See batchsim-train --help.",
    "train --num_envs=x": "--num-envs: expected a whole number; got 'x'. See batchsim-train --help.",
    "train --gamma 1,2": "--gamma: expected a number; got '1,2'. See batchsim-train --help.",
    f"train --seed {LONG}": f"--seed: expected a whole number; got '{'9' * 199}.... See batchsim-train --help.",
    "train --nonsense 3": "Unknown option '--nonsense'. See batchsim-train --help.",
    "train --frames 3": "Unknown option '--frames'; did you mean --total-frames? See batchsim-train --help.",
    "train extra": "Unknown argument 'extra'. See batchsim-train --help.",
    "train --out": "--out: expected a value; got none. See batchsim-train --help.",
    "scenes": "No command is given; expected generate, import, check, info, preview or settings. See "
    "batchsim-scenes --help.",
    "scenes inf x": "Unknown argument 'inf'; expected generate, import, check, info, preview or settings. See "
    "batchsim-scenes --help.",
    "scenes info": 'Missing argument: A file, or a name such as "homes:val/3" or "maze". See batchsim-scenes info '
    "--help.",
    "scenes info a --num-goals=3": "Option --num-goals does not belong to this command. See batchsim-scenes --help.",
    "eval random --trust yes": "Unknown argument 'yes'. See batchsim-eval --help.",
    "bench step --renderer gl": "--renderer: expected 'auto', 'raycast' or 'raster'; got 'gl'. See batchsim-bench "
    "step --help.",
    "bench step --sensors": "--sensors: expected a value; got none. See batchsim-bench step --help.",
}


@pytest.mark.parametrize("typed", CASES)
@pytest.mark.parametrize("columns", ["40", "200"])
def test_each_mistake_is_one_line(capsys, monkeypatch, typed, columns):
    monkeypatch.setenv("COLUMNS", columns)
    command, *arguments = typed.split()
    try:
        code = COMMANDS[command](arguments)
    except SystemExit as end:
        code = end.code
    assert code == 2
    printed = capsys.readouterr()
    assert printed.err == f"batchsim-{command}: {CASES[typed]}\n"
    assert printed.out == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_not_changed(capsys, command):
    with pytest.raises(SystemExit) as end:
        COMMANDS[command](["--help"])
    assert not end.value.code
    printed = capsys.readouterr()
    assert printed.out.count("\n") > 10
    assert printed.err == ""


def two(*, number: int, pair: tuple[int, float] = (1, 2.0)) -> tuple:
    """A command of two options."""
    return number, pair


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "Missing argument: --number INT:"),
        (["--number", "1", "--pair", "2", "x"], "--pair: "),
        (["--number", "1", "--pair", "2"], "--pair: expected a value; got none."),
    ],
)
def test_other_mistakes_name_the_option(typed, said):
    with pytest.raises(OptionError) as error:
        parse_arguments(two, typed, "two")
    assert str(error.value).startswith(said)
    assert str(error.value).endswith("See two --help.")
    assert parse_arguments(two, ["--number", "1", "--pair", "3", "4"], "two") == (1, (3, 4.0))
