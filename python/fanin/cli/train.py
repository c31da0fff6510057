"""``fanin train``: load, train, judge, save."""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from fanin.arrays import Table
from fanin.callbacks.history import History
from fanin.cli import regression, shared
from fanin.cli.interrupts import one_interrupt
from fanin.cli.options import UsageError, list_of, or_auto, real, whole
from fanin.losses.spec import OF_VALUES, LossSpec
from fanin.network import MLP, inputs
from fanin.network.mlp import HIDDEN_ACTIVATIONS
from fanin.network.options import FitOptions
from fanin.preprocessing.base import Transformer
from fanin.tuning import loss_curve

# Options that are arguments of MLP and of its fit, and have their defaults from there.
LOSS_OPTIONS = ("label_smoothing", "temperature", "huber_delta", "quantiles")
NETWORK = (
    *("activation", "norm", "residual", "init", "loss", *LOSS_OPTIONS),
    *("keep", "dtype", "compute", "seed"),
)
FIT = ("optimizer", "schedule", "reg", "augment", "mix", "class_weight", "epochs", "batch_size")
_ARGUMENTS = inspect.signature(MLP).parameters
DEFAULTS: dict[str, Any] = {
    **{name: _ARGUMENTS[name].default for name in NETWORK},
    **{name: getattr(FitOptions, name) for name in FIT},
    "keep": f"{_ARGUMENTS['keep'].default:g}",  # as on the command line: it becomes a list
    # Those of the command.
    "hidden": "256",
    "schedule": "constant",
    "loss": None,  # that of the task
    "epochs": "auto",
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
TOLD: dict[str, tuple[str, Callable[[float], str]]] = {  # how results are printed
    "accuracy": ("accuracy", lambda share: f"{100 * share:.2f} %"),
    "rmse": ("RMSE", "{:.6g}".format),
    "r2": ("R²", "{:.4f}".format),
    "mae": ("MAE", "{:.6g}".format),
    "pinball_loss": ("pinball loss", "{:.6g}".format),
    "coverage": ("coverage", lambda share: f"{100 * share:.2f} %"),
    "poisson_deviance": ("Poisson deviance", "{:.6g}".format),
}
OF_CLASSES = ("softmax", "svm", "logistic", "mse")
CHECKPOINT = "checkpoint.fanin"  # in the run's folder, until the run is complete
VERBS = {"train": "train on", "validation": "validate on", "test": "test on"}

Parts = Mapping[str, tuple[Array, Array]]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data",
        metavar="DATA",
        help=f"{', '.join(datasets.NAMES)}, a .npz, a .csv or .tsv, a folder of images",
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
    add("loss", "NAME", str, f"{', '.join(losses.NAMES)} (default: softmax; mse for regression)")
    add("label-smoothing", "SHARE", real(0, 1),
        "of each target that is spread evenly, with softmax and logistic")  # fmt: skip
    add("temperature", "T", real(0, above=True), "by which softmax divides the scores")
    add("huber-delta", "DELTA", real(0, above=True), "deviations from which huber's loss is a line")
    add("quantiles", "Q,Q", list_of(real(0, 1)), "levels for --loss quantile, as 0.05,0.5,0.95 "
        "(default: 0.5)")  # fmt: skip
    add("keep", "P,P", list_of(real(0, 1, above=True)), "probability of keeping a unit")
    add("optimizer", "NAME", str, "of fanin.optim")
    add("lr", "RATE", real(0, above=True), "learning rate (default: the optimizer's)")
    add("schedule", "NAME", str, "of the learning rate")
    add("reg", "L2", real(0), "strength of L2")
    add("class-weight", "WEIGHTS", str, "balanced, or a weight for classes: spam=5,ham=1")
    add("metrics", "NAME,NAME", list_of(str),
        f"beside the accuracy, or RMSE and R²: {', '.join(metrics.NAMES)}")  # fmt: skip
    add("augment", "WORDS", str, 'of images: "crop:4,flip", as of fanin.augment.parse')
    add("mix", "WORD", str, "of images and labels: mixup:.2 or cutmix:1")
    add("epochs", "N", or_auto(whole(1)), "passes over the training rows; auto: 40, or as many "
        "more as make 1,000 steps, until the validation loss no longer falls")  # fmt: skip
    add("batch-size", "N", or_auto(whole(1)), "rows per step; auto: 128, fewer in small data")
    add("val-size", "SHARE", real(0, 0.9),
        "of the training rows, to validate on, if the data have no validation set")  # fmt: skip
    add("test-size", "SHARE", real(0, 0.9, above=True),
        "of all rows, if the data have no test set")  # fmt: skip
    add("seed", "N", whole(0), "of everything random")
    add("threads", "N", whole(1), "results do not depend on it (default: all there are)")
    add("out", "RUN", Path, "folder of the results (default: a new one, runs/<data>)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, where "
        "it was killed or interrupted; begin it if there is none")  # fmt: skip
    add("dtype", None, str, "", choices=("float32", "float64"))
    add("compute", None, str, "products in bfloat16, several times as fast where the CPU has tiles "
        "of it (fanin info tells)", choices=("bf16",))  # fmt: skip
    add("preprocess", "NAME,NAME", str, f"none, or of {', '.join(STEPS)}, some like pca:50 or "
        "pca:0.9; auto: standardize, but all features alike where they are uint8")  # fmt: skip
    shared.add_data_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, only that")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")


