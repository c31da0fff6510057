"""Files that are damaged: every flipped bit, and mutations drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

# What parsers of JSON and of numbers trip over.
TOKENS = [
    b"1e999", b"-1e999", b"NaN", b"Infinity", b"1" + b"0" * 400, b"9" * 5000, b"-0", b"1E5",
    b"true", b"null", b"{}", b"[]", b'""', b'"\\ud800"', b'"\\u0000"', b"\xff\xfe", b"\xed\xa0\x80",
    b"[" * 3000, b'{"a":' * 3000, b'{"a": 1, "a": 2}', b"\n", b"\n\n", b"\r\n", b"\x00",
    b'"sha256": "', b'"trial"', b'"rung"', b'"score"', b'"format": 1',
    b'"', b"}", b",", b"\\", b"\xef\xbb\xbf", b"-1", b"1.5",
]  # fmt: skip


def flipped_bits(text: bytes) -> Iterator[tuple[int, bytes]]:
    """The text with each bit flipped, and which one it is."""
    for bit in range(8 * len(text)):
        changed = bytearray(text)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(changed)


def mutated(text: bytes, draw: random.Random) -> bytes:
    """The text after one to four changes: of bytes, pieces, lines and tokens."""
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        text = draw.choice(CHANGES)(text, draw)
    return text


def _piece(text: bytes, draw: random.Random) -> tuple[int, int]:
    begin = draw.randrange(len(text) + 1)
    return begin, min(begin + draw.choice([1, 2, 8, 64, 512]), len(text))


def _flip(text: bytes, draw: random.Random) -> bytes:
    if not text:
        return text
    at = draw.randrange(len(text))
    return text[:at] + bytes([text[at] ^ 1 << draw.randrange(8)]) + text[at + 1 :]


def _remove(text: bytes, draw: random.Random) -> bytes:
    begin, end = _piece(text, draw)
    return text[:begin] + text[end:]


def _repeat(text: bytes, draw: random.Random) -> bytes:
    begin, end = _piece(text, draw)
    return text[:end] + text[begin:]


def _move(text: bytes, draw: random.Random) -> bytes:
    begin, end = _piece(text, draw)
    rest = text[:begin] + text[end:]
    at = draw.randrange(len(rest) + 1)
    return rest[:at] + text[begin:end] + rest[at:]


def _insert(text: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice(TOKENS) + text[at:]


def _replace(text: bytes, draw: random.Random) -> bytes:
    """A number or a word by a token."""
    begin, end = _piece(text, draw)
    return text[:begin] + draw.choice(TOKENS) + text[end:]


def _cut(text: bytes, draw: random.Random) -> bytes:
    return text[: draw.randrange(len(text) + 1)]


def _lines(text: bytes, draw: random.Random) -> bytes:
    """A line removed, repeated or exchanged with another."""
    lines = text.splitlines(keepends=True)
    if len(lines) < 2:
        return text
    i, j = draw.randrange(len(lines)), draw.randrange(len(lines))
    how = draw.randrange(3)
    if how == 0:
        del lines[i]
    elif how == 1:
        lines.insert(j, lines[i])
    else:
        lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


CHANGES = [_flip, _flip, _remove, _repeat, _move, _insert, _replace, _replace, _cut, _lines]
