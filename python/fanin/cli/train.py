"""``fanin train``: load, train, judge, save."""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fanin import (
    _validate,
    datasets,
    initializers,
    losses,
    metrics,
    optim,
    preprocessing,
    schedules,
)
from fanin._typing import Array
from fanin.callbacks.history import History
from fanin.cli import shared
from fanin.cli.options import UsageError, list_of, real, whole
from fanin.network import MLP, inputs
from fanin.network.mlp import HIDDEN_ACTIVATIONS
from fanin.network.options import FitOptions
from fanin.preprocessing.base import Transformer
from fanin.tuning import loss_curve

# Options that are arguments of MLP and of its fit, and have their defaults from there.
NETWORK = ("activation", "norm", "residual", "init", "loss", "keep", "dtype", "seed")
FIT = ("optimizer", "schedule", "reg", "augment", "mix", "class_weight", "epochs", "batch_size")
_ARGUMENTS = inspect.signature(MLP).parameters
DEFAULTS: dict[str, Any] = {
    **{name: _ARGUMENTS[name].default for name in NETWORK},
    **{name: getattr(FitOptions, name) for name in FIT},
    "keep": f"{_ARGUMENTS['keep'].default:g}",  # as on the command line: it becomes a list
    # Those of the command.
    "hidden": "256",
    "schedule": "constant",
    "epochs": 40,
    "batch_size": None,  # stands for that of fit
    "val_size": 0.1,
    "test_size": 0.2,
    "preprocess": "auto",
    "metrics": "none",
}

STEPS: dict[str, Callable[[], Transformer]] = {
    "center": preprocessing.ZeroCenter,
    "standardize": preprocessing.Normalize,
    "pca": preprocessing.PCA,
    "whiten": preprocessing.Whiten,
    "zca": functools.partial(preprocessing.Whiten, method="zca"),
}
VERBS = {"train": "train on", "validation": "validate on", "test": "test on"}

