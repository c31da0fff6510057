"""The command line: train, predict, guide, search, augment, lecture and info.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Errors are one line on stderr.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from fanin import _runtime, datasets, losses
from fanin._core import __version__
from fanin.cli.shared import UsageError, predict, train

__all__ = ["main"]

EXTRAS = {"plot": "matplotlib", "image": "pillow"}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, where argparse would print the whole usage before it."""
        self.exit(2, f"fanin: error: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Its arguments; by default those of the process.

    Returns
    -------
    int
        The exit code.

    Examples
    --------
    >>> fanin.cli.main(["train", "digits", "--epochs", "0"])
    2
    """
    try:
        args = _parser().parse_args(argv)
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except SystemExit as stop:
        return int(stop.code or 0)
    except BrokenPipeError:  # the reader has seen enough, as in `fanin predict ... | head`
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  or Python complains at its exit
        return 1
    except UsageError as error:
        return _fail(error, 2)
    except (ValueError, TypeError, OSError, ImportError, MemoryError) as error:
        return _fail(error, 1)
    except KeyboardInterrupt as stop:
        return _fail(str(stop) or "interrupted", 130)


def _fail(error: object, code: int) -> int:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        error = f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"fanin: error: {text}", file=sys.stderr)
    return code


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {least}, got {text!r}"
            )
        return number

    return parse


def _real(low: float, high: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (low < number if above else low <= number) or number > high or math.isinf(number):
            bounds = f"{'above' if above else 'at least'} {low:g}"
            if high < math.inf:
                bounds += f" and at most {high:g}"
            raise argparse.ArgumentTypeError(f"expected a number {bounds}, got {text!r}")
        return number

    return parse


def _list_of(parse: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    return lambda text: [] if text == "none" else [parse(item) for item in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fanin", description="Dense networks on the CPU, at hardware speed.")
    parser.add_argument("--version", action="version", version=f"fanin {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(commands)
    _add_predict(commands)
    _add_guide(commands)
    _add_search(commands)
    _add_augment(commands)
    _add_lecture(commands)
    info = commands.add_parser("info", help="version, instruction set, threads, extras")
    info.add_argument("--json", action="store_true", help="one JSON object on stdout")
    info.set_defaults(run=_info)
    return parser


def _add_train(commands: Any) -> None:
    parser = commands.add_parser("train", help="train a network on a data set")
    parser.add_argument(
        "data", metavar="DATA", help=f"{', '.join(datasets.NAMES)}, a .npz, a .csv or a folder"
    )

    def add(name: str, metavar: str, default: Any, parse: Callable[[str], Any], text: str) -> None:
        default_text = "" if default is None else f" (default: {default})"
        parser.add_argument(
            f"--{name}", metavar=metavar, default=default, type=parse, help=text + default_text
        )

    add("hidden", "H,H", "256", _list_of(_whole(1)), 'widths of the hidden layers, or "none"')
    add("activation", "NAME", "relu", str, "of the hidden layers")
    add("init", "NAME", "kaiming", str, "initialiser of the weights")
    add("loss", "NAME", "softmax", str, ", ".join(losses.NAMES))
    add("keep", "P,P", "1", _list_of(_real(0, 1, above=True)), "probability of keeping a unit")
    add("optimizer", "NAME", "adam", str, "of fanin.optim")
    add("lr", "RATE", None, _real(0, above=True), "learning rate (default: the optimizer's)")
    add("schedule", "NAME", "constant", str, "of the learning rate")
    add("reg", "L2", 0, _real(0), "strength of L2")
    add("augment", "WORDS", None, str, 'of images: "crop:4,flip", as of fanin.augment.parse')
    add("mix", "WORD", None, str, "of images and labels: mixup:.2 or cutmix:1")
    add("epochs", "N", 40, _whole(1), "passes over the training rows")
    add("batch-size", "N", None, _whole(1), "rows of a step (default: 128, or all if fewer)")
    add("val-size", "SHARE", 0.1, _real(0, 0.9), "of the training rows, to validate on")
    add("test-size", "SHARE", 0.2, _real(0, 0.9, above=True), "of all, where none are for testing")
    add("label", "COLUMN", None, str, "a .csv's labels (default: label, target, class or the last)")
    add("seed", "N", 0, _whole(0), "of everything random")
    add("threads", "N", None, _whole(1), "results do not depend on it (default: all there are)")
    add("out", "RUN", None, Path, "folder of the results (default: a new one, runs/<data>)")
    parser.add_argument(
        "--dtype", default="float32", choices=("float32", "float64"), help="(default: float32)"
    )
    add(
        "preprocess",
        "NAME,NAME",
        "auto",
        str,
        "none, or of center, standardize, pca, whiten, zca, some like pca:50 or pca:0.9; auto: "
        "standardize, but all features alike where they are uint8",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, only that")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    parser.set_defaults(run=train)


def _add_predict(commands: Any) -> None:
    parser = commands.add_parser(
        "predict", help="labels and probabilities as CSV, by a trained network"
    )
    add = parser.add_argument
    add("network", metavar="RUN", type=Path, help="folder that train left, or a network file")
    add("data", metavar="DATA", help="as for train; its test part where it has one, else all rows")
    add("--out", type=Path, metavar="FILE", help="where to write; without it to stdout")
    add("--threads", type=_whole(1), metavar="N")
    add("--json", action="store_true", help="one JSON object instead of CSV")
    parser.set_defaults(run=predict)


def _add_guide(commands: Any) -> None:
    parser = commands.add_parser(
        "guide", help="the lecture's seven steps on a data set: a network, and a report of the way"
    )
    add = parser.add_argument
    add("data", metavar="DATA", help="as for train")
    add("--time-budget", type=_seconds, metavar="TIME", help="seconds, or 5m, 1h: of all steps")
    add("--rounds", type=_whole(1), metavar="N", help="of steps 5 to 7, at most (default: 3)")
    add("--until", type=int, choices=range(1, 8), default=7, metavar="STEP", help="1 to 7")
    add("--hidden", type=_list_of(_whole(1)), metavar="H,H", help="where to begin (default: 256)")
    add("--start-from", metavar="FILE", help="a similar problem's report.html or network")
    add("--label", metavar="COLUMN", help="of a .csv, as for train")
    add("--test-size", type=_real(0, 0.9, above=True), default=0.2, metavar="SHARE")
    add("--seed", type=_whole(0), default=0, metavar="N", help="of everything random (default: 0)")
    add("--threads", type=_whole(1), metavar="N")
    add(
        "--out", type=Path, metavar="RUN",
        help="folder of the report; one that holds an interrupted guide goes on "
        "(default: a new one, runs/<data>)",
    )  # fmt: skip
    add("--json", action="store_true", help="one JSON object on stdout, only that")
    add("--no-progress", action="store_true", help="no progress bar")
    parser.set_defaults(run=_guide)


def _guide(args: argparse.Namespace) -> int:
    from fanin.cli.guide import guide  # as for the lecture

    return guide(args)


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


def _add_search(commands: Any) -> None:
    parser = commands.add_parser(
        "search",
        help="search for hyperparameters, and keep the best network",
        description="Each NAME is an argument of fanin.MLP or its fit, or hidden, depth or lr. A "
        "VALUE is LOW:HIGH, LOW:HIGH:log, a list A,B,C, or one value, the same for all trials. "
        "Widths of several layers: 100-50.",
    )
    add = parser.add_argument
    add("data", metavar="DATA", help="as for train")
    add(
        "params", metavar="NAME=VALUE", nargs="*", help="(default: lr=1e-4:1e-1:log reg=1e-6:1:log)"
    )
    add("--trials", type=_whole(1), default=50, metavar="N", help="(default: 50)")
    add("--epochs", type=_whole(1), default=5, metavar="N", help="of each trial (default: 5)")
    add("--strategy", default="random", metavar="NAME", help="random, grid, sobol")
    add("--prune", metavar="RULE", help="median or halving: stop poor trials (default: none)")
    add(
        "--fine", type=_whole(1), metavar="N", help="then N trials, 4 times as long, round the best"
    )
    add("--val-size", type=_real(0, 0.9, above=True), default=0.2, metavar="SHARE")
    add("--test-size", type=_real(0, 0.9, above=True), default=0.2, metavar="SHARE")
    add("--label", metavar="COLUMN", help="a .csv's labels")
    add("--seed", type=_whole(0), default=0, metavar="N", help="of everything random (default: 0)")
    add("--threads", type=_whole(1), metavar="N", help="results do not depend on it")
    add("--out", type=Path, metavar="RUN", help="folder of the results; one that holds this search "
        "already is gone on with (default: a new one, runs/search-<data>)")  # fmt: skip
    add("--json", action="store_true", help="one JSON object on stdout, only that")
    add("--no-progress", action="store_true", help="no bar, table and lines")
    parser.set_defaults(run=_search)


def _search(args: argparse.Namespace) -> int:
    from fanin.cli.search import search

    return search(args)


def _add_augment(commands: Any) -> None:
    parser = commands.add_parser(
        "augment", help="a picture of images beside what a pipeline of augmentation makes of them"
    )
    add = parser.add_argument
    add("data", metavar="DATA", help="as for train, or a folder of images of any size")
    add("--pipeline", required=True, metavar="WORDS", help='such as "crop:4,flip,jitter:.4", as '
        "fanin.augment.parse reads it, or a .json file of --json")  # fmt: skip
    add("--out", type=Path, default=Path("grid.png"), metavar="FILE", help="(default: grid.png)")
    add("--json", type=Path, metavar="FILE", help="where to write the pipeline, for "
        "fanin.augment.Compose.from_json")  # fmt: skip
    add("--rows", type=_whole(1), default=5, metavar="N", help="images (default: 5)")
    add("--variants", type=_whole(1), default=6, metavar="N", help="of each (default: 6)")
    add("--seed", type=_whole(0), metavar="N", help="of images and draws (default: 0)")
    parser.set_defaults(run=_augment)


def _augment(args: argparse.Namespace) -> int:
    from fanin.cli.augment import augment  # not all have images

    return augment(args)


def _add_lecture(commands: Any) -> None:
    parser = commands.add_parser(
        "lecture", help="each idea of the lecture, run on real data: numbers, pictures, one page"
    )
    chapters = ("all", "preprocessing", "init", "sgd", "optimizers", "ensembles", "dropout",
                "augmentation")  # fmt: skip
    add = parser.add_argument
    add("chapter", nargs="?", default="all", choices=chapters, help="(default: all)")
    add("--data", default="digits", metavar="DATA", help="as for train (default: digits)")
    add("--seed", type=_whole(0), default=0, metavar="N", help="of everything random (default: 0)")
    add("--out", type=Path, metavar="DIR", help="(default: a new one, runs/lecture)")
    parser.set_defaults(run=_lecture)


def _lecture(args: argparse.Namespace) -> int:
    from fanin.cli.lecture import lecture  # its chapters take a while to import

    return lecture(args)


def _info(args: argparse.Namespace) -> int:
    facts = _runtime.config()
    for extra, package in EXTRAS.items():
        try:
            facts[f"extra {extra}"] = f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            facts[f"extra {extra}"] = f"missing: pip install fanin[{extra}]"
    if args.json:
        print(json.dumps(facts))
    else:
        for name, value in facts.items():
            print(f"{name:12} {', '.join(value) if isinstance(value, list) else value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
