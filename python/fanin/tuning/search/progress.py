"""What a person sees while a search runs: a bar, the best trials so far, the lecture's lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from fanin.callbacks.progress import is_terminal, open_bar
from fanin.tuning.search.result import table
from fanin.tuning.search.trial import Trial

SHOWN = 5  # trials in the table
REDRAW = 0.25  # seconds


class Progress:
    """A bar on stderr with the table of the best trials under it, where stderr is a terminal."""

    monitor: str
    names: Sequence[str]

    def __init__(self, total: int, names: Sequence[str], monitor: str) -> None:
        self.names, self.monitor = names, monitor
        self.bar: Any = open_bar(total=total, unit="trial")
        self.table: list[Any] = []
        if self.bar is not None and is_terminal(sys.stderr):
            # Further bars without a counter are lines that tqdm redraws in place.
            self.table = [
                open_bar(total=0, position=i + 1, bar_format="{desc}", leave=True)
                for i in range(SHOWN + 1)
            ]
        self.best: list[Trial] = []
        self.drawn: float = 0.0

    def update(self, trial: Trial) -> None:
        """Counts a trial; it takes its place in the table."""
        if self.bar is None:
            return
        self.bar.update()
        others = [t for t in self.best if t.number != trial.number]
        if trial.ended_well:
            self.best = sorted([*others, trial], key=lambda t: (-t.merit, t.number))[:SHOWN]
            if time.monotonic() - self.drawn > REDRAW:
                self._draw()

    def _draw(self) -> None:
        self.drawn = time.monotonic()
        if not self.best:
            return
        score, number = self.best[0].score, self.best[0].number
        text = f"best {self.monitor} {score:.4f} (trial {number})"
        self.bar.set_postfix_str(text, refresh=False)
        lines = table(self.best, self.names, self.monitor)
        for bar, line in zip(self.table, lines, strict=False):
            bar.set_description_str(line)

    def close(self) -> None:
        """Leaves the last state on the terminal."""
        if self.bar is not None:
            self._draw()
            for bar in [*self.table[::-1], self.bar]:
                bar.close()
            self.bar = None
