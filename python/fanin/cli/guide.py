"""``fanin guide``: the seven steps on a data set, a report and the network."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from fanin import datasets, plots, tuning
from fanin._files import replaced_together
from fanin._typing import Array
from fanin.callbacks.history import History
from fanin.cli import regression, shared
from fanin.cli.interrupts import one_interrupt
from fanin.cli.options import UsageError, list_of, number, real, whole
from fanin.tuning.guide.state import remove_trials
from fanin.tuning.guide.tasks import Classification, Regression

REPORT, ENSEMBLE = "report.html", "ensemble.fanin"
NETWORK = ("hidden", "loss", "compute")
GUIDE = (
    "start_from",
    "time_budget",
    "rounds",
    "until",
    "seed",
    "class_weight",
    "task",
)  # as its arguments are called
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("data", metavar="DATA", help="as for train")
    time = number(_seconds, lambda t: 0 < t < math.inf, "a time above 0 such as 300 or 5m")
    add("--time-budget", type=time, metavar="TIME", help="seconds, or 5m, 1h, in total")
    add("--rounds", type=whole(1), metavar="N", help="of steps 5 to 7, at most (default: 3)")
    add("--until", type=int, choices=range(1, 8), default=7, metavar="STEP", help="1 to 7")
    add("--hidden", type=list_of(whole(1)), metavar="H,H", help="where to begin")
    known = [*Classification.losses, *Regression.losses]
    add("--loss", choices=known, help="default: softmax; mse for --task regression")
    add("--compute", choices=["bf16"], help="products in bfloat16, several times as fast where the "
        "CPU has tiles of it (fanin info tells)")  # fmt: skip
    add("--start-from", metavar="FILE", help="a similar problem's report.html or network")
    add("--class-weight", choices=["balanced"], help="weigh rare classes as much as others")
    shared.add_data_options(parser)
    add("--test-size", type=real(0, 0.9, above=True), default=0.2, metavar="SHARE")
    add("--seed", type=whole(0), default=0, metavar="N", help="of everything random (default: 0)")
    add("--threads", type=whole(1), metavar="N")
    add("--out", type=Path, metavar="RUN", help="folder of the report; an interrupted "
        "guide in it is resumed (default: a new one, runs/<data>)")  # fmt: skip
    add("--json", action="store_true", help="one JSON object on stdout, only that")
    add("--no-progress", action="store_true", help="no progress bar")


def _seconds(text: str) -> float:
    unit = UNITS.get(text[-1:])
    return float(text[:-1]) * unit if unit else float(text)


@shared.warnings_as_lines()
def run(args: argparse.Namespace) -> int:
    out = shared.results_folder(args.out, args.data, (*shared.RUN, REPORT, ENSEMBLE))
    say = shared.printer(args)
    _check_loss(args)
    (X, y), test, info = shared.load_data(args)
    args.task = info.task
    rows = f"{len(y)} rows to learn from, {len(test[1])} to test on at the end"
    say(f"{info.name}: {rows}{shared.target_line(info)}\n")
    X_val, y_val = info.validation or (None, None)
    table, _ = shared.encoded(say, X)
    with shared.warnings_as_lines():
        report = tuning.guide(
            X,
            y,
            X_val,
            y_val,
            preprocess="auto" if table is None else table,
            network={n: getattr(args, n) for n in NETWORK if getattr(args, n) is not None} or None,
            state=out,
            test_data=test,
            n_threads=args.threads,
            progress=not (args.json or args.no_progress),
            callbacks=[lambda step: say(f"{step}\n")],
            **{name: getattr(args, name) for name in GUIDE},
        )
    with one_interrupt(f"interrupted; the results are in {out}") as hold:
        hold()
        files = _save(args, out, report, info, X)
        if report.stopped != "interrupted" and {5, 8} <= {step.number for step in report.steps}:
            remove_trials(out)
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


def _check_loss(args: argparse.Namespace) -> None:
    known = Regression.losses if args.task == "regression" else Classification.losses
    if args.loss not in (None, *known):
        task = args.task or "classification"
        raise UsageError(
            f"--loss: expected {', '.join(known)} for --task {task}, got {args.loss!r}"
        )


def _save(
    args: argparse.Namespace, out: Path, report: tuning.Report, info: datasets.Info, X: Array
) -> list[str]:
    """Writes the report, and network and ensemble where there are such, all or none."""
    files = [REPORT]
    with replaced_together(out) as new:
        if report.network is not None:
            judged = {"settings": report.settings, "results": {"test": report.test}}
            facts = shared.data_facts(args, info, X) | regression.units(report.network)
            for net in (report.network, *(report.ensemble or ())):
                net.metadata = facts
            config = shared.data_config(args, facts, info) | judged
            files += shared.write_network(new, report.network, report.history, config)
            history = report.history or History()
            files += shared.write_picture(new / shared.CURVES, lambda: plots.history(history))
        if report.ensemble is not None and 8 in {step.number for step in report.steps}:
            report.ensemble.save(new / ENSEMBLE)
            files.append(ENSEMBLE)
        report.save(new / REPORT)
    return files
