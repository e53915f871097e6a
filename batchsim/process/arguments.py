"""Parses command lines with tyro; turns its boxed error messages into one line each."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import Any

import tyro

from batchsim.errors import OptionError

_KINDS = {"INT": "a whole number", "FLOAT": "a number", "PATH": "a path", "STR": "a text"}
_RULE = re.compile(r"^[\W_]*[─-]{4,}[\W_]*$")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 200


def parse_arguments(commands: Any, arguments: Sequence[str] | None, prog: str, **options: Any) -> Any:
    """Returns the command that a command line describes. `--help` prints the help and exits.

    Args:
        commands: A dataclass, or a union of annotated ones.
        arguments: The words of the command line; None for those of the process.
        prog: The command's name.
        **options: Passed to `tyro.cli`.

    Raises:
        OptionError: If the command line is invalid. The message is one line that names the option, what was expected
            and what was given.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            command = tyro.cli(commands, args=words, prog=prog, **options)
    except SystemExit as end:
        if not end.code:
            raise
        raise OptionError(_in_one_line(said.getvalue(), words, prog)) from None
    sys.stderr.write(said.getvalue())
    return command


def _in_one_line(box: str, words: Sequence[str], prog: str) -> str:
    sections = _sections(box)
    if len(sections) < 3:  # not the box that this module knows
        return _shortened(_squeezed([line for section in sections for line in section]))
    _title, (first, *rest), *hints, help_line = sections
    said = _squeezed([first, *rest])
    help_words = " ".join(help_line).replace(":", " ").split()
    see = " ".join(help_words[help_words.index(prog) :]) if prog in help_words else f"{prog} --help"
    return f"{_reason(said, rest, hints, words)} See {see}."


def _reason(said: str, rest: Sequence[str], hints: Sequence[Sequence[str]], words: Sequence[str]) -> str:
    """Returns what is wrong, as a sentence; `rest` are the lines after the first of the text `said`."""
    if match := re.match(r"Error parsing (\S+): (.*)", said):
        return _wrong_value(match[1].partition("/")[0], match[2], _invocation(hints), words)
    if match := re.match(r"Missing value for argument '(.+?)'", said):
        return f"{match[1]}: expected a value; got none."
    if match := re.match(r"invalid choice (.*) for argument '(.+?)'. Expected one of \((.*?),?\)", said):
        return f"{match[2]}: expected {_listed(match[3])}; got {match[1]}."
    if match := re.match(r"Expected one of {(.*)}", said):
        return f"No command is given; expected {_listed(match[1])}."
    if said.startswith("Missing from "):
        return _missing(rest)
    if match := re.match(r"Unrecognized(?: or misplaced)? options:(.*)", said):
        return _unknown(match[1], hints, words)
    return _shortened(said)


def _wrong_value(name: str, message: str, invocation: str, words: Sequence[str]) -> str:
    kinds = invocation.partition(" ")[2].split()
    given = _given(name, words)
    if given is None or len(kinds) != 1 or kinds[0] not in _KINDS:
        return f"{name}: {_shortened(message)}."
    return f"{name}: expected {_KINDS[kinds[0]]}; got {_quoted(given)}."


def _given(name: str, words: Sequence[str]) -> str | None:
    """Returns the value of the option `name` as it was typed, or None for an argument without a name."""
    for number, word in reversed(list(enumerate(words))):
        option, equals, value = word.partition("=")
        if option.replace("_", "-") == name:
            return value if equals else "".join(words[number + 1 : number + 2])
    return None


def _missing(lines: Sequence[str]) -> str:
    """Returns which required arguments are missing; help stands below each, indented by 8."""
    missing: list[str] = []
    for line in lines:
        if line.startswith(" " * 8) and missing:
            missing[-1] += f" {line.strip()}"
        elif line.startswith(" " * 4):
            missing.append("" if line.strip() in _KINDS else f"{line.strip()}:")
    return f"Missing argument: {'; '.join(map(str.strip, missing)).replace(' (required)', '')}"


def _unknown(tokens: str, hints: Sequence[Sequence[str]], words: Sequence[str]) -> str:
    typed = "".join(tokens.split())
    begins = [word for word in words if typed.startswith("".join(word.split()))]
    word = max(begins, key=len, default=tokens.strip().split(", ")[0])
    kind = "option" if word.startswith("-") else "argument"
    said, option = f"Unknown {kind} {_quoted(word)}", word.partition("=")[0].replace("_", "-")
    for first, *rest in hints:
        names = [line.split()[0].rstrip(",") for line in rest if re.match(r" {4}-", line)]
        if first.startswith("Available subcommands: ") and kind == "argument":
            said += f"; expected {_listed(_squeezed([first, *rest]).partition(': ')[2])}"
        elif option in names:
            return f"Option {option} does not belong to this command."
        elif names:
            return f"{said}; did you mean {' or '.join(dict.fromkeys(names[:3]))}?"
    return f"{said}."


def _invocation(hints: Sequence[Sequence[str]]) -> str:
    """Returns how the option is typed, such as "--views INT", from the part of the box about its help."""
    for first, *rest in hints:
        if first.startswith("Argument helptext") and rest:
            return rest[0].strip()
    return ""


def _sections(box: str) -> list[list[str]]:
    """Returns the title of a box and the lines between its rules, without the frame. Not all terminals get a frame."""
    sections: list[list[str]] = [[]]
    for line in _ESCAPES.sub("", box).splitlines():
        if line.startswith("╭"):
            sections = [[line], []]
        elif _RULE.match(line):
            sections.append([])
        elif line.strip("│ "):
            sections[-1].append(line[2:].rstrip("│ "))
    return [section for section in sections if section]


def _listed(names: str) -> str:
    *most, last = [name.strip() for name in names.split(",")]
    return f"{', '.join(most)} or {last}" if most else last


def _quoted(word: str) -> str:
    return _shortened(repr(word))


def _squeezed(lines: Sequence[str]) -> str:
    return " ".join(" ".join(lines).split())


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
