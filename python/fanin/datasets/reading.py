"""How files are read: the options, and what reading gives, before labels become numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fanin._typing import Array
from fanin._validate import one_of, sequence, whole

TASKS = ("classification", "regression")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The options of `fanin.datasets.load` that say how a file is read, checked."""

    target: str | None = None
    target_argument: str = "target"  # as the user called it
    task: str | None = None
    header: bool | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    decimal: str = "."
    drop: Sequence[str] = ()  # columns to leave out
    image_size: int | tuple[int, int] | None = None
    mixed: bool = False  # whether columns of a table may be of other kinds than numbers
    kinds: Mapping[str, str] | None = None  # those that they are known to be of, by their names

    def __post_init__(self) -> None:
        if self.task is not None:
            one_of("task", self.task, TASKS)
        if self.header is not None and not isinstance(self.header, bool):
            raise TypeError(f"header: expected True, False or None, got {self.header!r}")
        one_of("decimal", self.decimal, (".", ","))
        delimiter: Any = self.delimiter
        if delimiter is not None:
            single = isinstance(delimiter, str) and len(delimiter) == 1
            if not single or delimiter in '"\r\n' or delimiter == self.decimal:
                raise ValueError(
                    "delimiter: expected one character, other than a quote, a line's end and the "
                    f"decimal mark {self.decimal!r}, got {delimiter!r}"
                )
        expected = "names of columns"
        given = sequence("drop", self.drop, expected)
        if isinstance(self.drop, str) or not all(isinstance(name, str) for name in given):
            raise TypeError(f"drop: expected {expected}, got {self.drop!r}")
        object.__setattr__(self, "drop", tuple(given))
        try:
            "".encode(self.encoding)
        except (LookupError, TypeError, ValueError):
            raise ValueError(
                "encoding: expected one of text that Python knows, such as utf-8, latin-1, cp1252 "
                f"or utf-16, got {self.encoding!r}"
            ) from None

    def refuse_for_others(self, name: str) -> None:
        """Raises where an option of tables is given for data that are no table."""
        for field_name in ("target", "header", "delimiter", "encoding", "decimal", "drop"):
            if getattr(self, field_name) != getattr(type(self), field_name):
                argument = self.target_argument if field_name == "target" else field_name
                only = "a column to name" if field_name == "target" else "one"
                raise ValueError(f"{argument}: only a .csv file has {only}, got {name!r}")

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Height and width of images."""
        size = self.image_size
        if size is None:
            return None
        if isinstance(size, int):
            size = (size, size)
        expected = "a number of pixels or (height, width)"
        if len(sequence("image_size", size, expected)) != 2:
            raise ValueError(f"image_size: expected {expected}, got {size!r}")
        height, width = (whole("image_size", edge, 1, 2**16) for edge in size)
        return height, width


@dataclass
class Dataset:
    """What was read, before labels become numbers. ``y`` is None where there are no labels.

    Labels are positions among the class names where these are known, else as the file has them.
    """

    X: Any  # an array, or a Table
    y: Array | None
    X_test: Array | None = None
    y_test: Array | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    source: str = ""
    X_val: Array | None = None
    y_val: Array | None = None
    target: str | None = None
    names: tuple[str, ...] | None = None  # of the files of X
    names_test: tuple[str, ...] | None = None
    left_out: Counter[str] = field(default_factory=Counter)

    def note(self) -> str:
        """What was left out, counted, in a line; empty where nothing was."""
        if not self.left_out:
            return ""
        counted = ", ".join(f"{what} {count}" for what, count in sorted(self.left_out.items()))
        return f"{self.source}: left out: {counted}"
