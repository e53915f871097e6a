"""Text files of unknown encoding."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 1 << 16
_WESTERN_SIGNS = "\u00b0\u00b2\u00b5\u00d7\u20ac\u2013\u2019\u00a9\u00ae\u00a7"


def decode_text(data: bytes) -> str:
    """Decodes text: by its byte order mark, as UTF-8, or in the encoding that charset-normalizer finds likely.

    Latin-1 is the last resort, so that the result always has every ASCII character of `data`.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode(_likely_encoding(data), "replace")


def _likely_encoding(data: bytes) -> str:
    wide = _without_mark(data)
    if wide:
        return wide
    # Only lines with other than ASCII characters tell encodings apart.
    telling = b"\n".join(line for line in data.splitlines() if not line.isascii())[:_SAMPLE]
    if _is_western(telling):
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(telling).best()
    return "latin-1" if best is None else best.encoding


def _without_mark(data: bytes) -> str:
    """UTF-16 without a byte order mark: every other byte of ASCII text is zero."""
    sample = data[:_SAMPLE]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) < len(sample) // 4:
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _is_western(data: bytes) -> bool:
    """Whether `data` reads well as Windows-1252: accented letters within words of plain ones.

    Names in a material library are too short a sample for statistics, which take "k\u00fcche" for Arabic.
    """
    try:
        words = [word for word in data.decode("cp1252").split() if not word.isascii()]
    except UnicodeDecodeError:
        return False
    accented = [char for word in words for char in word if not char.isascii()]
    plain = sum(char.isascii() and char.isalpha() for word in words for char in word)
    return all(char.isalpha() or char in _WESTERN_SIGNS for char in accented) and len(accented) <= plain
