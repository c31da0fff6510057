"""What the commands share: loading data, the folder of a run and its files, what is printed."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fanin import checkpoint, datasets, plots
from fanin._core import __version__
from fanin._files import (
    FileError,
    atomic_write,
    check_target,
    finish_replacement,
    make_folder,
    mark_removed,
    read_file,
    replaced_together,
)
from fanin._json import parse_json, to_json
from fanin._typing import Array
from fanin.arrays import Table
from fanin.callbacks.history import History
from fanin.cli.options import delimiter, pixels
from fanin.document.text import visible
from fanin.ensemble import Ensemble
from fanin.network import MLP, inputs
from fanin.preprocessing import TableEncoder
from fanin.training import DivergenceWarning

TASKS = ("classification", "regression")
NETWORK, HISTORY, CONFIG, CURVES = "network.fanin", "history.json", "config.json", "curves.png"
RUN, PICTURE = (NETWORK, HISTORY, CONFIG, CURVES), ".png"


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Prints warnings on stderr, a line each, once each, at the end."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            lines = []
            for warning in caught:
                kind = "error" if warning.category is DivergenceWarning else "warning"
                lines.append(f"fanin: {kind}: {visible(' '.join(str(warning.message).split()))}")
            for line in dict.fromkeys(lines):
                print(line, file=sys.stderr)


def printer(args: argparse.Namespace) -> Callable[[object], None]:
    """Prints a line at once; nothing where stdout is for JSON alone."""
    return (lambda text: None) if args.json else tell  # noqa: ARG005


def tell(text: object) -> None:
    """Prints lines, at once, in which nothing acts on the terminal."""
    print(visible(text, lines=True), flush=True)


def note(text: str) -> None:
    """Prints a line about the run on stderr."""
    print(f"fanin: note: {visible(text)}", file=sys.stderr)


def add_data_options(parser: argparse.ArgumentParser, *, task: bool = True) -> None:
    """The options that say how the data are read, as `fanin.datasets.load` has them."""
    add = parser.add_argument_group("how files are read").add_argument
    add("--target", metavar="COLUMN", help="a table's labels or values (default: label, target, "
        "class or the last)")  # fmt: skip
    add("--label", metavar="COLUMN", help="another name of --target")
    if task:
        add("--task", choices=TASKS, help="whether the target holds classes or values (default: "
            "classes, asked for where it holds many numbers)")  # fmt: skip
    add("--header", action=argparse.BooleanOptionalAction, help="whether a table's first line "
        "holds names (default: asked for where it has numbers)")  # fmt: skip
    add("--delimiter", type=delimiter, metavar="CHAR", help="between values, or tab or space "
        "(default: comma, semicolon, tab or bar, as seen)")  # fmt: skip
    add("--encoding", metavar="NAME", help="of a table (default: utf-8)")
    add("--decimal", choices=(".", ","), help="mark of numbers (default: .)")
    add("--drop", action="append", metavar="COLUMN", help="a table's column to leave out; may be "
        "given several times")  # fmt: skip
    add("--image-size", type=pixels, metavar="HxW", help="resize images in a folder (default: they "
        "are of one size)")  # fmt: skip


def reading_options(args: argparse.Namespace) -> dict[str, Any]:
    """Those of `add_data_options` that were given, for `fanin.datasets.load`."""
    names = ("target", "label", "task", "header", "delimiter", "encoding", "decimal", "drop",
             "image_size")  # fmt: skip
    return {name: v for name in names if (v := getattr(args, name, None)) is not None}


def load_data(args: argparse.Namespace) -> Any:
    """(X, y), the test set and the `Info` of the data; says what was left out."""
    with warnings_as_lines():
        *parts, info = datasets.load(
            args.data,
            mixed=True,
            test_size=args.test_size,
            seed=args.seed,
            return_info=True,
            **reading_options(args),
        )
    if info.left_out:
        note(info.left_out)
    return *parts, info


def load_model(path: Path) -> MLP | Ensemble:
    """The network or the ensemble of a file, by its kind."""
    header, _ = checkpoint.load_archive(path, ("network", "ensemble"))
    return Ensemble.load(path) if header["kind"] == "ensemble" else MLP.load(path)


def validation_split(data: Any, info: datasets.Info, share: float, seed: int) -> tuple[Any, Any]:
    """Training and validation rows: the data's own parts, else a share of the training rows."""
    if info.validation is not None:
        return data, info.validation
    if not share:
        return data, None
    return datasets.split(*data, test_size=share, seed=seed)


def told(results: Mapping[str, float]) -> str:
    """The accuracy; of a regression RMSE and R²."""
    if "accuracy" in results:
        return f"accuracy: {100 * results['accuracy']:.2f} %"
    if "rmse" in results:
        return f"RMSE: {results['rmse']:.6g}, R²: {results['r2']:.4f}"
    return f"pinball loss: {results['pinball_loss']:.6g}"


