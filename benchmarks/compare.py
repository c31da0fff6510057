"""fanin beside its peers: ``python -m benchmarks.compare [ROW ...] [--json FILE] [--rounds N]``.

Each peer runs in processes of its own, one for each thread count; they are measured in turns,
round by round, so that drift of the machine affects all alike. The table has medians,
each peer at its best thread count. A peer that is not installed, or that fails, is named and left
out.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import data, peers
from benchmarks.jobs import ROWS, Row
from benchmarks.machine import commit, describe
from benchmarks.measuring import Comparison, with_roof
from benchmarks.tables import Result, as_json, brief, markdown, write_between_markers


def chosen_rows(patterns: Sequence[str], rows: Sequence[Row] = ROWS) -> list[Row]:
    """Rows by name or shell pattern, in the table's order; all without any."""
    unknown = [p for p in patterns if not fnmatch.filter([row.name for row in rows], p)]
    if unknown:
        known = ", ".join(row.name for row in rows)
        raise ValueError(f"no row is called {', '.join(unknown)}; the rows are {known}")
    if not patterns:
        return list(rows)
    return [row for row in rows if any(fnmatch.fnmatch(row.name, p) for p in patterns)]


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description="Measures fanin beside its peers."
    )
    parser.add_argument("rows", nargs="*", help="names or patterns such as 'dense-*'; all if none")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each (7)")
    parser.add_argument("--peers", help="only these, with commas between")
    parser.add_argument("--json", type=Path, help="a file for all numbers")
    parser.add_argument("--table", type=Path, help="a file with the markers of a table to renew")
    parser.add_argument("--list", action="store_true", help="print the rows' names and stop")
    options = parser.parse_args(argv)
    try:
        options.rows = chosen_rows(options.rows)
        options.peers = chosen_peers(options.peers)
    except ValueError as error:
        parser.error(str(error))
    return options


def chosen_peers(text: str | None) -> list[str]:
    """The installed ones of those asked for; says on stderr which are missing."""
    known = {name.casefold(): name for name in peers.PEERS}
    asked = [name.strip() for name in text.split(",")] if text else list(peers.PEERS)
    if unknown := [name for name in asked if name.casefold() not in known]:
        raise ValueError(
            f"no peer is called {', '.join(unknown)}; they are {', '.join(peers.PEERS)}"
        )
    _, missing = peers.installed()
    wanted = {known[name.casefold()] for name in asked}
    for name in missing:
        if name in wanted:
            print(f"{name} is not installed: left out", file=sys.stderr)
    return [name for name in peers.PEERS if name in wanted and name not in missing]


def run(
    rows: Sequence[Row], names: Sequence[str], rounds: int, module: str = "benchmarks.compare"
) -> tuple[str, list[Result]]:
    """(what it was measured on, results)."""
    with tempfile.TemporaryDirectory() as folder:
        images = data.images()
        images.save(Path(folder))
        data_name = images.name
        del images
        env = dict(os.environ) | {data.FOLDER: folder}
        with Comparison(names, env, rounds) as comparison:
            versions = comparison.versions()
            results = []
            for row in rows:
                measure_roofs(comparison, [row])
                print(f"{row.name} ...", file=sys.stderr, end=" ", flush=True)
                results.append(comparison.measure(row))
                print(brief(results[-1]), file=sys.stderr, flush=True)
            measure_roofs(comparison, rows, again=True)
    header = describe(versions, comparison.roofs, data_name, module)
    return header, [with_roof(result, comparison.roofs) for result in results]


def measure_roofs(comparison: Comparison, rows: Sequence[Row], again: bool = False) -> None:
    """Those that the rows need, and the machine's own on one thread and two."""
    needed = [(row.isa, max(row.threads)) for row in rows] + [("", 1), ("", 2)]
    for isa, threads in dict.fromkeys(needed):
        if again or (isa, threads) not in comparison.roofs:
            comparison.roof(threads, isa)


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    if options.list:
        print("\n".join(f"{row.name:28} {row.title}" for row in options.rows))
        return 0
    header, results = run(options.rows, options.peers, options.rounds)
    table = f"{header}\n\n{markdown(results, options.peers)}"
    print(table)
    if options.table:
        write_between_markers(options.table, table)
    if options.json:
        document = {"commit": commit(), "header": header, "rows": [as_json(r) for r in results]}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
