"""``fanin predict``: labels and probabilities, or values, of the rows of a data set."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fanin import datasets
from fanin._files import FileError, current_file, read_file, write_text
from fanin._json import from_json, parse_json
from fanin._typing import Array
from fanin.cli import regression, shared
from fanin.cli.options import whole
from fanin.document.text import visible
from fanin.ensemble import Ensemble
from fanin.network import MLP

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?|inf|nan)")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "A line for each row: its number, counted from 0, or the file's name, then the label and "
        "the probabilities, or the value. Where labels are there, says how good that is."
    )
    add = parser.add_argument
    add("network", metavar="RUN", type=Path, help="folder of a training run, or the file of a "
        "network or an ensemble")  # fmt: skip
    add("data", metavar="DATA", help="as for train; its test set if it has one, else all rows; or "
        "one image, or a folder of them")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="output file (default: stdout)")
    add("--threads", type=whole(1), metavar="N")
    add("--json", action="store_true", help="one JSON object instead of CSV")
    add("--raw", action="store_true", help="text of CSV as it is, also where a spreadsheet "
        "would take it for a formula (default: an apostrophe before it)")  # fmt: skip
    shared.add_data_options(parser, task=False)


@shared.warnings_as_lines()
def run(args: argparse.Namespace) -> int:
    folder = args.network if args.network.is_dir() else None
    net = shared.load_model(
        args.network if folder is None else current_file(folder / shared.NETWORK)
    )
    first = net.members[0] if isinstance(net, Ensemble) else net
    facts = first.metadata or _older_facts(folder, first.targets.n_classes)
    found = _rows(args, facts, first)
    if found.left_out:
        shared.note(found.left_out)
    names = found.names or range(len(found.X))
    result: dict[str, Any] = {} if found.names is None else {"files": found.names}
    if facts["task"] == "regression":
        columns, cells, metrics = _values(net, found, facts, result, args.threads)
    else:
        columns, cells, metrics = _classes(net, found, facts, result, args.threads)
    text = io.StringIO()
    if args.json:
        json.dump(shared.without_nan(result | {"metrics": metrics}), text)
        text.write("\n")
    else:
        writer = csv.writer(text, lineterminator="\n")
        cell = str if args.raw else safe_cell
        writer.writerow(["row" if found.names is None else "file", *map(cell, columns)])
        writer.writerows(
            [cell(name), *map(cell, row)] for name, row in zip(names, cells, strict=True)
        )
    if args.out is None:
        sys.stdout.write(text.getvalue())
    else:
        write_text(args.out, text.getvalue())
    if not args.json:
        _tell(metrics, len(found.X))
    return 0


def _rows(args: argparse.Namespace, facts: Mapping[str, Any], net: MLP) -> datasets.Rows:
    """The data, read as those of the training were where no option says otherwise."""
    given = shared.reading_options(args)
    if "label" in given:
        given["target"] = given.pop("label")
    options = {"target": facts["target"], "task": facts["task"], **facts["reading"], **given}
    if (table := net.inputs.table) is not None:
        kinds = {c.name: c.kind for c in table.columns_}
        options |= {"mixed": True, "kinds": kinds}
    shape = facts["shape"]
    images = shape is not None and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))
    channels = (1 if len(shape) == 2 else 3) if images else None
    found = datasets.rows(
        args.data, feature_names=facts["feature_names"], channels=channels, **options
    )
    if found.names is not None and shape is not None and list(found.X.shape[1:]) != shape:
        expected, got = (" x ".join(map(str, edges)) for edges in (shape, found.X.shape[1:]))
        raise ValueError(
            f"{args.data}: expected images of {expected} as in training, got {got}; "
            "--image-size resizes"
        )
    return found


def safe_cell(value: object) -> str:
    """A cell of a table that a spreadsheet takes as it is, for text that data or files named.

    Text that would begin a formula gets an apostrophe before it, as is the custom (OWASP, "CSV
    injection"); numbers stay. Control characters are as Python writes them.
    """
    text = str(value)
    formula = text.startswith(FORMULA) and not NUMBER.fullmatch(text)
    return f"'{visible(text)}" if formula else visible(text)


Output = tuple[list[str], list[list[Any]], dict[str, float] | None]  # columns, cells, metrics


def _classes(
    net: MLP | Ensemble,
    found: datasets.Rows,
    facts: Mapping[str, Any],
    result: dict[str, Any],
    n_threads: int | None,
) -> Output:
    classes = facts["class_names"]
    soft = isinstance(net, Ensemble) or net.targets.loss.gives_probabilities
    values = (net.predict_proba if soft else net.scores)(found.X, n_threads=n_threads)
    labels = [classes[i] for i in values.argmax(axis=1)]
    kind = "probabilities" if soft else "scores"
    result |= {"class_names": classes, "labels": labels, kind: values.tolist()}
    columns = ["label", *(f"{'p' if soft else 'score'}_{name}" for name in classes)]
    cells = [
        [label, *(f"{value:.6g}" for value in row)]
        for label, row in zip(labels, values.tolist(), strict=True)
    ]
    at = {name: i for i, name in enumerate(classes)}
    y = np.array([at.get(label, -1) for label in found.labels or ()])
    if not (y >= 0).any():
        return columns, cells, None
    known = y >= 0
    judged = net.evaluate(found.X[known], y[known], n_threads=n_threads)
    told = {name: judged[name] for name in ("loss", "accuracy")}
    return columns, cells, {"rows": int(known.sum()), **told}


def _values(
    net: MLP | Ensemble,
    found: datasets.Rows,
    facts: Mapping[str, Any],
    result: dict[str, Any],
    n_threads: int | None,
) -> Output:
    values: Array = net.predict(found.X, n_threads=n_threads)
    first = net.members[0] if isinstance(net, Ensemble) else net
    loss, name = first.targets.loss, facts["target"] or "prediction"
    several = len(loss.levels) > 1
    columns = [f"{name}_q{level:g}" for level in loss.levels] if several else [name]
    result["predictions"] = (values if several else values[:, 0]).tolist()
    if several:
        result["quantiles"] = list(loss.levels)
    cells = [[f"{value:.9g}" for value in row] for row in values]
    if found.labels is None:
        return columns, cells, None
    y = np.asarray(found.labels, dtype=np.float64)
    known = np.isfinite(y)
    if not known.any():
        return columns, cells, None
    judged = regression.judge(net, found.X[known], y[known], n_threads=n_threads)
    return columns, cells, {"rows": int(known.sum()), **judged}


def _tell(metrics: Mapping[str, float] | None, n_rows: int) -> None:
    """How good the predictions are, on stderr: stdout may be the table."""
    if metrics is None:
        return
    rows = f"{metrics['rows']} of {n_rows} rows with a known label"
    loss = f", loss: {metrics['loss']:.4f}" if "loss" in metrics else ""
    shared.note(f"{rows}: {shared.told(metrics)}{loss}")


def _older_facts(folder: Path | None, n_classes: int) -> dict[str, Any]:
    """Of a network without metadata: from the config.json of its run; else numbers for classes."""
    facts: dict[str, Any] = {
        "task": "classification",
        "class_names": [str(i) for i in range(n_classes)],
        "feature_names": None,
        "target": None,
        "shape": None,
        "reading": {},
    }
    if folder is None:
        return facts
    path = folder / shared.CONFIG
    data = read_file(path)
    try:
        config = from_json(data, path) if b'"sha256"' in data else parse_json(data, path)
        classes, columns = config["class_names"], config["feature_names"]
        good = all(
            isinstance(names, list) and all(isinstance(name, str) for name in names)
            for names in (classes, [] if columns is None else columns)
        )
        target = config.get("options", {}).get("label")
    except (ValueError, KeyError, TypeError, AttributeError):
        good = False
    if not good or len(classes) != n_classes:
        raise FileError(path, f"expected the configuration of a run of {n_classes} classes")
    return {**facts, "class_names": classes, "feature_names": columns, "target": target}
