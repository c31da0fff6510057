"""What the commands ``fanin train`` and ``fanin predict`` do."""

from __future__ import annotations

import argparse
import contextlib
import csv
import functools
import io
import json
import math
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fanin import datasets, initializers, losses, optim, plots, preprocessing, schedules
from fanin._core import __version__
from fanin._files import atomic_write
from fanin.callbacks.history import History
from fanin.layers.dense import activation_code
from fanin.network import MLP, inputs
from fanin.preprocessing.base import Transformer
from fanin.training import DivergenceWarning
from fanin.tuning import loss_curve

NETWORK, HISTORY, CONFIG, CURVES = "network.fanin", "history.json", "config.json", "curves.png"
STEPS: dict[str, Callable[[], Transformer]] = {
    "center": preprocessing.ZeroCenter,
    "standardize": preprocessing.Normalize,
    "pca": preprocessing.PCA,
    "whiten": preprocessing.Whiten,
    "zca": functools.partial(preprocessing.Whiten, method="zca"),
}
VERBS = {"train": "train on", "validation": "validate on", "test": "test on"}


class UsageError(Exception):
    """Options that do not make sense: exit code 2."""


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                kind = "error" if warning.category is DivergenceWarning else "warning"
                text = " ".join(str(warning.message).split())
                print(f"fanin: {kind}: {text}", file=sys.stderr)


def _facts_of_data(args: argparse.Namespace, info: Any, X: Any) -> dict[str, Any]:
    """What the config.json of every run tells of its data."""
    return {
        "fanin": __version__,
        "data": args.data,
        "source": info.source,
        "class_names": info.class_names,
        "feature_names": info.feature_names,
        "shape": X.shape[1:],
    }


def _teller(args: argparse.Namespace) -> Callable[[object], None]:
    """What prints a line at once; nothing where stdout is for JSON alone."""

    def say(text: object) -> None:
        if not args.json:
            print(text, flush=True)

    return say


def _load(args: argparse.Namespace) -> Any:
    """(X, y), the test part and what is known of the data."""
    return datasets.load(
        args.data, test_size=args.test_size, seed=args.seed, label=args.label, return_info=True
    )


def train(args: argparse.Namespace) -> int:
    """``fanin train``: load, train, judge, save."""
    optimizer = _checked_options(args)
    out = _fresh_folder(args.data) if args.out is None else args.out
    _check_writable(out)

    say = _teller(args)
    (X, y), (X_test, y_test), info = _load(args)
    parts = {"train": (X, y)}
    if args.val_size:
        parts["train"], parts["validation"] = datasets.split(
            X, y, test_size=args.val_size, seed=args.seed
        )
    parts["test"] = X_test, y_test
    X, y = parts["train"]
    net = _network(args, X, len(info.class_names))
    say(
        f"{info.name}: "
        + ", ".join(f"{len(y)} rows to {VERBS[name]}" for name, (_, y) in parts.items())
        + f"; {math.prod(X.shape[1:])} features, {net.dims[-1]} classes"
    )
    say(f"network {'-'.join(map(str, net.dims))}, {net.n_params} parameters; {optimizer!r}")
    initial = net.evaluate(X, y, n_threads=args.threads)["loss"]
    expected = losses.expected_initial_loss(net.loss_name, net.dims[-1])
    say(f"initial loss {initial:.4f}" + ("" if expected is None else f", expected {expected:.4f}"))
    config = {
        **_facts_of_data(args, info, X),
        "options": {k: v for k, v in vars(args).items() if k not in ("run", "out", "json")},
    }
    with _warnings_as_lines():
        try:
            history = net.fit(
                X,
                y,
                validation_data=parts.get("validation"),
                epochs=args.epochs,
                batch_size=min(128, len(X)) if args.batch_size is None else args.batch_size,
                optimizer=optimizer,
                reg=args.reg,
                schedule=args.schedule,
                **_augmentation(args, X.shape[1:3]),
                progress=not (args.json or args.no_progress),
                n_threads=args.threads,
            )
        except KeyboardInterrupt:
            _save_run(out, net, net.history or History(), config)
            raise KeyboardInterrupt(
                f"interrupted; the network after its last whole step is in {out}"
            ) from None
    results = {name: net.evaluate(*part, n_threads=args.threads) for name, part in parts.items()}
    history.initial_loss = initial  # over all training rows, where fit takes the first minibatch's
    verdict = loss_curve(history)
    files = _save_run(out, net, history, config | {"results": results})
    say(f"trained {len(history.epoch)} epochs in {history.seconds:.1f} s")
    say("accuracy: " + ", ".join(f"{n} {100 * r['accuracy']:.2f} %" for n, r in results.items()))
    say(f"verdict\n{_indented(str(verdict))}")
    say(f"saved in {out}: {', '.join(files)}")
    if args.json:
        summary = {
            "out": str(out),
            "files": files,
            "network": net.config(),
            "rows": {name: len(labels) for name, (_, labels) in parts.items()},
            "initial_loss": initial,
            "expected_initial_loss": expected,
            "results": results,
            "verdict": verdict.to_dict(),
            "history": history.to_dict(),
        }
        print(json.dumps(_finite(config | summary)))
    return 1 if history.stop_reason == "diverged" else 0


