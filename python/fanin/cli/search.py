"""``fanin search``: load, search, judge, save the best network."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from fanin import plots
from fanin._files import replaced_together
from fanin._json import plain
from fanin.callbacks.progress import is_terminal
from fanin.cli import regression, shared
from fanin.cli.interrupts import one_interrupt
from fanin.cli.options import UsageError, or_auto, real, whole
from fanin.training import auto_batch_size, auto_epochs
from fanin.tuning import Parameter, SearchResult, choice, integers, loguniform, uniform
from fanin.tuning import search as run_search
from fanin.tuning.search.objective import PARAMETERS

TRIALS, PICTURE = "trials.jsonl", "search.png"
FILES = (shared.NETWORK, shared.HISTORY, shared.CONFIG, PICTURE)
SEARCH = ("strategy", "epochs", "monitor", "prune", "seed")  # as its arguments are called
WHOLE = ("hidden", "depth", "batch_size", "epochs", "seed")
LEAST_EPOCHS = 5  # of a trial
FINE_EPOCHS = 4  # times as many, in the second stage


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Each NAME is an argument of fanin.MLP or its fit, or hidden, depth or lr. A "
        "VALUE is LOW:HIGH, LOW:HIGH:log, a list A,B,C, or one value, the same for all trials. "
        "Widths of several layers: 100-50."
    )
    add = parser.add_argument
    add("data", metavar="DATA", help="as for train")
    default = "(default: lr=1e-4:1e-1:log reg=1e-6:1:log)"
    add("params", metavar="NAME=VALUE", nargs="*", help=default)
    add("--trials", type=whole(1), default=50, metavar="N", help="(default: 50)")
    add("--epochs", type=or_auto(whole(1)), default="auto", metavar="N", help="of each trial "
        "(default: auto, 5, or as many more as make 250 steps)")  # fmt: skip
    add("--strategy", default="random", metavar="NAME", help="random, grid, sobol")
    add("--monitor", default="auto", metavar="METRIC", help="the score, of the validation rows, "
        "such as val_loss or val_balanced_accuracy (default: val_accuracy)")  # fmt: skip
    add("--prune", metavar="RULE", help="median or halving: stop poor trials (default: none)")
    add("--fine", type=whole(1), metavar="N", help="then N longer trials around the best")
    add("--val-size", type=real(0, 0.9, above=True), default=0.2, metavar="SHARE")
    add("--test-size", type=real(0, 0.9, above=True), default=0.2, metavar="SHARE")
    add("--seed", type=whole(0), default=0, metavar="N", help="of everything random (default: 0)")
    add("--threads", type=whole(1), metavar="N", help="results do not depend on it")
    shared.add_data_options(parser)
    add("--out", type=Path, metavar="RUN", help="folder of the results; a search "
        "that it holds is resumed (default: a new one, runs/search-<data>)")  # fmt: skip
    add("--json", action="store_true", help="one JSON object on stdout, only that")
    add("--no-progress", action="store_true", help="no bar, table and lines")


@shared.warnings_as_lines()
def run(args: argparse.Namespace) -> int:
    space, fixed = _space(args.params)
    out = shared.results_folder(args.out, f"search-{Path(args.data).stem}", FILES)
    say = shared.printer(args)
    data, test, info = shared.load_data(args)
    (X, y), validation = shared.validation_split(data, info, args.val_size, args.seed)
    facts = shared.data_facts(args, info, X)
    table, (X, X_val, X_test) = shared.encoded(say, X, validation[0], test[0])
    validation, test = (X_val, validation[1]), (X_test, test[1])
    if args.epochs == "auto":
        long = auto_epochs(len(y), auto_batch_size(len(y)), FINE_EPOCHS * LEAST_EPOCHS)
        args.epochs = -(-long // FINE_EPOCHS)
    if "preprocess" not in {*space, *fixed}:
        fixed["preprocess"] = shared.auto_preprocess(X.reshape(len(X), -1))
        if table is not None:
            fixed["preprocess"] = None
    rows = f"{len(y)} rows to train on, {len(validation[1])} to judge by"
    say(f"{info.name}: {rows}{shared.target_line(info)}")
    say("space: " + ", ".join(f"{name} {parameter}" for name, parameter in space.items()))
    fine = {"n_trials": args.fine, "epochs": FINE_EPOCHS * args.epochs}
    try:
        with shared.results_in(out):
            result = run_search(
                space,
                (X, y),
                args.trials,
                stages=[fine] if args.fine else [],
                validation_data=validation,
                log=out / TRIALS,
                n_threads=args.threads,
                progress=not (args.json or args.no_progress),
                verbose=not (args.json or args.no_progress or is_terminal(sys.stderr)),
                **{name: getattr(args, name) for name in SEARCH},
                **fixed,
            )
    except (ValueError, TypeError) as error:
        raise (UsageError(str(error)) if _about_options(str(error)) else error) from None
    config = {**shared.data_config(args, facts, info), "options": shared.options_config(args)}
    if result.best is not None and (best := result.best.network) is not None:
        best.metadata = facts | regression.units(best)
        config["results"] = {
            "test": regression.finish(best, info.task, test[0], test[1], args.threads)
        }
        best.take_table(table)
    done = f"interrupted; the results are in {out}"
    with shared.warnings_as_lines(), one_interrupt(done) as hold:
        hold()
        summary = _save(out, result, config)
    say(str(result))
    for name, value in summary["results"].items():
        say(f"the best network's {name} {shared.told(value)}")
    say(f"saved in {out}: {', '.join(summary['files'])}")
    if args.json:
        print(json.dumps(shared.without_nan(summary)))
    if result.interrupted:
        raise KeyboardInterrupt(f"interrupted; the same command with --out {out} goes on")
    return 0 if result.best is not None else 1


def _about_options(text: str) -> bool:
    """Whether an error is about an option of the command line."""
    name = text.partition(":")[0].partition("[")[0]
    return name in (*PARAMETERS, "space", "search", "strategy", "monitor", "prune", "n_trials")


def _space(params: list[str]) -> tuple[dict[str, Parameter], dict[str, Any]]:
    """What is searched, and what is the same for all trials."""
    space: dict[str, Parameter] = {}
    fixed: dict[str, Any] = {}
    for text in params:
        name, equals, value = text.partition("=")
        if not equals or name not in PARAMETERS:
            raise UsageError(
                f"{text}: expected NAME=VALUE with a name of {', '.join(PARAMETERS)}, got {text!r}"
            )
        try:
            parsed = _parameter(name, value)
        except (ValueError, TypeError) as error:
            raise UsageError(f"{text}: {error}") from None
        (space if isinstance(parsed, Parameter) else fixed)[name] = parsed
    if space:
        return space, fixed
    default = {"lr": loguniform(1e-4, 1e-1), "reg": loguniform(1e-6, 1)}
    return {name: p for name, p in default.items() if name not in fixed}, fixed


def _parameter(name: str, text: str) -> Any:
    """The value of one NAME=VALUE."""
    if ":" in text:
        low, high, *more = text.split(":")
        if more not in ([], ["log"]):
            raise ValueError(f"expected LOW:HIGH or LOW:HIGH:log, got {text!r}")
        ends = _value(low), _value(high)
        if name in WHOLE:
            return integers(*ends, log=bool(more))
        return loguniform(*ends) if more else uniform(*ends)
    values = [_value(item) for item in text.split(",")]
    return choice(values) if len(values) > 1 else values[0]


def _value(text: str) -> Any:
    """A number, a list of widths like 100-50, none, or a name."""
    for parse in (int, float):
        with contextlib.suppress(ValueError):
            return parse(text)
    widths = text.split("-")
    if len(widths) > 1 and all(width.isdigit() for width in widths):
        return [int(width) for width in widths]
    return None if text == "none" else text


def _save(out: Path, result: SearchResult, config: dict[str, Any]) -> dict[str, Any]:
    """Writes what `fanin predict` reads, a picture, and the history of the best trial."""
    facts: dict[str, Any] = {
        "out": str(out),
        "trials": {s: result.count(s) for s in ("done", "pruned", "diverged", "failed")},
        "edges": [str(edge) for edge in result.edges()],
        "best": None,
        "results": config.get("results", {}),
    }
    files = [TRIALS, "trials-2.jsonl"] if result.earlier else [TRIALS]
    best = result.best
    with replaced_together(out) as new:
        if best is not None and (net := best.network) is not None:
            params = plain(best.params)
            facts["best"] = {"trial": best.number, "params": params, result.monitor: best.score}
            files += shared.write_network(new, net, net.history, config)
        if result.trials:
            files += shared.write_picture(new / PICTURE, lambda: plots.search(result))
    return {**facts, "files": files}
