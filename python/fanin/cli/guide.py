"""What the command ``fanin guide`` does."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from fanin import tuning
from fanin.callbacks.history import History
from fanin.cli.shared import (
    _check_writable,
    _facts_of_data,
    _fresh_folder,
    _load,
    _save_run,
    _teller,
    _warnings_as_lines,
)

REPORT = "report.html"


def guide(args: argparse.Namespace) -> int:
    """``fanin guide``: the seven steps on a data set, a report and the network."""
    out = _fresh_folder(args.data) if args.out is None else args.out
    _check_writable(out)

    say = _teller(args)
    (X, y), test, info = _load(args)
    say(f"{info.name}: {len(y)} rows to learn from, {len(test[1])} to test on at the end\n")
    with _warnings_as_lines():
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
            **_facts_of_data(args, info, X),
            "settings": report.settings,
            "results": {"test": report.test},
        }
        files = _save_run(out, report.network, report.history or History(), config)
    report.save(out / REPORT)
    return [REPORT, *files]
