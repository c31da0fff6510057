"""What peers share in augmentation: parameters drawn anew in each run, and a team of threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.jobs.augment import Augment, Augmented, Drawn
from benchmarks.jobs.row import Array, Prepared

Result = Array | tuple[Array, Array]  # images, or images and soft labels


def drawn_anew(job: Augment, apply: Callable[[Drawn], Result]) -> Prepared:
    """`apply` with parameters that the job draws from NumPy, vectorised, in each run."""
    rng = np.random.Generator(np.random.SFC64(0))

    def answer() -> Augmented:
        drawn = job.draw(rng)
        result = apply(drawn)
        out, labels = result if isinstance(result, tuple) else (result, None)
        return Augmented(out, drawn, labels)

    return Prepared(lambda: apply(job.draw(rng)), answer)


class Team:
    """Threads for work that leaves the interpreter's lock; one needs no pool."""

    def __init__(self, threads: int, begin: Callable[[], None] = lambda: None) -> None:
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads, initializer=begin) if threads > 1 else None

    def each(self, work: Callable[[range], None], count: int) -> None:
        """`work` on ranges that make up `range(count)` together."""
        if self.pool is None:
            work(range(count))
            return
        parts = [range(count * t // self.threads, count * (t + 1) // self.threads)
                 for t in range(self.threads)]  # fmt: skip
        list(self.pool.map(work, parts))