@shared.warnings_as_lines()
def run(args: argparse.Namespace) -> int:
    args.loss = args.loss or ("mse" if args.task == "regression" else "softmax")
    optimizer = _checked_options(args)
    out = shared.results_folder(args.out, args.data)
    say = shared.printer(args)
    if _is_finished(args, out):
        say(f"nothing to resume: the run in {out} is finished")
        if args.json:
            print(json.dumps({"out": str(out), "finished": True}))
        return 0
    parts, info = _parts(args)
    facts = shared.data_facts(args, info, parts["train"][0])
    net = _network(args, parts["train"][0], len(info.class_names))
    with shared.warnings_as_lines():
        net.set_target_units(parts["train"][1])
    net.metadata = facts | regression.units(net)
    say(_summary(parts, info))
    if net.inputs.table is not None:
        say(f"table: {net.inputs.table.describe()}")
    say(f"network {'-'.join(map(str, net.dims))}, {net.n_params} parameters; {optimizer!r}")
    initial = net.evaluate(*parts["train"], n_threads=args.threads)["loss"]
    expected = net.expected_initial_loss(parts["train"][1])
    say(f"initial loss {initial:.4f}" + ("" if expected is None else f", expected {expected:.4f}"))
    config = {
        **shared.data_config(args, net.metadata, info),
        "options": shared.options_config(args),
    }
    with shared.warnings_as_lines(), one_interrupt(f"interrupted; the run is in {out}") as hold:
        try:
            history = _fit(args, out, net, parts, optimizer, info)
            results = {name: _evaluate(args, net, info, *part) for name, part in parts.items()}
            hold()  # what is trained is not to be lost
        except KeyboardInterrupt:
            hold()
            shared.save_run(out, net, net.history, config)
            say(f"--out {out} --resume goes on with the training")
            raise KeyboardInterrupt(
                f"interrupted; the network after its last whole step is in {out}"
            ) from None
        history.initial_loss = initial  # over all training rows, where fit's is of a minibatch
        config["results"] = results
        files = shared.save_run(out, net, history, config)
        (out / CHECKPOINT).unlink(missing_ok=True)
    verdict = loss_curve(history)
    for line in _ending(history, results, _metrics_to_tell(args, info)):
        say(line)
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
            "verdict": verdict.to_dict(),
            "history": history.to_dict(),
        }
        print(json.dumps(shared.without_nan(config | summary)))
    return 1 if history.stop_reason == "diverged" else 0


def _is_finished(args: argparse.Namespace, out: Path) -> bool:
    """Whether a run that is to be resumed has nothing left to do; refuses to overwrite one."""
    begun = (out / CHECKPOINT).exists()
    if args.resume and args.out is None:
        raise UsageError("--resume: expected --out too, the folder of the run")
    if begun and not args.resume:
        raise UsageError(
            f"--out: {out} holds a run that did not come to its end: --resume goes on with it, "
            f"and to begin anew delete {out / CHECKPOINT}"
        )
    return args.resume and not begun and (out / shared.NETWORK).exists()


def _parts(args: argparse.Namespace) -> tuple[Parts, datasets.Info]:
    """The rows to train on, perhaps those to validate on, and those to test on."""
    data, test, info = shared.load_data(args)
    train, validation = shared.validation_split(data, info, args.val_size, args.seed)
    parts = {"train": train, "validation": validation, "test": test}
    return {name: part for name, part in parts.items() if part is not None}, info