def target_line(info: datasets.Info) -> str:
    """A line break and what the target is, or which numbers stand for classes; or ""."""
    target = "" if info.target is None else f"target {info.target!r}: "
    if info.task == "regression":
        return f"\n{target}values, which are standardised for the training and its losses"
    names = [visible(name) for name in info.class_names]
    counted = list(names) == [str(i) for i in range(len(names))]
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    if not counted and all(name.lstrip("-").isdecimal() for name in names):
        return f"\n{target}labels {shown} are mapped to classes 0 to {len(names) - 1}"
    return f"\n{target}classes {shown}" if target or not counted else ""


def encoded(
    say: Callable[[object], None], X: Any, *others: Any
) -> tuple[TableEncoder | None, list[Any]]:
    """Arrays of a table with columns of any kind, by an encoder fitted on X; arrays as they are.

    Says in a line what was made of the columns.
    """
    if not isinstance(X, Table):
        return None, [X, *others]
    encoder = TableEncoder().fit(X)
    say(f"table: {encoder.describe()}")
    return encoder, [None if part is None else encoder.transform(part) for part in (X, *others)]


def auto_preprocess(rows: Array) -> Any:
    """What `MLP.fit` takes: standardized, but all features alike where they are bytes."""
    return inputs.automatic(rows) if rows.dtype == np.uint8 else "standardize"


@contextlib.contextmanager
def results_in(folder: Path) -> Iterator[None]:
    """Makes a folder; those made that hold nothing after an exception are removed again."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    make_folder(folder)
    try:
        yield
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def results_folder(given: Path | None, name: str, files: Sequence[str] = RUN) -> Path:
    """The given one; else runs/<name>, or runs/<name>-2, ...: no run is overwritten by default.

    Fails before the training if it cannot be written, or if one of the files there is not of fanin.
    Creates nothing yet.
    """
    base = Path("runs") / (Path(name).stem or "data")
    later = (base.with_name(f"{base.name}-{n}") for n in itertools.count(2))
    folder = given or next(path for path in itertools.chain([base], later) if not path.exists())
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not place.is_dir():
        raise NotADirectoryError(f"{place}: expected a folder for the results, got a file")
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise OSError(f"{place}: cannot write the results here ({error.strerror})") from None
    finish_replacement(folder)
    refuse_others(folder, files)
    return folder


def refuse_others(folder: Path, files: Sequence[str]) -> None:
    """Raises where one of the files is there and not of fanin, so that no run overwrites it."""
    there = [folder / name for name in files if check_target(folder / name) is not None]
    ours = {path: _is_ours(path) for path in there if path.suffix != PICTURE}
    for path in there:
        if not ours.get(path, any(ours.values())):  # a picture is known by its company
            raise FileError(
                path, "expected a file of an earlier run, got another: move it, or name another "
                "folder as --out"
            )  # fmt: skip


def _is_ours(path: Path) -> bool:
    """Whether a file is of a run, as far as its beginning or its names tell."""
    data = read_file(path)
    if path.suffix == ".json":
        try:
            record = parse_json(data, path)
        except FileError:
            return False
        return "fanin" in record or {"history", "epoch", "stop_reason"} <= set(record)
    return (b"fanin" if path.suffix == ".html" else b"header.npy") in data


def data_facts(args: argparse.Namespace, info: datasets.Info, X: Array) -> dict[str, Any]:
    """What a network keeps of its data, as its ``metadata``: `fanin predict` needs them."""
    how = reading_options(args)
    for name in ("target", "label", "task", "drop"):
        how.pop(name, None)
    names = info.feature_names
    return {
        "task": info.task,
        "class_names": list(info.class_names),
        "feature_names": None if names is None else list(names),
        "target": info.target,
        "shape": list(X.shape[1:]),
        "reading": {name: list(v) if isinstance(v, tuple) else v for name, v in how.items()},
    }


def data_config(
    args: argparse.Namespace, facts: Mapping[str, Any], info: datasets.Info
) -> dict[str, Any]:
    """The data's part of a run's config.json, which is for people."""
    return {"fanin": __version__, "data": args.data, "source": info.source, **facts}


def options_config(args: argparse.Namespace) -> dict[str, Any]:
    """The options of a run, but for where and how its results are written."""
    return {n: v for n, v in vars(args).items() if n not in ("run", "out", "json", "resume")}


def save_run(folder: Path, net: MLP, history: History | None, config: dict[str, Any]) -> list[str]:
    """Writes a run's files, all or none; returns their names."""
    with replaced_together(folder) as new:
        history = history or History()
        files = write_network(new, net, history, config)
        return files + write_picture(new / CURVES, lambda: plots.history(history))


def write_network(
    folder: Path, net: MLP, history: History | None, config: dict[str, Any]
) -> list[str]:
    """Writes what every run has into a folder of `replaced_together`; returns the names."""
    net.save(folder / NETWORK)
    (history or History()).save(folder / HISTORY)
    with atomic_write(folder / CONFIG) as file:
        file.write(to_json(without_nan(config), indent=1) + b"\n")
    return [NETWORK, HISTORY, CONFIG]


def write_picture(path: Path, draw: Callable[[], Array]) -> list[str]:
    """Writes the figure of the axes and returns its name; says so if matplotlib is missing."""
    try:
        plots.save(draw()[0].figure, path)
    except ImportError as error:
        mark_removed(path)
        note(f"no {path.name}: {error}")
        return []
    return [path.name]


def without_nan(value: Any) -> Any:
    """The value with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
