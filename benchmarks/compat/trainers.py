"""The trainers that adapters are for, and where their adapters, examples and tests are."""

from __future__ import annotations

import ast
import tokenize
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Trainer:
    """A trainer that is tried.

    Attributes:
        name: Name in the table.
        package: Distribution whose version the table shows; None for a convention without a library.
        environment: Name of the virtual environment; it has the extra of the same name.
        adapter: Name of the adapter's file in `agents/adapters`.
        example: Name of the example in `examples/trainers`.
        arguments: Arguments of the example.
    """

    name: str
    package: str | None
    environment: str
    adapter: str
    example: str
    arguments: tuple[str, ...] = ()

    @property
    def adapter_path(self) -> Path:
        """The adapter's file."""
        return ROOT / "agents" / "adapters" / f"{self.adapter}.py"

    @property
    def example_path(self) -> Path:
        """The example's file."""
        return ROOT / "examples" / "trainers" / f"{self.example}.py"

    @property
    def tests(self) -> Path:
        """The adapter's tests."""
        return ROOT / "tests" / "agents" / "adapters" / f"test_{self.adapter}.py"


TRAINERS = (
    Trainer("Stable-Baselines3 PPO", "stable-baselines3", "sb3", "sb3", "sb3_ppo"),
    Trainer("sb3-contrib RecurrentPPO", "sb3-contrib", "sb3", "sb3", "sb3_ppo", ("--recurrent",)),
    Trainer("TorchRL PPO", "torchrl", "torchrl", "torchrl", "torchrl_ppo"),
    Trainer("RSL-RL PPO, velocity control", "rsl-rl-lib", "rsl-rl", "rsl_rl", "rsl_rl_ppo"),
    Trainer("skrl PPO", "skrl", "skrl", "skrl", "skrl_ppo"),
    Trainer("PPO in CleanRL's style", None, "skrl", "cleanrl", "cleanrl_ppo"),
)


def lines_of_code(path: Path) -> int:
    """Returns the number of lines of a Python file that hold code: no docstrings, comments or blank lines."""
    kept: set[int] = set()
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type not in (*skipped, tokenize.ENCODING):
                kept.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            text = node.body[0]
            kept.difference_update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return len(kept)
