"""Results as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.jobs import Bar, Row

SCALE = {"s": 1.0, "ms": 1e3, "us": 1e6, "MB": 1.0, "x": 1.0}
SIGN = {"us": "µs", "x": "×"}


@dataclass(frozen=True)
class Result:
    """A row measured. Times are in seconds whatever the row's unit, memory in MB."""

    row: Row
    values: Mapping[str, float]  # medians: peer -> its best
    threads: Mapping[str, int] = field(default_factory=dict)  # ... at so many
    roof: float | None = None  # least seconds
    details: Mapping[str, Any] = field(default_factory=dict)  # for the JSON

    def best_peer(self) -> tuple[str, float] | None:
        others = [(value, peer) for peer, value in self.values.items() if peer != "fanin"]
        return min(others)[::-1] if others else None

    def speedup(self) -> float | None:
        best = self.best_peer()
        return best[1] / self.values["fanin"] if best and self.values.get("fanin") else None

    def share(self) -> float | None:
        fanin = self.values.get("fanin")
        return self.roof / fanin if self.roof and fanin else None

    def met(self) -> bool | None:
        """Whether fanin is at the row's bar; None without a bar or a number."""
        if self.row.bar is None or "fanin" not in self.values:
            return None
        if self.row.bar.kind == "limit":
            return self.values["fanin"] * SCALE[self.row.unit] <= self.row.bar.value
        reached = self.speedup() if self.row.bar.kind == "speedup" else self.share()
        return None if reached is None else reached >= self.row.bar.value


def number(value: float) -> str:
    """Three significant digits, never in powers of ten."""
    if value >= 100:
        return f"{value:.0f}"
    digits = 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"


def brief(result: Result) -> str:
    """One line for whoever waits."""
    unit = result.row.unit
    values = (f"{p} {number(v * SCALE[unit])}" for p, v in result.values.items())
    return f"{', '.join(values)} {SIGN.get(unit, unit)}"


def bar_text(bar: Bar | None, unit: str) -> str:
    if bar is None:
        return ""
    if bar.kind == "limit":
        return f"≤ {bar.value:g} {SIGN.get(unit, unit)}"
    return f"≥ {bar.value:g}×" if bar.kind == "speedup" else f"≥ {bar.value:.0%} of roof"


def markdown(results: Sequence[Result], peers: Sequence[str]) -> str:
    """A line for each row: the peers at their best, the best of them over fanin, the roof."""
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
    cells.append(bar_text(row.bar, row.unit))
    cells.append({None: "", True: "met", False: "missed"}[met])
    return cells


def as_json(result: Result) -> dict[str, Any]:
    return {
        "row": result.row.name,
        "unit": "MB" if result.row.unit == "MB" else "x" if result.row.unit == "x" else "s",
        "median": dict(result.values),
        "threads": dict(result.threads),
        "roof": result.roof,
        "speedup": result.speedup(),
        "share_of_roof": result.share(),
        "met": result.met(),
        **result.details,
    }