def _transformers(text: str) -> list[Transformer]:
    """Those that an option such as "standardize,pca:50" names."""
    steps: list[Transformer] = []
    for item in text.split(","):
        name, _, count = item.partition(":")
        if name not in STEPS or (count and name in ("center", "standardize")):
            known = "auto, none, or of center, standardize, pca, whiten, zca, some like pca:50"
            raise UsageError(f"--preprocess: expected {known}, got {item!r}")
        steps.append(STEPS[name]())
        if count:
            try:
                steps[-1].set_params(n_components=float(count) if "." in count else int(count))
            except ValueError:
                raise UsageError(
                    f"--preprocess: expected a number of components or a share of the variance "
                    f"below 1, got {item!r}"
                ) from None
    return steps


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _checked_options(args: argparse.Namespace) -> optim.Optimizer:
    """The optimizer; a name that nobody knows fails here, before any data are read."""
    try:
        activation_code("activation", args.activation)
        initializers.get(args.init)
        schedules.get(args.schedule)
        if args.preprocess not in ("auto", "none"):
            _transformers(args.preprocess)
        _augmentation(args, (32, 32))
        if args.loss not in losses.NAMES:
            raise ValueError(f"loss: expected one of {', '.join(losses.NAMES)}; got {args.loss!r}")
        if len(args.keep) not in (1, len(args.hidden)):
            raise ValueError(
                f"keep: expected one value or one for each of {len(args.hidden)} hidden layers, "
                f"got {len(args.keep)}"
            )
        return optim.get(args.optimizer, **({} if args.lr is None else {"lr": args.lr}))
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from None


def _augmentation(args: argparse.Namespace, size: tuple[int, ...]) -> dict[str, Any]:
    """The arguments of fit that `--augment` and `--mix` stand for, for images of that size."""
    given = {name: text for name in ("augment", "mix") if (text := getattr(args, name)) is not None}
    if not given:
        return {}
    from fanin.augment import Compose, CutMix, Mixup, parse

    found: dict[str, Any] = {}
    for name, text in given.items():
        try:  # rows are no images: fit says so
            found[name] = parse(text, size if len(size) == 2 else (32, 32))
        except ValueError as error:
            raise ValueError(str(error).replace("spec", f"--{name}", 1)) from None
    if "augment" in found:
        found["augment"] = Compose(found["augment"], seed=args.seed)
    if "mix" in found:
        if len(found["mix"]) != 1 or not isinstance(found["mix"][0], (Mixup, CutMix)):
            raise ValueError(f"--mix: expected mixup:ALPHA or cutmix:ALPHA, got {given['mix']!r}")
        found["mix"] = found["mix"][0]
    return found


def _network(args: argparse.Namespace, X: NDArray[Any], n_classes: int) -> MLP:
    rows = X.reshape(len(X), -1)
    width, preprocess = rows.shape[1], args.preprocess
    if preprocess == "auto":
        preprocess = _auto_preprocess(rows)
    elif preprocess != "none":
        steps, _ = inputs.fitted(_transformers(preprocess), rows, args.threads)
        width, preprocess = steps[-1].n_features_out_, steps
    net = MLP(
        [width, *args.hidden, n_classes],
        activation=args.activation,
        init=args.init,
        loss=args.loss,
        keep=args.keep[0] if len(args.keep) == 1 else args.keep,
        dtype=args.dtype,
        seed=args.seed,
    )
    if preprocess != "none":
        net.set_preprocess(preprocess, rows)
    return net


def _auto_preprocess(rows: NDArray[Any]) -> Any:
    if rows.dtype == np.uint8:
        # One mean and scale for all pixels: those that are nearly always 0 stay so.
        return rows.mean(), 1 / (rows.std() or 1.0)
    return "standardize"


def _fresh_folder(data: str) -> Path:
    """runs/<data>, or runs/<data>-2, ... where that is taken: no run is overwritten unasked."""
    base = Path("runs") / (Path(data).stem or "data")
    candidates = (base if n == 1 else base.with_name(f"{base.name}-{n}") for n in range(1, 10**6))
    return next(folder for folder in candidates if not folder.exists())


def _check_writable(folder: Path) -> None:
    """Fails before the training, not after it; leaves nothing."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(f"{place}: expected a folder for the results, got a file")
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise OSError(f"{place}: cannot write the results here ({error.strerror})") from None


def _save_run(folder: Path, net: MLP, history: History, config: dict[str, Any]) -> list[str]:
    """Writes the run's files, each whole or not at all, the network last."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [NETWORK, HISTORY, CONFIG]
    history.save(folder / HISTORY)
    with atomic_write(folder / CONFIG) as file:
        file.write(json.dumps(_finite(config), indent=1).encode() + b"\n")
    try:
        plots.save(plots.history(history)[0].figure, folder / CURVES)
        files.append(CURVES)
    except ImportError as error:
        (folder / CURVES).unlink(missing_ok=True)  # of an earlier run
        print(f"fanin: note: no {CURVES}: {error}", file=sys.stderr)
    net.save(folder / NETWORK)
    return files


def _finite(value: Any) -> Any:
    """JSON has no NaN: null stands for it."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def predict(args: argparse.Namespace) -> int:
    """``fanin predict``: labels and probabilities of the rows of a data set."""
    folder = args.network if args.network.is_dir() else None
    net = MLP.load(args.network if folder is None else folder / NETWORK)
    classes, columns = _names(folder, net.dims[-1])
    X = datasets.features(args.data, feature_names=columns)
    soft = net.loss_name == "softmax"
    compute = net.predict_proba if soft else net.scores
    values = compute(X, n_threads=args.threads)
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
        with atomic_write(args.out) as file:
            file.write(text.getvalue().encode())
    return 0


def _names(folder: Path | None, n_classes: int) -> tuple[list[str], list[str] | None]:
    """Names of the classes and of the .csv's columns, where the run's folder tells."""
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