Parts = Mapping[str, tuple[Array, Array]]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data", metavar="DATA", help=f"{', '.join(datasets.NAMES)}, a .npz, a .csv or a folder"
    )

    def add(
        name: str, metavar: str | None, parse: Callable[[str], Any], text: str, **more: Any
    ) -> None:
        default = DEFAULTS.get(name.replace("-", "_"))
        if isinstance(default, float) and default.is_integer():
            default = int(default)  # 1 is shown, not 1.0
        if default is not None:
            text += f" (default: {default})"
        more |= {"metavar": metavar, "default": default, "type": parse, "help": text}
        parser.add_argument(f"--{name}", **more)

    add("hidden", "H,H", list_of(whole(1)), 'widths of the hidden layers, or "none"')
    add("activation", "NAME", str, "of the hidden layers")
    add("norm", None, str, "normalises the sums of hidden layers", choices=("layer", "batch"))
    parser.add_argument("--residual", action="store_true", help="a skip round every hidden layer "
        "that is as wide as its input")  # fmt: skip
    add("init", "NAME", str, "initialiser of the weights")
    add("loss", "NAME", str, ", ".join(losses.NAMES))
    add("keep", "P,P", list_of(real(0, 1, above=True)), "probability of keeping a unit")
    add("optimizer", "NAME", str, "of fanin.optim")
    add("lr", "RATE", real(0, above=True), "learning rate (default: the optimizer's)")
    add("schedule", "NAME", str, "of the learning rate")
    add("reg", "L2", real(0), "strength of L2")
    add("class-weight", "WEIGHTS", str, "balanced, or a weight for classes: spam=5,ham=1")
    add(
        "metrics", "NAME,NAME", list_of(str), f"beside the accuracy: {', '.join(metrics.OF_LABELS)}"
    )
    add("augment", "WORDS", str, 'of images: "crop:4,flip", as of fanin.augment.parse')
    add("mix", "WORD", str, "of images and labels: mixup:.2 or cutmix:1")
    add("epochs", "N", whole(1), "passes over the training rows")
    add("batch-size", "N", whole(1), "rows per step (default: 128, or all if fewer)")
    add("val-size", "SHARE", real(0, 0.9), "of the training rows, to validate on")
    add("test-size", "SHARE", real(0, 0.9, above=True),
        "of all rows, if the data have no test set")  # fmt: skip
    add("label", "COLUMN", str, "a .csv's labels (default: label, target, class or the last)")
    add("seed", "N", whole(0), "of everything random")
    add("threads", "N", whole(1), "results do not depend on it (default: all there are)")
    add("out", "RUN", Path, "folder of the results (default: a new one, runs/<data>)")
    add("dtype", None, str, "", choices=("float32", "float64"))
    add("preprocess", "NAME,NAME", str, f"none, or of {', '.join(STEPS)}, some like pca:50 or "
        "pca:0.9; auto: standardize, but all features alike where they are uint8")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, only that")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    optimizer = _checked_options(args)
    out = shared.results_folder(args.out, args.data)
    say = shared.printer(args)
    data, test, info = shared.load_data(args)
    parts: Parts = {"train": data, "test": test}
    if args.val_size:
        train, validation = datasets.split(*data, test_size=args.val_size, seed=args.seed)
        parts = {"train": train, "validation": validation, "test": test}
    X, y = parts["train"]
    net = _network(args, X, len(info.class_names))
    say(_summary(info.name, parts, net))
    say(f"network {'-'.join(map(str, net.dims))}, {net.n_params} parameters; {optimizer!r}")
    initial = net.evaluate(X, y, n_threads=args.threads)["loss"]
    expected = losses.expected_initial_loss(net.loss_name, net.dims[-1])
    say(f"initial loss {initial:.4f}" + ("" if expected is None else f", expected {expected:.4f}"))
    config = {**shared.data_config(args, info, X), "options": shared.options_config(args)}
    with shared.warnings_as_lines():
        try:
            history = _fit(args, net, parts, optimizer, info.class_names)
        except KeyboardInterrupt:
            shared.save_network(out, net, net.history, config)
            raise KeyboardInterrupt(
                f"interrupted; the network after its last whole step is in {out}"
            ) from None
    with shared.warnings_as_lines():
        results = {name: _evaluate(args, net, *part) for name, part in parts.items()}
    history.initial_loss = initial  # over all training rows, where fit takes the first minibatch's
    verdict = loss_curve(history)
    files = shared.save_network(out, net, history, config | {"results": results})
    say(f"trained {len(history.epoch)} epochs in {history.seconds:.1f} s")
    say("accuracy: " + ", ".join(f"{n} {100 * r['accuracy']:.2f} %" for n, r in results.items()))
    for metric in args.metrics:
        say(f"{metric}: " + ", ".join(f"{n} {_text(r[metric])}" for n, r in results.items()))
    say("\n  ".join(["verdict", *str(verdict).splitlines()]))
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
        print(json.dumps(shared.without_nan(config | summary)))
    return 1 if history.stop_reason == "diverged" else 0


def _summary(name: str, parts: Parts, net: MLP) -> str:
    rows = ", ".join(f"{len(y)} rows to {VERBS[name]}" for name, (_, y) in parts.items())
    features = math.prod(parts["train"][0].shape[1:])
    return f"{name}: {rows}; {features} features, {net.dims[-1]} classes"


def _evaluate(args: argparse.Namespace, net: MLP, X: Array, y: Array) -> dict[str, Any]:
    """As JSON has it."""
    result = net.evaluate(X, y, metrics=args.metrics, n_threads=args.threads)
    return {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in result.items()}


