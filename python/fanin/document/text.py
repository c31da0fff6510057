"""Documents as lines of text, and the package's one printer of tables."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from fanin.document.blocks import Block, Chapter, Heading, Lines, Table

WIDTH = 96  # of wrapped lines
# Control characters, the marks that turn the direction of writing, other ends of lines, and the
# bytes of a file's name that are no UTF-8.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_HIDDEN_IN_LINES = re.compile(_HIDDEN.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))


def visible(text: object, *, lines: bool = False) -> str:
    r"""Text as it may be printed: what would act on a terminal, or hide, as Python writes it.

    Labels and names of files come from data: one may hold the code that clears the screen, or the
    mark that turns the text after it. With ``lines`` line breaks and tabs stay.

    >>> from fanin.document.text import visible
    >>> visible("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    pattern = _HIDDEN_IN_LINES if lines else _HIDDEN
    return pattern.sub(lambda found: _escape(found.group()), str(text))


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return repr(character)[1:-1]


def aligned(
    rows: Sequence[Sequence[str]], *, left: int = 1, gap: int = 2, widths: Sequence[int] = ()
) -> list[str]:
    """The lines of a table, of which a header is a row.

    The first `left` columns are flush left, the others flush right, with `gap` spaces between and
    of at least the given widths.
    """
    rows = [[visible(cell) for cell in row] for row in rows]
    needed = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if widths:
        needed = [max(pair) for pair in zip(needed, widths, strict=True)]
    sides = "<" * left + ">" * (len(needed) - left)
    line = (" " * gap).join(f"{{:{s}{n}}}" for s, n in zip(sides, needed, strict=False))
    return [line.format(*row).rstrip() for row in rows]


def plain(text: str) -> str:
    """A paragraph without its marks."""
    return re.sub(r"[`*]", "", text)


def wrapped(text: str, first: str) -> list[str]:
    """Text in lines of at most `WIDTH`, the first after `first`, the others as far to the right."""
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first))


def block_lines(block: Block) -> list[str]:
    """A block, indented; no caption, and nothing of pictures and remarks."""
    if isinstance(block, Heading):
        return [block.text]
    if isinstance(block, Lines):
        return [f"    {line}" for line in block.text.splitlines()]
    if isinstance(block, Table):
        return [f"    {row}" for row in aligned([block.header, *block.rows])]
    return wrapped(plain(block), "  ") if isinstance(block, str) else []


def chapter_lines(chapter: Chapter) -> Iterator[str]:
    """Headings, numbers and tables of a chapter, without its prose."""
    yield f"== {chapter.title} =="
    heading = ""
    for block in chapter.blocks:
        if isinstance(block, Heading):
            heading = block.text
        elif isinstance(block, Lines | Table):
            if heading:
                yield f"\n{heading}"
                heading = ""
            if isinstance(block, Lines):
                yield block.text
            else:
                yield plain(block.caption)
                yield from (f"  {row}" for row in aligned([block.header, *block.rows]))
    yield ""
