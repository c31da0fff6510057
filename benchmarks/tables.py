"""Results as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.jobs import Bar, Row

SCALE = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9, "MB": 1.0, "x": 1.0, "%": 100.0}
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
SIGN = {"us": "µs", "x": "×"}


@dataclass(frozen=True)
class Result:
    """A row measured. Times are in seconds whatever the row's unit, memory in MB, % as a part."""

    row: Row
    values: Mapping[str, float]  # medians: peer -> its best
    threads: Mapping[str, int] = field(default_factory=dict)  # ... at so many
    roof: float | None = None  # least seconds
    details: Mapping[str, Any] = field(default_factory=dict)  # for the JSON

    def best_peer(self) -> tuple[str, float] | None:
        others = [(value, peer) for peer, value in self.values.items() if peer != "fanin"]
        return min(others)[::-1] if others else None

    def speedup(self, peer: str = "") -> float | None:
        """How many times faster than that peer, or than the best one."""
        fanin, best = self.values.get("fanin"), self.best_peer()
        other = self.values.get(peer) if peer else best and best[1]
        return other / fanin if other and fanin else None

    def share(self) -> float | None:
        fanin = self.values.get("fanin")
        return self.roof / fanin if self.roof and fanin else None

    def met(self) -> bool | None:
        """Whether fanin is at the row's bars; None without one, or without a number."""
        verdicts = [self.reaches(bar) for bar in self.row.bars]
        return None if not verdicts or None in verdicts else all(verdicts)

    def reaches(self, bar: Bar) -> bool | None:
        if "fanin" not in self.values:
            return None
        if bar.kind == "limit":
            return self.values["fanin"] * SCALE[self.row.unit] <= bar.value
        reached = self.speedup(bar.peer) if bar.kind == "speedup" else self.share()
        return None if reached is None else reached >= bar.value


def number(value: float) -> str:
    """Three significant digits, never in powers of ten."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"


def brief(result: Result) -> str:
    """One line for whoever waits."""
    unit = result.row.unit
    values = (f"{p} {number(v * SCALE[unit])}" for p, v in result.values.items())
    return f"{', '.join(values)} {SIGN.get(unit, unit)}"


def bar_text(bar: Bar, unit: str) -> str:
    if bar.kind == "limit":
        return f"≤ {bar.value:g} {SIGN.get(unit, unit)}"
    if bar.kind == "speedup":
        return f"≥ {bar.value:g}× {bar.peer}".rstrip()
    return f"≥ {bar.value:.0%} of roof"


def markdown(results: Sequence[Result], peers: Sequence[str]) -> str:
    """A line for each row: the peers at their best, the best of them over fanin, the roof.

    A peer that has nothing to show gets no column.
    """
    peers = [peer for peer in peers if any(peer in result.values for result in results)]
    head = ["work", "unit", *peers, "best peer / fanin", "roof", "share of roof", "bar", ""]
    lines = [head, ["---", "---", *["---:"] * (len(peers) + 3), "---", "---"]]
    lines += [_cells(result, peers) for result in results]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cells(result: Result, peers: Sequence[str]) -> list[str]:
    row, scale = result.row, SCALE[result.row.unit]
    best = result.best_peer()
    cells = [row.title, SIGN.get(row.unit, row.unit)]
    for peer in peers:
        if peer not in result.values:
            cells.append("–")
            continue
        text = number(result.values[peer] * scale)
        if best and peer == best[0]:
            text = f"**{text}**"
        threads = result.threads.get(peer)
        cells.append(f"{text} ({threads}T)" if threads else text)
    speedup, share, met = result.speedup(), result.share(), result.met()
    cells.append(f"{speedup:.2f}" if speedup is not None and row.kind == "time" else "")
    cells.append(number(result.roof * scale) if result.roof else "")
    cells.append(f"{share:.0%}" if share is not None else "")
    cells.append(", ".join(bar_text(bar, row.unit) for bar in row.bars))
    cells.append({None: "", True: "met", False: "missed"}[met])
    return cells


def as_json(result: Result) -> dict[str, Any]:
    return {
        "row": result.row.name,
        "unit": unit if (unit := result.row.unit) in ("MB", "x", "%") else "s",
        "median": dict(result.values),
        "threads": dict(result.threads),
        "roof": result.roof,
        "speedup": result.speedup(),
        "share_of_roof": result.share(),
        "met": result.met(),
        **result.details,
    }


def write_between_markers(file: Path, table: str) -> None:
    """Puts the table where the file says `table: begin` and `table: end`."""
    text = file.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{file}: expected a line {BEGIN} and a line {END}")
    file.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def all_met(bars: Mapping[str, bool]) -> bool:
    """Prints a study's bars, each met or missed."""
    print()
    for what, met in bars.items():
        print(f"{'met   ' if met else 'MISSED'} {what}")
    return all(bars.values())
