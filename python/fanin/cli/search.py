"""What the command ``fanin search`` does."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from fanin import datasets, plots
from fanin._files import atomic_write
from fanin.callbacks.history import History
from fanin.cli.shared import (
    CONFIG,
    HISTORY,
    NETWORK,
    UsageError,
    _auto_preprocess,
    _check_writable,
    _facts_of_data,
    _finite,
    _fresh_folder,
    _load,
    _teller,
)
from fanin.tuning import Parameter, SearchResult, choice, integers, loguniform, uniform
from fanin.tuning import search as run_search
from fanin.tuning.search.objective import PARAMETERS
from fanin.tuning.space import plain

TRIALS, PICTURE = "trials.jsonl", "search.png"
WHOLE = ("hidden", "depth", "batch_size", "epochs", "seed")
FINE_EPOCHS = 4  # times as many, in the second stage


def search(args: argparse.Namespace) -> int:
    """``fanin search``: load, search, judge, save the best network."""
    space, fixed = _space(args.params)
    out = _fresh_folder(f"search-{Path(args.data).stem}") if args.out is None else args.out
    _check_writable(out)

    say = _teller(args)
    (X, y), (X_test, y_test), info = _load(args)
    (X, y), validation = datasets.split(X, y, test_size=args.val_size, seed=args.seed)
    if "preprocess" not in {*space, *fixed}:
        fixed["preprocess"] = _auto_preprocess(X.reshape(len(X), -1))
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
    config = {
        **_facts_of_data(args, info, X),
        "options": {k: v for k, v in vars(args).items() if k not in ("run", "out", "json")},
    }
    summary = {"out": str(out), **_results(result, (X_test, y_test), args.threads)}
    files = _save(out, result, config | {"results": summary["results"]})
    say(str(result))
    for name, value in summary["results"].items():
        say(f"the best network's {name} accuracy: {100 * value['accuracy']:.2f} %")
    say(f"saved in {out}: {', '.join(files)}")
    if args.json:
        print(json.dumps(_finite({**summary, "files": files})))
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
        history.save(out / HISTORY)
        with atomic_write(out / CONFIG) as file:
            file.write(json.dumps(_finite(config), indent=1).encode() + b"\n")
        best.network.save(out / NETWORK)
        files += [NETWORK, HISTORY, CONFIG]
    if not result.trials:
        return files
    try:
        plots.save(plots.search(result)[0].figure, out / PICTURE)
        files.append(PICTURE)
    except ImportError as error:
        print(f"fanin: note: no {PICTURE}: {error}", file=sys.stderr)
    return files