def _summary(parts: Parts, info: datasets.Info) -> str:
    rows = ", ".join(f"{len(y)} rows to {VERBS[name]}" for name, (_, y) in parts.items())
    features = math.prod(parts["train"][0].shape[1:])
    outputs = "" if info.task == "regression" else f", {len(info.class_names)} classes"
    return f"{info.name}: {rows}; {features} features{outputs}" + shared.target_line(info)


def _ending(
    history: History, results: Mapping[str, Mapping[str, Any]], told: Sequence[str]
) -> Iterator[str]:
    """Lines about the end of the training and what it reached."""
    reason = history.stop_reason or ""
    stopped = f"; {reason}" if reason.startswith("early stopping") else ""
    yield f"trained {len(history.epoch)} epochs in {history.seconds:.1f} s{stopped}"
    for metric in told:
        title, text = TOLD.get(metric, (metric, _text))
        yield f"{title}: " + ", ".join(f"{n} {text(r[metric])}" for n, r in results.items())


def _metrics_to_tell(args: argparse.Namespace, info: datasets.Info) -> list[str]:
    own = regression.metrics_of(args.loss, args.quantiles) if info.task == "regression" else []
    own = own or ["accuracy"]
    return [*own, *(name for name in args.metrics if name not in own)]


def _evaluate(
    args: argparse.Namespace, net: MLP, info: datasets.Info, X: Array, y: Array
) -> dict[str, Any]:
    """As JSON has it; of a regression in the units of the data."""
    if info.task == "regression":
        return regression.judge(net, X, y, _metrics_to_tell(args, info), args.threads)
    result = net.evaluate(X, y, metrics=args.metrics, n_threads=args.threads)
    return {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in result.items()}


def _text(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _fit(
    args: argparse.Namespace,
    out: Path,
    net: MLP,
    parts: Parts,
    optimizer: optim.Optimizer,
    info: datasets.Info,
) -> History:
    X, y = parts["train"]
    given = {**vars(args), "optimizer": optimizer, **_augmentation(args, X.shape[1:3])}
    given["class_weight"] = _class_weight(args.class_weight, info.class_names)
    options = {name: given[name] for name in FIT}
    bar, judge = not (args.json or args.no_progress), parts.get("validation")
    if judge is not None and info.task != "regression":  # curves have a number for each epoch
        options["metrics"] = [name for name in args.metrics if name != "confusion_matrix"]
    options |= {"checkpoint": out / CHECKPOINT, "resume": args.resume, "checkpoint_on_signal": True}
    options |= {"validation_data": judge, "progress": bar, "n_threads": args.threads}
    with shared.results_in(out):
        return net.fit(X, y, **options)


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
        spec = LossSpec(args.loss, **{name: getattr(args, name) for name in LOSS_OPTIONS})
        known = OF_VALUES if args.task == "regression" else OF_CLASSES
        if args.loss not in known:
            task = f"--task {args.task or 'classification'}"
            raise ValueError(f"loss: expected {', '.join(known)} for {task}, got {args.loss!r}")
        targets = "values" if args.task == "regression" else "labels"
        kind = "softmax" if spec.gives_probabilities else spec.name
        metrics.check_targets(metrics.check_names(args.metrics), targets, kind)
        if args.loss == "quantile":
            metrics.check_quantiles(args.metrics, spec.levels)
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


def _network(args: argparse.Namespace, X: Any, n_classes: int) -> MLP:
    rows, preprocess = X, args.preprocess
    if isinstance(X, Table):
        if preprocess != "auto":
            raise UsageError("--preprocess: expected auto for a table of mixed columns, got "
                             f"{preprocess!r}")  # fmt: skip
        preprocess = preprocessing.TableEncoder().fit(X)
        width = preprocess.n_features_out_
    else:
        rows = X.reshape(len(X), -1)
        width = rows.shape[1]
    if preprocess == "auto":
        preprocess = shared.auto_preprocess(rows)
    elif isinstance(preprocess, str) and preprocess != "none":
        steps, _ = inputs.fitted(_transformers(preprocess), rows, args.threads)
        width, preprocess = steps[-1].n_features_out_, steps
    given = {**vars(args), "keep": args.keep[0] if len(args.keep) == 1 else args.keep}
    outputs = n_classes or len(args.quantiles or [0.5])
    if args.loss == "logistic":
        if n_classes != 2:
            raise ValueError(f"--loss: expected two classes for logistic, got {n_classes}")
        outputs = 1
    net = MLP([width, *args.hidden, outputs], **{name: given[name] for name in NETWORK})
    net.set_preprocess(None if preprocess == "none" else preprocess, rows)
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
