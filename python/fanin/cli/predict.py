"""``fanin predict``: labels and probabilities of the rows of a data set."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from pathlib import Path

from fanin import datasets
from fanin._files import write_text
from fanin.cli.options import whole
from fanin.cli.shared import CONFIG, NETWORK
from fanin.network import MLP


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("network", metavar="RUN", type=Path, help="folder of a training run, or a network file")
    add("data", metavar="DATA", help="as for train; its test set if it has one, else all rows")
    add("--out", type=Path, metavar="FILE", help="output file (default: stdout)")
    add("--threads", type=whole(1), metavar="N")
    add("--json", action="store_true", help="one JSON object instead of CSV")


def run(args: argparse.Namespace) -> int:
    folder = args.network if args.network.is_dir() else None
    net = MLP.load(args.network if folder is None else folder / NETWORK)
    classes, columns = _names(folder, net.dims[-1])
    X = datasets.features(args.data, feature_names=columns)
    soft = net.loss_name == "softmax"
    values = (net.predict_proba if soft else net.scores)(X, n_threads=args.threads)
    labels = [classes[i] for i in values.argmax(axis=1)]
    text = io.StringIO()
    if args.json:
        kind = "probabilities" if soft else "scores"
        json.dump({"class_names": classes, "labels": labels, kind: values.tolist()}, text)
        text.write("\n")
    else:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["label", *(f"{'p' if soft else 'score'}_{name}" for name in classes)])
        for label, row in zip(labels, values.tolist(), strict=True):
            writer.writerow([label, *(f"{value:.6g}" for value in row)])
    if args.out is None:
        sys.stdout.write(text.getvalue())
    else:
        write_text(args.out, text.getvalue())
    return 0


def _names(folder: Path | None, n_classes: int) -> tuple[list[str], list[str] | None]:
    """Of classes and columns, as the run in that folder has them; else numbers, and no columns."""
    if folder is None:
        return [str(i) for i in range(n_classes)], None
    path = folder / CONFIG
    try:
        config = json.loads(path.read_bytes())
        classes, columns = config["class_names"], config["feature_names"]
        good = all(
            isinstance(names, list) and all(isinstance(name, str) for name in names)
            for names in (classes, [] if columns is None else columns)
        )
    except (ValueError, KeyError, TypeError):
        good = False
    if not good or len(classes) != n_classes:
        raise ValueError(f"{path}: expected the configuration of a run of {n_classes} classes")
    return classes, columns
