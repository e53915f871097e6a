"""Counts what a piece of work asks of torch and of OpenGL: numbers that no other machine and no load can change."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

import moderngl
from torch.utils._python_dispatch import TorchDispatchMode

# What makes the host wait for a GPU, by the name that torch's dispatcher knows it under.
WAITING = ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "unique", "_unique2", "item")
# What looks at memory in another way without touching it: no GPU hears of it.
_VIEWS = {"alias", "as_strided", "detach", "diagonal", "expand", "permute", "select", "slice", "split", "squeeze", "t"}
_VIEWS |= {"transpose", "unbind", "unsqueeze", "view", "_unsafe_view", "_reshape_alias", "lift_fresh"}
_GL_CLASSES = (
    moderngl.Buffer,
    moderngl.ComputeShader,
    moderngl.Context,
    moderngl.Framebuffer,
    moderngl.Program,
    moderngl.Texture,
    moderngl.VertexArray,
)
_MOVES = {"write", "read", "read_into"}
_CONTEXT_SWITCHES = {"__enter__", "__exit__"}


@dataclass
class Counts:
    """`ops` of torch by name, `gl` calls by "Class.method", and the bytes that went to and from OpenGL's memory."""

    ops: Counter = field(default_factory=Counter)
    gl: Counter = field(default_factory=Counter)
    bytes_moved: int = 0

    @property
    def launches(self):
        """Operations that a GPU has to be told of: all but views."""
        return sum(count for name, count in self.ops.items() if name not in _VIEWS)

    @property
    def waits(self):
        """Calls that make the host wait, by name."""
        return {name: count for name, count in self.ops.items() if name in WAITING}


class _CountOps(TorchDispatchMode):
    def __init__(self, counts):
        super().__init__()
        self._counts = counts

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self._counts.ops[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))


@contextmanager
def counted(monkeypatch):
    """Counts what happens inside."""
    counts = Counts()
    with monkeypatch.context() as patch, _CountOps(counts):
        for cls in _GL_CLASSES:
            for name, method in vars(cls).items():
                wanted = not name.startswith("_") or name in _CONTEXT_SWITCHES or name == "__setitem__"
                if wanted and callable(method) and not isinstance(method, (staticmethod, classmethod, type)):
                    patch.setattr(cls, name, _counting(counts, f"{cls.__name__}.{name}", method))
        yield counts


def _counting(counts, name, method):
    def call(self, *arguments, **named):
        counts.gl[name] += 1
        if name.split(".")[1] in _MOVES:
            counts.bytes_moved += _moved(name, self, arguments, named)
        return method(self, *arguments, **named)

    return call


def _moved(name, owner, arguments, named):
    """Bytes of a `write`, `read` or `read_into` as they were asked for."""
    if name.startswith("Framebuffer"):
        viewport = named.get("viewport", arguments[1] if len(arguments) > 1 else owner.viewport)
        return viewport[-2] * viewport[-1] * named["components"] * int(named["dtype"][1])
    if name == "Buffer.write":
        return memoryview(arguments[0]).nbytes
    return named.get("size", -1) if named.get("size", -1) >= 0 else owner.size
