"""Digests Python source by what it does: comments, docstrings, formatting and folders leave the digest as it is.

The scene cache puts such a digest of the baking code into its keys, so that scenes baked by other code are not used.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_digest(files: Iterable[Path], salt: str = "") -> str:
    """Returns a digest of the syntax trees of Python `files`, as 32 hexadecimal digits.

    A file counts under its own name without the folder, and imports count without the packages that lead to a module.
    So a file may move to another folder, but renaming it changes the digest.

    Args:
        files: Source files, in any order.
        salt: Text that is part of the digest.
    """
    parts = sorted(f"{path.name}:{_source_digest(path)}" for path in files)
    return blake2b("\n".join([salt, *parts]).encode(), digest_size=16).hexdigest()


def _source_digest(path: Path) -> str:
    text: list[str] = []
    _describe(ast.parse(path.read_bytes(), str(path)), text)
    return blake2b("".join(text).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _describe(node: object, text: list[str]) -> None:
    """Appends a description of a syntax tree to `text`.

    Unlike `ast.dump` this leaves out empty fields, which differ between versions of Python.
    """
    if isinstance(node, ast.AST):
        text.append(f"({type(node).__name__}")
        for name in node._fields:
            value = _relevant(node, name, getattr(node, name, None))
            if value is not None and value != []:
                text.append(f" {name}=")
                _describe(value, text)
        text.append(")")
    elif isinstance(node, list):
        text.append("[")
        for item in node:
            _describe(item, text)
            text.append(",")
        text.append("]")
    else:
        text.append(repr(node))


def _relevant(node: ast.AST, name: str, value: Any) -> Any:
    """Returns the `value` of a node's field without docstrings, and without the packages of an imported module."""
    if name == "body" and isinstance(node, _DOCUMENTED):
        return [statement for statement in value if not _is_text(statement)]
    is_module = (name == "module" and isinstance(node, ast.ImportFrom)) or isinstance(node, ast.alias)
    return value.rpartition(".")[2] if is_module and isinstance(value, str) else value


def _is_text(statement: ast.stmt) -> bool:
    """Whether `statement` is only a string: a docstring, also one of an attribute."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
