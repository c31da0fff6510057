"""What norms, skips and activations cost in training: ``python -m benchmarks.studies.blocks``.

A step of 784-256-256-10 (batch 128, Adam, float32) with each of them beside PyTorch and JAX, in
processes of their own, in turns, each at its better of one thread and two. Then what each costs
fanin over the plain network: both in one process, in turns. Ends with exit code 1 where a bar is
missed: twice as fast as the best peer, and layer norm at most 8 % over none.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence

import fanin
from benchmarks import compare
from benchmarks.jobs import Row
from benchmarks.jobs.blocks import NONE, ROWS
from benchmarks.peers import fanin_
from benchmarks.tables import Result, markdown
from benchmarks.worker import seconds_of

LAYER_NORM, LAYER_NORM_BAR = "block-layer-norm", 0.08
WINDOWS = 8  # a round, of a hundred steps each

Pairs = list[tuple[float, float]]  # seconds of a row and, right before or after, of none


def pairs_of(row: Row, base: Row, windows: int) -> Pairs:
    """Both in turns, and each first every other time."""
    runs: list[Callable[[], object]] = [fanin_.blocks(r.job).run for r in (row, base)]
    for run in runs:
        run()
    pairs = []
    for window in range(windows):
        turn = (0, 1) if window % 2 else (1, 0)
        seconds = {which: seconds_of(runs[which], 1) for which in turn}
        pairs.append((seconds[0], seconds[1]))
    return pairs


def overhead(pairs: Pairs) -> tuple[float, float]:
    """(of the least times, of the pairs' median), as a part of none's time."""
    ours, base = zip(*pairs, strict=True)
    return min(ours) / min(base) - 1, statistics.median(a / b for a, b in pairs) - 1


def overheads(rows: Sequence[Row], threads: int, windows: int) -> dict[str, tuple[float, float]]:
    """Of each row over none, by name."""
    fanin.set_num_threads(threads)
    found = {}
    for row in rows:
        if row is NONE:
            continue
        try:
            found[row.name] = overhead(pairs_of(row, NONE, windows))
        except ValueError as error:
            print(f"{row.name}: left out ({error})", file=sys.stderr)
    return found


def judged(results: Sequence[Result], found: dict[str, tuple[float, float]]) -> bool:
    """Whether no bar is missed; what could not be measured misses none."""
    good = all(result.met() is not False for result in results)
    return good and found.get(LAYER_NORM, (0.0, 0.0))[1] <= LAYER_NORM_BAR


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.blocks", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each (7)")
    parser.add_argument("--peers", default="fanin,PyTorch,JAX", help="these, with commas between")
    parser.add_argument("--rows", nargs="*", default=[], help="names or patterns; all if none")
    options = parser.parse_args(argv)
    try:
        rows = compare.chosen_rows(options.rows, ROWS)
        names = compare.chosen_peers(options.peers)
    except ValueError as error:
        parser.error(str(error))
    header, results = compare.run(rows, names, options.rounds, "benchmarks.studies.blocks")
    print(f"{header}\n\n{markdown(results, names)}\n")
    best = next((r.threads["fanin"] for r in results if "fanin" in r.threads), 2)
    found = overheads(rows, best, WINDOWS * options.rounds)
    print(f"over none, {best}T: by the least times, by the median of pairs")
    for name, (least, median) in found.items():
        bar = f" (bar {LAYER_NORM_BAR:+.0%} by the median)" if name == LAYER_NORM else ""
        print(f"{name:16} {least:+7.1%} {median:+7.1%}{bar}")
    return 0 if judged(results, found) else 1


if __name__ == "__main__":
    sys.exit(main())
