"""``fanin guide``: the seven steps on a data set, a report and the network."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from fanin import tuning
from fanin.callbacks.history import History
from fanin.cli.options import list_of, real, whole
from fanin.cli.shared import (
    check_writable,
    data_config,
    load_data,
    new_folder,
    printer,
    save_network,
    warnings_as_lines,
)

REPORT = "report.html"


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("data", metavar="DATA", help="as for train")
    add("--time-budget", type=_seconds, metavar="TIME", help="seconds, or 5m, 1h: of all steps")
    add("--rounds", type=whole(1), metavar="N", help="of steps 5 to 7, at most (default: 3)")
    add("--until", type=int, choices=range(1, 8), default=7, metavar="STEP", help="1 to 7")
    add("--hidden", type=list_of(whole(1)), metavar="H,H", help="where to begin (default: 256)")
    add("--start-from", metavar="FILE", help="a similar problem's report.html or network")
    add("--label", metavar="COLUMN", help="of a .csv, as for train")
    add("--test-size", type=real(0, 0.9, above=True), default=0.2, metavar="SHARE")
    add("--seed", type=whole(0), default=0, metavar="N", help="of everything random (default: 0)")
    add("--threads", type=whole(1), metavar="N")
    add(
        "--out", type=Path, metavar="RUN",
        help="folder of the report; one that holds an interrupted guide goes on "
        "(default: a new one, runs/<data>)",
    )  # fmt: skip
    add("--json", action="store_true", help="one JSON object on stdout, only that")
    add("--no-progress", action="store_true", help="no progress bar")


def _seconds(text: str) -> float:
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    unit = units.get(text[-1:], 0.0)
    try:
        number = float(text[:-1] if unit else text) * (unit or 1.0)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a time above 0 such as 300 or 5m, got {text!r}")
    return number


def run(args: argparse.Namespace) -> int:
    out = new_folder(args.data) if args.out is None else args.out
    check_writable(out)

    say = printer(args)
    (X, y), test, info = load_data(args)
    say(f"{info.name}: {len(y)} rows to learn from, {len(test[1])} to test on at the end\n")
    with warnings_as_lines():
        report = tuning.guide(
            X,
            y,
            network=None if args.hidden is None else {"hidden": args.hidden},
            start_from=args.start_from,
            time_budget=args.time_budget,
            rounds=args.rounds,
            until=args.until,
            state=out,
            test_data=test,
            seed=args.seed,
            n_threads=args.threads,
            progress=not (args.json or args.no_progress),
            callbacks=[lambda step: say(f"{step}\n")],
        )
    files = _save(out, args, info, X, report)
    say(str(report).rsplit("\n\n", 1)[-1])
    say(f"saved in {out}: {', '.join(files)}")
    if args.json:
        print(json.dumps({"out": str(out), "files": files, **report.to_dict()}))
    if report.stopped == "interrupted":
        raise KeyboardInterrupt(f"interrupted; the same command with --out {out} goes on")
    if report.network is None and args.until >= 5:
        print(f"fanin: error: no network: {report.stopped}", file=sys.stderr)
        return 1
    return 0


def _save(
    out: Path, args: argparse.Namespace, info: Any, X: Any, report: tuning.Report
) -> list[str]:
    files = []
    if report.network is not None:
        config = {
            **data_config(args, info, X),
            "settings": report.settings,
            "results": {"test": report.test},
        }
        files = save_network(out, report.network, report.history or History(), config)
    report.save(out / REPORT)
    return [REPORT, *files]
