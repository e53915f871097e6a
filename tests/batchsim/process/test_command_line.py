"""Commands end in one line: after errors, and after signals at any moment, the imports included."""

import os
import signal
import subprocess
import sys

import pytest

from batchsim.process.command_line import BAD_INPUT, COMMANDS, run_command

SCRIPT = "import sys; sys.argv = ['/usr/bin/{name}', '--help']; from {module} import main; sys.exit(main())"


def start(name, module, style):
    """A command that lists on stderr what it imports."""
    how = ["-m", module, "--help"] if style == "-m" else ["-c", SCRIPT.format(name=name, module=module)]
    command = [sys.executable, "-X", "importtime", *how]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("style", ["-m", "script"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_during_the_imports_is_one_line(name, style):
    number, word = (signal.SIGINT, "interrupted") if style == "-m" else (signal.SIGTERM, "terminated")
    process = start(name, COMMANDS[name], style)
    for line in process.stderr:
        if line.endswith("batchsim.process.command_line\n"):
            process.send_signal(number)
            break
    rest = [line for line in process.stderr.read().splitlines() if not line.startswith("import time:")]
    assert process.wait(60) == 128 + number
    assert rest == [f"{name}: {word}"]


def test_other_programs_keep_their_signals():
    code = (
        "import signal; before = [signal.getsignal(n) for n in (2, 15)]\n"
        "import batchsim.scenes\n"
        "assert before == [signal.getsignal(n) for n in (2, 15)]\n"
    )
    for arguments in ([], ["--", "-m", "batchsim.agents.train"], ["batchsim-train"]):
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=60)


class OwnError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OwnError("first\n  second"), "batchsim-x: first second"),
        (OSError(28, "No space left on device", "file"), "batchsim-x: [Errno 28] No space left on device: 'file'"),
    ],
)
def test_errors_of_ours_and_of_the_system_are_one_line(capsys, error, said):
    def command():
        raise error

    assert run_command("batchsim-x", command, (OwnError,)) == BAD_INPUT
    assert capsys.readouterr().err == said + "\n"


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_command("batchsim-x", lambda: 1 // 0, (OwnError,))
    assert run_command("batchsim-x", lambda: 7, (OwnError,)) == 7


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_while_a_command_runs_cleans_up(capsys, number, word):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    cleaned = []

    def command():
        try:
            os.kill(os.getpid(), number)
            pytest.fail("not interrupted")
        finally:
            cleaned.append(True)

    assert run_command("batchsim-x", command, (OwnError,)) == 128 + number
    assert capsys.readouterr().err == f"batchsim-x: {word}\n"
    assert cleaned == [True]
    assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
