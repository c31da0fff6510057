"""``fanin search``: load, search, judge, save the best network."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from fanin import datasets, plots
from fanin.callbacks.history import History
from fanin.cli.options import UsageError, real, whole
from fanin.cli.shared import (
    auto_preprocess,
    check_writable,
    data_config,
    load_data,
    new_folder,
    options_config,
    printer,
    save_network,
    without_nan,
)
from fanin.tuning import Parameter, SearchResult, choice, integers, loguniform, uniform
from fanin.tuning import search as run_search
from fanin.tuning.search.objective import PARAMETERS
from fanin.tuning.space import plain

TRIALS, PICTURE = "trials.jsonl", "search.png"
WHOLE = ("hidden", "depth", "batch_size", "epochs", "seed")
FINE_EPOCHS = 4  # times as many, in the second stage


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Each NAME is an argument of fanin.MLP or its fit, or hidden, depth or lr. A "
        "VALUE is LOW:HIGH, LOW:HIGH:log, a list A,B,C, or one value, the same for all trials. "
        "Widths of several layers: 100-50."
    )
    add = parser.add_argument
    add("data", metavar="DATA", help="as for train")
    add(
        "params", metavar="NAME=VALUE", nargs="*", help="(default: lr=1e-4:1e-1:log reg=1e-6:1:log)"
    )
    add("--trials", type=whole(1), default=50, metavar="N", help="(default: 50)")
    add("--epochs", type=whole(1), default=5, metavar="N", help="of each trial (default: 5)")
    add("--strategy", default="random", metavar="NAME", help="random, grid, sobol")
    add("--prune", metavar="RULE", help="median or halving: stop poor trials (default: none)")
    add("--fine", type=whole(1), metavar="N", help="then N trials, 4 times as long, round the best")
    add("--val-size", type=real(0, 0.9, above=True), default=0.2, metavar="SHARE")
    add("--test-size", type=real(0, 0.9, above=True), default=0.2, metavar="SHARE")
    add("--label", metavar="COLUMN", help="a .csv's labels")
    add("--seed", type=whole(0), default=0, metavar="N", help="of everything random (default: 0)")
    add("--threads", type=whole(1), metavar="N", help="results do not depend on it")
    add("--out", type=Path, metavar="RUN", help="folder of the results; one that holds this search "
        "already is gone on with (default: a new one, runs/search-<data>)")  # fmt: skip
    add("--json", action="store_true", help="one JSON object on stdout, only that")
    add("--no-progress", action="store_true", help="no bar, table and lines")


def run(args: argparse.Namespace) -> int:
    space, fixed = _space(args.params)
    out = new_folder(f"search-{Path(args.data).stem}") if args.out is None else args.out
    check_writable(out)

    say = printer(args)
    (X, y), (X_test, y_test), info = load_data(args)
    (X, y), validation = datasets.split(X, y, test_size=args.val_size, seed=args.seed)
    if "preprocess" not in {*space, *fixed}:
        fixed["preprocess"] = auto_preprocess(X.reshape(len(X), -1))
    say(f"{info.name}: {len(y)} rows to train on, {len(validation[1])} to judge by")
    say("space: " + ", ".join(f"{name} {parameter}" for name, parameter in space.items()))
    stages = []
    if args.fine:
        stages.append({"n_trials": args.fine, "epochs": FINE_EPOCHS * args.epochs})
    out.mkdir(parents=True, exist_ok=True)
    try:
        result = run_search(
            space,
            (X, y),
            args.trials,
            strategy=args.strategy,
            epochs=args.epochs,
            prune=args.prune,
            stages=stages,
            validation_data=validation,
            log=out / TRIALS,
            seed=args.seed,
            n_threads=args.threads,
            progress=not (args.json or args.no_progress),
            verbose=not (args.json or args.no_progress or sys.stderr.isatty()),
            **fixed,
        )
    except (ValueError, TypeError) as error:
        raise (UsageError(str(error)) if _about_options(str(error)) else error) from None
    config = {**data_config(args, info, X), "options": options_config(args)}
    summary = {"out": str(out), **_results(result, (X_test, y_test), args.threads)}
    files = _save(out, result, config | {"results": summary["results"]})
    say(str(result))
    for name, value in summary["results"].items():
        say(f"the best network's {name} accuracy: {100 * value['accuracy']:.2f} %")
    say(f"saved in {out}: {', '.join(files)}")
    if args.json:
        print(json.dumps(without_nan({**summary, "files": files})))
    if result.interrupted:
        raise KeyboardInterrupt(f"interrupted; the same command with --out {out} goes on")
    return 0 if result.best is not None else 1


def _about_options(text: str) -> bool:
    """Whether an error speaks of what the user wrote on the command line."""
    return text.partition(":")[0].partition("[")[0] in (
        *PARAMETERS, "space", "search", "strategy", "prune", "n_trials",
    )  # fmt: skip


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
        if isinstance(parsed, Parameter):
            space[name] = parsed
        else:
            fixed[name] = parsed
    if not space:
        default = {"lr": loguniform(1e-4, 1e-1), "reg": loguniform(1e-6, 1)}
        space = {name: parameter for name, parameter in default.items() if name not in fixed}
    return space, fixed


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
        try:
            return parse(text)
        except ValueError:
            pass
    widths = text.split("-")
    if len(widths) > 1 and all(width.isdigit() for width in widths):
        return [int(width) for width in widths]
    return None if text == "none" else text


def _results(result: SearchResult, test: Any, n_threads: int | None) -> dict[str, Any]:
    best = result.best
    facts: dict[str, Any] = {
        "trials": {s: result.count(s) for s in ("done", "pruned", "diverged", "failed")},
        "edges": [str(edge) for edge in result.edges()],
        "best": None,
        "results": {},
    }
    if best is not None and best.network is not None:
        facts["best"] = {
            "trial": best.number, "params": plain(best.params), result.monitor: best.score,
        }  # fmt: skip
        facts["results"] = {"test": best.network.evaluate(*test, n_threads=n_threads)}
    return facts


def _save(out: Path, result: SearchResult, config: dict[str, Any]) -> list[str]:
    """Writes what `fanin predict` reads, a picture, and the history of the best trial."""
    files = [TRIALS]
    if result.earlier:
        files.append("trials-2.jsonl")
    best = result.best
    if best is not None and best.network is not None:
        history = best.network.history or History()
        files += save_network(out, best.network, history, config, curves=False)
    if not result.trials:
        return files
    try:
        plots.save(plots.search(result)[0].figure, out / PICTURE)
        files.append(PICTURE)
    except ImportError as error:
        print(f"fanin: note: no {PICTURE}: {error}", file=sys.stderr)
    return files
