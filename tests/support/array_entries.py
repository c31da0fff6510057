"""Every public function that takes arrays, with arguments that it takes gladly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import fanin
from fanin import augment, diagnostics, ensemble, layers, losses, metrics, optim, preprocessing

from fanin import initializers, lecture, tuning  # isort: skip

N, D, H = 8, 4, 3
RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@dataclass(frozen=True)
class Entry:
    """A call, and by name the arrays that it takes.

    Attributes
    ----------
    call : callable
        Takes the arrays by keyword and gives what came of it: arrays, numbers, and lists of such.
    writes : tuple of str
        The arrays that the call changes.
    also : str
        Other names that an error may have, such as the option's that the array is a part of.
    passes_on : tuple of str
        The arrays whose rows come out as they are, whatever they hold.
    """

    call: Callable[..., Any]
    arrays: Mapping[str, np.ndarray]
    writes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    passes_on: tuple[str, ...] = ()


X, Y = floats(N, D), np.arange(N) % H
W, B = floats(D, H), floats(H)
SCORES, WEIGHTS = floats(N, H), np.linspace(0.5, 2, N)
IMAGES = RNG.integers(0, 256, (N, 6, 6, 3), dtype=np.uint8)
ENTRIES: dict[str, Entry] = {}


def entry(
    name: str, call: Callable[..., Any], passes_on: tuple[str, ...] = (), **arrays: np.ndarray
) -> None:
    ENTRIES[name] = Entry(call, arrays, passes_on=passes_on)


# Layers

ENTRIES["layers.affine_forward"] = Entry(
    lambda x, w, b: layers.affine_forward(x, w, b)[0], {"x": X, "w": W, "b": B}, also=("W",)
)
entry(
    "layers.affine_backward",
    lambda dout: layers.affine_backward(dout, layers.affine_forward(X, W, B)[1]),
    dout=SCORES,
)
ENTRIES["layers.dense"] = Entry(
    lambda x, W, b, out: layers.dense(x, W, b, out=out),
    {"x": X, "W": W, "b": B, "out": np.zeros((N, H), np.float32)},
    writes=("out",),
)
entry("layers.dense_forward", lambda x, W, b: layers.dense_forward(x, W, b)[0], x=X, W=W, b=B)
entry(
    "layers.dense_backward",
    lambda dout: layers.dense_backward(dout, layers.dense_forward(X, W, B)[1]),
    dout=SCORES,
)
entry(
    "layers.dropconnect_forward",
    lambda x, W, b: layers.dropconnect_forward(x, W, b, keep=0.5, rng=0)[0],
    x=X, W=W, b=B,
)  # fmt: skip
entry(
    "layers.dropconnect_backward",
    lambda dout: layers.dropconnect_backward(
        dout, layers.dropconnect_forward(X, W, B, keep=0.5, rng=0)[1]
    ),
    dout=SCORES,
)
entry(
    "layers.dropconnect_inference",
    lambda x, W, b: layers.dropconnect_inference(x, W, b, keep=0.5),
    x=X, W=W, b=B,
)  # fmt: skip
ENTRIES["layers.dropout_forward"] = Entry(
    lambda x, out: layers.dropout_forward(x, keep=0.5, rng=0, out=out)[0],
    {"x": X, "out": np.zeros_like(X)},
    writes=("out",),
)
entry(
    "layers.dropout_backward",
    lambda dout: layers.dropout_backward(dout, layers.dropout_forward(X, keep=0.5, rng=0)[1]),
    dout=X,
)
NORMS: dict[str, np.ndarray] = {"gamma": floats(D), "beta": floats(D)}
entry(
    "layers.batch_norm",
    layers.batch_norm,
    x=X, **NORMS, mean=floats(D), variance=np.ones(D, np.float32),
)  # fmt: skip
for _norm in ("batch_norm", "layer_norm"):
    _forward, _backward = (getattr(layers, f"{_norm}_{way}") for way in ("forward", "backward"))
    entry(f"layers.{_norm}_forward", lambda f=_forward, **given: f(**given)[0], x=X, **NORMS)
    entry(
        f"layers.{_norm}_backward",
        lambda dout, f=_forward, b=_backward: b(dout, f(X, **NORMS)[1]),
        dout=floats(N, D),
    )
UNITS = ("elu", "gelu", "leaky_relu", "mish", "relu", "selu", "sigmoid", "silu", "softplus", "tanh")
for _name in UNITS:
    _forward, _backward = (getattr(layers, f"{_name}_{way}") for way in ("forward", "backward"))
    entry(f"layers.{_name}_forward", lambda x, f=_forward: f(x)[0], x=X)
    entry(
        f"layers.{_name}_backward",
        lambda dout, f=_forward, b=_backward: b(dout, f(X)[1]),
        dout=floats(N, D),
    )
entry("layers.prelu_forward", lambda x, slopes: layers.prelu_forward(x, slopes)[0],
      x=X, slopes=floats(D))  # fmt: skip
entry(
    "layers.prelu_backward",
    lambda dout: layers.prelu_backward(dout, layers.prelu_forward(X, np.ones(D, np.float32))[1]),
    dout=floats(N, D),
)

# Losses and metrics

for _name in ("softmax_loss", "svm_loss"):
    _loss = getattr(losses, _name)
    entry(f"losses.{_name}", _loss, scores=SCORES, y=Y, sample_weight=WEIGHTS)
    entry(f"layers.{_name}", _loss, scores=SCORES, y=Y, sample_weight=WEIGHTS)
entry("losses.mse_loss", losses.mse_loss, scores=SCORES, y=floats(N, H), sample_weight=WEIGHTS)
ENTRIES["losses.softmax"] = Entry(
    losses.softmax, {"scores": SCORES, "out": np.zeros_like(SCORES)}, writes=("out",)
)
for _name in ("half_squared_error", "mae", "huber", "quantile"):
    entry(f"losses.{_name}_loss", getattr(losses, f"{_name}_loss"),
          scores=SCORES, y=floats(N, H), sample_weight=WEIGHTS)  # fmt: skip
entry("losses.poisson_loss", losses.poisson_loss,
      scores=SCORES, y=np.abs(floats(N, H)), sample_weight=WEIGHTS)  # fmt: skip
entry("losses.logistic_loss", losses.logistic_loss,
      scores=SCORES, y=(floats(N, H) > 0).astype(np.float32), sample_weight=WEIGHTS)  # fmt: skip
entry("losses.sigmoid", losses.sigmoid, scores=SCORES)
_P = losses.softmax(SCORES)
for _name in ["accuracy_score", "balanced_accuracy_score", "confusion_matrix", "f1_score"]:
    entry(f"metrics.{_name}", getattr(metrics, _name), y=Y, predicted=Y[::-1].copy())
for _name in ("mean_absolute_error", "mean_squared_error", "root_mean_squared_error", "r2_score"):
    entry(f"metrics.{_name}", getattr(metrics, _name), y=X[:, 0].copy(), predicted=X[:, 1].copy())

# Networks


def net(**options: Any) -> fanin.MLP:
    return fanin.MLP([D, 5, H], seed=1, **options)


NET = net()
NET.fit(X, Y, epochs=1, progress=False)
FIT: dict[str, Any] = {"epochs": 1, "batch_size": 4, "progress": False}


def fitted(X: Any, y: Any, sample_weight: Any, X_val: Any = None, y_val: Any = None) -> Any:
    network = net()
    judged = {} if X_val is None else {"validation_data": (X_val, y_val)}
    network.fit(X, y, sample_weight=sample_weight, **judged, **FIT)
    return network.get_parameters()


DATA: dict[str, np.ndarray] = {"X": X, "y": Y}
entry("MLP.fit", fitted, **DATA, sample_weight=WEIGHTS)
ENTRIES["MLP.fit: validation"] = Entry(
    lambda X_val, y_val: fitted(X, Y, None, X_val, y_val),
    {"X_val": X, "y_val": Y},
    also=("validation X", "validation y"),
)
entry("MLP.predict", lambda X: NET.predict(X), X=X)
entry("MLP.predict_proba", lambda X: NET.predict_proba(X), X=X)
entry("MLP.scores", lambda X: NET.scores(X), X=X)
entry("MLP.loss", lambda X, y: NET.loss(X, y), **DATA)
entry("MLP.evaluate", lambda **given: NET.evaluate(**given), **DATA, sample_weight=WEIGHTS)
entry("MLP.loss_and_grads", lambda **given: NET.loss_and_grads(**given), **DATA,
      sample_weight=WEIGHTS)  # fmt: skip


def restored(parameters: Any) -> Any:
    network = net()
    network.set_parameters(parameters)
    return network.get_parameters()


def preprocessed(X: Any) -> Any:
    network = net()
    network.set_preprocess("standardize", X)
    return network.scores(floats(2, D) * 0 + 1)


def in_units(y: Any) -> Any:
    network = fanin.MLP([D, 1], loss="mse")
    network.set_target_units(y)
    return [network.targets.mean, network.targets.scale]


entry("MLP.set_target_units", in_units, y=floats(N))
entry("MLP.expected_initial_loss", lambda y: net(loss="mse").expected_initial_loss(y),
      y=floats(N, H))  # fmt: skip
entry("MLP.set_parameters", restored, parameters=NET.get_parameters())
entry("MLP.set_preprocess", preprocessed, X=X)
entry("MLP.activation_report", lambda X, y: str(NET.activation_report(X, y)), **DATA)
entry("diagnostics.activation_report",
      lambda X, y: str(diagnostics.activation_report(NET, X, y)), **DATA)  # fmt: skip
entry("diagnostics.activation_statistics",
      lambda x: str(diagnostics.activation_statistics((D, 5), x=x)), x=X)  # fmt: skip
entry("diagnostics.data_report", lambda X, y: str(diagnostics.data_report(X, y)), **DATA)
BOTH = ensemble.Ensemble([NET, net()])
for _name in ("predict", "predict_proba", "scores", "disagreement"):
    entry(f"Ensemble.{_name}", lambda X, n=_name: getattr(BOTH, n)(X), X=X)
entry("Ensemble.evaluate", lambda X, y: BOTH.evaluate(X, y), **DATA)


def members(made: Callable[..., ensemble.Ensemble], **options: Any) -> Callable[..., Any]:
    def call(X: Any, y: Any) -> Any:
        return [m.get_parameters() for m in made([D, H], X, y, progress=False, **options).members]

    return call


_FEW: dict[str, Any] = {"n_members": 2, "epochs": 1, "batch_size": 4}
entry("ensemble.from_initializations", members(ensemble.from_initializations, **_FEW), **DATA)
entry("ensemble.from_datasets", members(ensemble.from_datasets, **_FEW), **DATA)
_ONE = {"variants": [{"loss": "svm"}], "epochs": 1, "batch_size": 4}
entry("ensemble.from_objectives", members(ensemble.from_objectives, **_ONE), **DATA)
_FOLDS = {"n_folds": 2, "epochs": 1, "batch_size": 4}
entry("ensemble.from_cross_validation", members(ensemble.from_cross_validation, **_FOLDS), **DATA)
_CYCLES = {"n_cycles": 2, "epochs_per_cycle": 1, "batch_size": 4}
entry("ensemble.from_checkpoints", members(ensemble.from_checkpoints, **_CYCLES), **DATA)
entry(
    "ensemble.from_search",
    lambda X_val, y_val: ensemble.from_search([NET, net()], X_val, y_val, k=2, greedy=True).weights,
    X_val=X, y_val=Y,
)  # fmt: skip
# The networks say it, whose X and y they are.
ENTRIES["ensemble.from_search"] = replace(ENTRIES["ensemble.from_search"], also=("X", "y"))

# The lecture

MODEL = lecture.init_two_layer_model(D, 5, H, seed=0)
entry("two_layer_net", lambda X, y: lecture.two_layer_net(X, MODEL, y), **DATA)
ENTRIES["two_layer_net: model"] = Entry(
    lambda W1, b1: lecture.two_layer_net(X, {**MODEL, "W1": W1, "b1": b1}, Y),
    {"W1": MODEL["W1"], "b1": MODEL["b1"]},
    also=("W", "b", "model", "X"),
)


def lecture_trained(X: Any, y: Any, X_val: Any, y_val: Any) -> Any:
    model = {name: value.copy() for name, value in MODEL.items()}
    trainer = lecture.ClassifierTrainer()
    options: dict[str, Any] = {"num_epochs": 1, "batch_size": 4, "seed": 0}
    best, _ = trainer.train(X, y, X_val, y_val, model, lecture.two_layer_net, **options)
    return best


entry("ClassifierTrainer.train", lecture_trained, **DATA, X_val=X, y_val=Y)

# Optimizers and initialisers


def stepped(optimizer: str) -> Callable[..., Any]:
    def call(params: Any, grads: Any) -> Any:
        optim.get(optimizer, 0.1).step(params, grads)
        return params

    return call


RULES = [rule for rule in optim.__all__ if rule[0].isupper() and rule != "Optimizer"]
for _name in RULES:
    ENTRIES[f"optim.{_name}.step"] = Entry(
        stepped(_name.lower()), {"params": W, "grads": floats(D, H)}, writes=("params",)
    )
ENTRIES["optim.clip_grad_norm"] = Entry(
    lambda grads: (optim.clip_grad_norm([grads], 0.5), grads), {"grads": W}, writes=("grads",)
)
for _name in ("kaiming", "small_random", "xavier"):
    ENTRIES[f"initializers.{_name}"] = Entry(
        lambda out, n=_name: getattr(initializers, n)((D, H), rng=0, out=out),
        {"out": np.zeros((D, H), np.float32)},
        writes=("out",),
    )
entry("random.Generator.permutation", lambda x: fanin.random.Generator(0).permutation(x), ("x",),
      x=X)  # fmt: skip

# Data

for _name in ("ZeroCenter", "Normalize", "PCA", "Whiten"):
    _class = getattr(preprocessing, _name)
    for _method in ("fit", "partial_fit"):
        entry(
            f"preprocessing.{_name}.{_method}",
            lambda X, c=_class, m=_method: list(getattr(c(), m)(X).state_arrays().values()),
            X=X,
        )
    for _method in ("transform", "inverse_transform"):
        entry(
            f"preprocessing.{_name}.{_method}",
            lambda X, c=_class, m=_method: getattr(c().fit(DATA["X"]), m)(X),
            X=X,
        )
    entry(f"preprocessing.{_name}.fit_transform", lambda X, c=_class: c().fit_transform(X), X=X)
entry("preprocessing.column_moments", preprocessing.column_moments, X=X)
entry("datasets.folds", lambda y, groups: fanin.datasets.folds(y, 2, groups=groups),
      y=Y, groups=np.arange(N) // 2)  # fmt: skip
entry("diagnostics.never_predicted", lambda **given: str(diagnostics.never_predicted(**given)),
      y=Y, predicted=np.zeros(N, int))  # fmt: skip
entry("datasets.split", lambda X, y: fanin.datasets.split(X, y, test_size=0.5), ("X",), **DATA)
STEPS = augment.Compose([augment.RandomCrop(4), augment.HorizontalFlip()], seed=0)
FILLED = augment.Compose([augment.HorizontalFlip()], seed=0)
MIXED = augment.Compose([augment.Mixup(num_classes=H)], seed=0)
entry("augment.Compose", lambda images, indices: STEPS(images, indices=indices, epoch=0),
      images=IMAGES, indices=np.arange(N))  # fmt: skip
ENTRIES["augment.Compose: out"] = Entry(
    lambda images, out: FILLED(images, out=out, epoch=0),
    {"images": IMAGES, "out": np.zeros_like(IMAGES)},
    writes=("out",),
)
entry("augment.Compose: labels", lambda images, y: MIXED(images, y=y, epoch=0), images=IMAGES, y=Y)
entry("augment.batches", lambda X, y: list(augment.batches(X, y, STEPS, 4, epoch=0)), ("y",),
      X=IMAGES, y=Y)  # fmt: skip

# Searches

entry("tuning.lr_probe", lambda X, y: str(tuning.lr_probe(net(), X, y, iterations=20)), **DATA)
entry("tuning.lr_range", lambda X, y: str(tuning.lr_range(net(), X, y, iterations=20)), **DATA)


def searched(X: Any, y: Any) -> Any:
    options: dict[str, Any] = {"epochs": 1, "hidden": 4, "batch_size": 4, "progress": False}
    space = {"lr": tuning.loguniform(1e-3, 1e-1)}
    found = tuning.search(space, (X, y), 1, validation_data=(DATA["X"], DATA["y"]), **options)
    return [trial.score for trial in found]


entry("tuning.search", searched, **DATA)

# Public callables that take arrays and are in no entry, each with its reason.
EXCLUDED = {
    "plots": "draws what it is given; NumPy and matplotlib read it",
    "MLP.__init__": "takes callables that give arrays",
    "MLP.take_classes": "takes what classes_for gave",
    "TableEncoder": "takes frames and arrays of named fields, no others",
    "MLP.check_data": "what fit, evaluate and the others begin with",
    "MLP.prepare": "what fit, evaluate and the others begin with",
    "MLP.with_targets": "what fit, evaluate and the others begin with",
    "MLP.restore_state": "of a file's arrays; tests/reliability/test_corruption.py",
    "checkpoint.load_archive": "its arrays are those to read into, which a network makes",
    "MLP.trainer": "fit, step by step",
    "Compose.parameters": "the draws of a call of Compose, whose checks it shares",
    "Mixup": "a step of Compose, which checks",
    "CutMix": "a step of Compose, which checks",
    "Rows": "holds what a reader gives",
    "LayerStatistics": "holds what a report gives",
    "Initializer.__call__": "an interface",
    "Optimizer.step": "the base class of those in the table",
    "load_state_arrays": "of a file's arrays; tests/reliability/test_corruption.py",
    "Fit.__init__": "what MLP.fit begins with",
    "tuning.guide": "begins with a search's checks, and takes seconds",
    "augment.torch_collate": "takes tensors",
    "checkpoint.save_archive": "tests/ground/test_checkpoint.py",
    "losses.get": "takes no arrays",
    "initializers.get": "takes no arrays",
    "metrics.log_loss": "probabilities; tests/ground/test_metrics.py",
    "metrics.roc_auc_score": "probabilities; tests/ground/test_metrics.py",
    "datasets.features": "takes a path",
    "datasets.load": "takes a path",
    "optim.get": "takes no arrays",
    "activation_statistics": "in the table, by its x",
}
