"""What a row of the table consists of: a job, a bar, and a way to measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy.typing as npt

Array = npt.NDArray[Any]

IN_CACHE = 32e6  # what takes more bytes than this is read from memory in each pass


class Prepared(NamedTuple):
    """A job made ready by a peer: `run` does it once, `answer` is what `Job.check` looks at."""

    run: Callable[[], object]
    answer: Callable[[], Any]


class Job:
    """Work that every peer does in its own best way; a number given here makes for a roof."""

    flops: float = 0.0
    bytes: float = 0.0  # that have to come from memory
    traffic: str = "read"  # or "update": how they come, for the roof
    compute: str | None = None  # "bf16": products in that, everything else in float32
    copied: float = 0.0  # bytes of the result where the roof is a memcpy of as many, on one thread

    def check(self, answer: Any) -> str:
        """A line on the answer; ValueError where it is wrong."""
        raise NotImplementedError


@dataclass(frozen=True)
class Bar:
    """What fanin has to reach.

    - "speedup": the time of the best peer, or of `peer`, over fanin's, at least;
    - "roof": the roof's time over fanin's, at least;
    - "limit": fanin's own number, at most.
    """

    kind: str
    value: float
    peer: str = ""


@dataclass(frozen=True)
class Row:
    """A row of the table. ``unit`` is that of `tables.SCALE`; times are divided by ``per``."""

    name: str
    title: str
    unit: str = "us"
    job: Job | None = None
    per: float = 1
    threads: tuple[int, ...] = (1, 2)
    kind: str = "time"  # or "over", "busy", "import", "memory": how `measuring` measures it
    bars: tuple[Bar, ...] = ()
    base: Job | None = None  # of kind "over": what the job's time is compared with
    isa: str = ""  # an instruction set that all peers are held to
    rounds: int = 99  # at most; for work that takes seconds
    rest: float = 0.0  # seconds between calls, in which threads fall asleep


def rested(row: Row) -> Row:
    """The same called now and then: with 3 ms of sleep between calls."""
    name, title = f"{row.name}-rested", f"{row.title}, 3 ms between calls"
    return replace(row, name=name, title=title, rest=3e-3)


def wrong_by(error: float, limit: float, what: str = "largest error") -> str:
    """For `Job.check`: a line on an error that is small enough."""
    if not error < limit:
        raise ValueError(f"wrong: {what} {error:.2g}, expected below {limit:.2g}")
    return f"{what} {error:.1g}"
