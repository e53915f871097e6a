"""The data of a PLY file: every property of every element as an array, from text or bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from batchsim.scenes.errors import SceneError
from batchsim.scenes.sources.ply.header import Element, Header

_MAX_LIST = 1 << 16


@dataclass(frozen=True)
class Lists:
    """Lists of different lengths: `counts` int64 `[N]` and their `values` one after the other."""

    counts: np.ndarray
    values: np.ndarray


Table = dict[str, "np.ndarray | Lists"]


def read_records(path: Path, header: Header) -> dict[str, Table]:
    """Returns the tables of a PLY file by element, each a dictionary of properties.

    Raises:
        SceneError: If the file ends too early, or holds something that is not a number.
    """
    with path.open("rb") as file:
        file.seek(header.size)
        data = file.read()
    source = _Binary(data) if header.order else _Text(data)
    tables: dict[str, Table] = {}
    try:
        for element in header.elements:
            tables[element.name] = _read_element(source, element)
    except (ValueError, IndexError, OverflowError):
        raise SceneError(
            f"{path}: truncated or damaged: its data do not fit its header. Copy the file again."
        ) from None
    return tables


class _Binary:
    """Data as bytes, read from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def peek_counts(self, element: Element) -> list[int]:
        """The lengths of the lists of the next record."""
        at, counts = self._at, []
        for entry in element.properties:
            if entry.count_type is None:
                at += entry.type.itemsize
                continue
            count = int(np.frombuffer(self._data, entry.count_type, 1, at)[0])
            _check_list(count)
            counts.append(count)
            at += entry.count_type.itemsize + count * entry.type.itemsize
        return counts

    def uniform(self, element: Element, counts: list[int]) -> dict[str, np.ndarray] | None:
        """All records, if the lists of each are of the lengths `counts`; otherwise None."""
        fields: list[tuple] = []
        lengths = iter(counts)
        for number, entry in enumerate(element.properties):
            if entry.count_type is not None:
                fields.append((f"count{number}", entry.count_type))
                fields.append((f"value{number}", entry.type, (next(lengths),)))
            else:
                fields.append((f"value{number}", entry.type))
        dtype = np.dtype(fields)
        if self._at + dtype.itemsize * element.count > len(self._data):
            return None
        records = np.frombuffer(self._data, dtype, element.count, self._at)
        lengths = iter(counts)
        for number, entry in enumerate(element.properties):
            if entry.count_type is not None and (records[f"count{number}"] != next(lengths)).any():
                return None
        self._at += dtype.itemsize * element.count
        return {entry.name: records[f"value{number}"] for number, entry in enumerate(element.properties)}

    def numbers(self, dtype: np.dtype, count: int) -> np.ndarray:
        """The next `count` numbers."""
        values = np.frombuffer(self._data, dtype, count, self._at) if count else np.zeros(0, dtype)
        self._at += dtype.itemsize * count
        return values


class _Text:
    """Data as words, read from the front."""

    def __init__(self, data: bytes) -> None:
        self._words = data.split()
        self._at = 0

    def peek_counts(self, element: Element) -> list[int]:
        """The lengths of the lists of the next record."""
        at, counts = self._at, []
        for entry in element.properties:
            if entry.count_type is None:
                at += 1
                continue
            count = int(self._words[at])
            _check_list(count)
            counts.append(count)
            at += 1 + count
        return counts

    def uniform(self, element: Element, counts: list[int]) -> dict[str, np.ndarray] | None:
        """All records, if the lists of each are of the lengths `counts`; otherwise None."""
        lengths = iter(counts)
        widths = [1 if entry.count_type is None else 1 + next(lengths) for entry in element.properties]
        size = sum(widths) * element.count
        if self._at + size > len(self._words):
            return None
        table = np.array(self._words[self._at : self._at + size], np.float64).reshape(element.count, -1)
        columns = np.cumsum([0, *widths])
        found = {}
        lengths = iter(counts)
        for number, entry in enumerate(element.properties):
            values = table[:, columns[number] : columns[number + 1]]
            if entry.count_type is not None:
                if (values[:, 0] != next(lengths)).any():
                    return None
                values = values[:, 1:]
            else:
                values = values[:, 0]
            found[entry.name] = _cast(values, entry.type)
        self._at += size
        return found

    def numbers(self, dtype: np.dtype, count: int) -> np.ndarray:
        """The next `count` numbers."""
        if self._at + count > len(self._words):
            raise ValueError("too few numbers")
        values = np.array(self._words[self._at : self._at + count], np.float64)
        self._at += count
        return _cast(values, dtype)


def _read_element(source: _Binary | _Text, element: Element) -> Table:
    if not element.count or not element.properties:
        return {entry.name: np.zeros(0, entry.type) for entry in element.properties}
    counts = source.peek_counts(element)
    found = source.uniform(element, counts)
    if found is None:
        if not counts:
            raise ValueError("too few records")
        return _read_one_by_one(source, element)
    return {
        entry.name: found[entry.name] if entry.count_type is None else _lists(found[entry.name])
        for entry in element.properties
    }


def _read_one_by_one(source: _Binary | _Text, element: Element) -> Table:
    """Records whose lists differ in length."""
    values: dict[str, list] = {entry.name: [] for entry in element.properties}
    counts: dict[str, list[int]] = {entry.name: [] for entry in element.properties}
    for _ in range(element.count):
        for entry in element.properties:
            count = 1
            if entry.count_type is not None:
                count = int(source.numbers(entry.count_type, 1)[0])
                _check_list(count)
                counts[entry.name].append(count)
            values[entry.name].append(source.numbers(entry.type, count))
    joined = {name: np.concatenate(parts) for name, parts in values.items()}
    return {
        entry.name: joined[entry.name]
        if entry.count_type is None
        else Lists(np.array(counts[entry.name], np.int64), joined[entry.name])
        for entry in element.properties
    }


def _lists(values: np.ndarray) -> Lists:
    return Lists(np.full(len(values), values.shape[1], np.int64), values.reshape(-1))


def _cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Numbers of text in the type that the header says; integers outside it are damage."""
    if dtype.kind in "ui":
        limits = np.iinfo(dtype)
        if not ((values >= limits.min) & (values <= limits.max)).all():
            raise ValueError("a number is outside its type")
    return values.astype(dtype)


def _check_list(count: int) -> None:
    if not 0 <= count <= _MAX_LIST:
        raise ValueError("a list of impossible length")
