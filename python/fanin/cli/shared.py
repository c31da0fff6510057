"""What the commands share: loading data, the folder of a run and its files, what is printed."""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import math
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fanin import datasets, plots
from fanin._core import __version__
from fanin._files import write_text
from fanin._typing import Array
from fanin.callbacks.history import History
from fanin.network import MLP, inputs
from fanin.training import DivergenceWarning

NETWORK, HISTORY, CONFIG, CURVES = "network.fanin", "history.json", "config.json", "curves.png"


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Prints warnings on stderr, a line each, at the end."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                kind = "error" if warning.category is DivergenceWarning else "warning"
                text = " ".join(str(warning.message).split())
                print(f"fanin: {kind}: {text}", file=sys.stderr)


def printer(args: argparse.Namespace) -> Callable[[object], None]:
    """Prints a line at once; nothing where stdout is for JSON alone."""
    return (lambda text: None) if args.json else functools.partial(print, flush=True)  # noqa: ARG005


def load_data(args: argparse.Namespace) -> Any:
    """(X, y), the test set and the `Info` of the data."""
    return datasets.load(
        args.data, test_size=args.test_size, seed=args.seed, label=args.label, return_info=True
    )


def auto_preprocess(rows: Array) -> Any:
    """What `MLP.fit` takes: standardized, but all features alike where they are bytes."""
    return inputs.automatic(rows) if rows.dtype == np.uint8 else "standardize"


def results_folder(given: Path | None, name: str) -> Path:
    """The given one; else runs/<name>, or runs/<name>-2, ...: no run is overwritten by default.

    Fails before the training if it cannot be written. Creates nothing yet.
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
    return folder


def data_config(args: argparse.Namespace, info: Any, X: Array) -> dict[str, Any]:
    """The data's part of a run's config.json."""
    return {
        "fanin": __version__,
        "data": args.data,
        "source": info.source,
        "class_names": info.class_names,
        "feature_names": info.feature_names,
        "shape": X.shape[1:],
    }


def options_config(args: argparse.Namespace) -> dict[str, Any]:
    """The options of a run, but for where and how its results are written."""
    return {name: v for name, v in vars(args).items() if name not in ("run", "out", "json")}


def save_network(
    folder: Path, net: MLP, history: History | None, config: dict[str, Any], *, curves: bool = True
) -> list[str]:
    """Writes a run's files atomically, the network last; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    history = history or History()
    history.save(folder / HISTORY)
    write_text(folder / CONFIG, json.dumps(without_nan(config), indent=1) + "\n")
    picture = save_picture(folder / CURVES, lambda: plots.history(history)) if curves else []
    net.save(folder / NETWORK)
    return [NETWORK, HISTORY, CONFIG, *picture]


def save_picture(path: Path, draw: Callable[[], Array]) -> list[str]:
    """Writes the figure of the axes and returns its name; says so if matplotlib is missing."""
    try:
        plots.save(draw()[0].figure, path)
    except ImportError as error:
        path.unlink(missing_ok=True)  # of an earlier run
        print(f"fanin: note: no {path.name}: {error}", file=sys.stderr)
        return []
    return [path.name]


def without_nan(value: Any) -> Any:
    """The value with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
