"""The blocks of a document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Text:
    text: str


class Heading(_Text):
    """The title of a section."""


class Lines(_Text):
    """Preformatted output of a program."""


class Listing(_Text):
    """Code of the lecture; a terminal, which has the numbers only, is not told it."""


class Remark(_Text):
    """A remark of the lecture."""


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column names the rows."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A file that `write` makes, and what it shows.

    `write` gives the same for a narrow screen, where it would look otherwise there.
    """

    file: str
    alt: str
    caption: str
    write: Callable[[Path], bytes | None]

    def drawn(self, folder: Path) -> Image:
        """Writes the file into the folder."""
        narrow = self.write(folder / self.file)
        return Image((folder / self.file).read_bytes(), narrow)


@dataclass(frozen=True)
class Image:
    """The bytes of a picture's file, and of its like for a narrow screen, if that is another."""

    wide: bytes
    narrow: bytes | None = None


# A string is a paragraph, with `code`, *emphasis* and **names**.
Block = str | Heading | Lines | Listing | Remark | Table | Picture


@dataclass(frozen=True)
class Chapter:
    """A title and its blocks, in order."""

    title: str
    blocks: Sequence[Block]