def _text(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _fit(
    args: argparse.Namespace,
    net: MLP,
    parts: Parts,
    optimizer: optim.Optimizer,
    class_names: Sequence[str],
) -> History:
    X, y = parts["train"]
    given = {**vars(args), "optimizer": optimizer, **_augmentation(args, X.shape[1:3])}
    given["batch_size"] = args.batch_size or FitOptions.batch_size
    given["class_weight"] = _class_weight(args.class_weight, class_names)
    options = {name: given[name] for name in FIT}
    bar, judge = not (args.json or args.no_progress), parts.get("validation")
    if judge is not None:  # curves have a number for each epoch
        options["metrics"] = [name for name in args.metrics if name != "confusion_matrix"]
    return net.fit(X, y, validation_data=judge, progress=bar, n_threads=args.threads, **options)


def _class_weight(text: str | None, names: Sequence[str]) -> Any:
    """The argument of fit for ``--class-weight``: weights by the classes' names."""
    if text is None or text == "balanced":
        return text
    weights: dict[int, float] = {}
    for item in text.split(","):
        name, equals, weight = item.rpartition("=")
        if not equals:
            expected = "balanced or NAME=WEIGHT,NAME=WEIGHT"
            raise UsageError(f"--class-weight: expected {expected}, got {item!r}")
        if name not in names:
            known = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            raise UsageError(f"--class-weight: expected one of {known}, got {name!r}")
        try:
            weights[list(names).index(name)] = float(weight)
        except ValueError:
            raise UsageError(f"--class-weight: expected a number, got {item!r}") from None
    return weights


def _checked_options(args: argparse.Namespace) -> optim.Optimizer:
    """The optimizer; an unknown name fails here, before any data are read."""
    try:
        _validate.one_of("activation", args.activation, HIDDEN_ACTIVATIONS)
        initializers.get(args.init)
        schedules.get(args.schedule)
        if args.preprocess not in ("auto", "none"):
            _transformers(args.preprocess)
        _augmentation(args, (32, 32))
        _validate.one_of("loss", args.loss, losses.NAMES)
        metrics.check_targets(metrics.check_names(args.metrics), "labels", args.loss)
        if len(args.keep) not in (1, len(args.hidden)):
            raise ValueError(
                f"keep: expected one value or one for each of {len(args.hidden)} hidden layers, "
                f"got {len(args.keep)}"
            )
        return optim.get(args.optimizer, **({} if args.lr is None else {"lr": args.lr}))
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from None


def _augmentation(args: argparse.Namespace, size: tuple[int, ...]) -> dict[str, Any]:
    """The arguments of fit for `--augment` and `--mix`, for images of that size."""
    found: dict[str, Any] = {}
    for name, text in (("augment", args.augment), ("mix", args.mix)):
        if text is None:
            continue
        from fanin.augment import Compose, CutMix, Mixup, parse

        try:  # rows are no images: fit says so
            transforms = parse(text, size if len(size) == 2 else (32, 32))
        except ValueError as error:
            raise ValueError(str(error).replace("spec", f"--{name}", 1)) from None
        if name == "augment":
            found[name] = Compose(transforms, seed=args.seed)
        elif len(transforms) == 1 and isinstance(transforms[0], (Mixup, CutMix)):
            found[name] = transforms[0]
        else:
            raise ValueError(f"--mix: expected mixup:ALPHA or cutmix:ALPHA, got {text!r}")
    return found


def _network(args: argparse.Namespace, X: Array, n_classes: int) -> MLP:
    rows = X.reshape(len(X), -1)
    width, preprocess = rows.shape[1], args.preprocess
    if preprocess == "auto":
        preprocess = shared.auto_preprocess(rows)
    elif preprocess != "none":
        steps, _ = inputs.fitted(_transformers(preprocess), rows, args.threads)
        width, preprocess = steps[-1].n_features_out_, steps
    given = {**vars(args), "keep": args.keep[0] if len(args.keep) == 1 else args.keep}
    net = MLP([width, *args.hidden, n_classes], **{name: given[name] for name in NETWORK})
    if preprocess != "none":
        net.set_preprocess(preprocess, rows)
    return net


def _transformers(text: str) -> list[Transformer]:
    """Those that an option such as "standardize,pca:50" names."""
    steps: list[Transformer] = []
    for item in text.split(","):
        name, _, count = item.partition(":")
        if name not in STEPS or (count and name in ("center", "standardize")):
            known = f"auto, none, or of {', '.join(STEPS)}, some like pca:50"
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
