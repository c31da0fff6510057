"""Runs of fit of every kind, built anew at each call, for tests that interrupt and resume them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import fanin
from fanin import augment, callbacks, datasets, optim, preprocessing, schedules

RNG = np.random.default_rng(5)
X = RNG.normal(size=(150, 12)).astype(np.float32)
Y = RNG.integers(0, 3, 150)
JUDGE = (RNG.normal(size=(40, 12)).astype(np.float32), RNG.integers(0, 3, 40))
IMAGES = RNG.integers(0, 256, (96, 6, 6, 1), dtype=np.uint8)
CLASSES = RNG.integers(0, 4, 96)
SOFT = RNG.dirichlet(np.ones(3), 150).astype(np.float32)

Run = tuple[fanin.MLP, np.ndarray, np.ndarray, dict[str, Any]]


class Counting(callbacks.Callback):
    """Counts what it sees, and changes the learning rate by it."""

    def __init__(self, optimizer: optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.seen = [0, 0, 0]
        self.sums = np.zeros(2)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.seen[0] += 1

    def on_train_batch_end(self, step: int, logs: Any = None) -> None:
        self.seen[1] += 1
        self.sums += [step, logs["loss"]]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.seen[2] += 1
        self.optimizer.lr *= 0.9 if self.seen[1] % 2 else 0.8

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen, "sums": self.sums.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.seen, self.sums = list(state["seen"]), state["sums"]


def dropping(_: Path) -> Run:
    net = fanin.MLP([12, 9, 8, 3], keep=0.8, drop_connect=[0.9, 0.7], seed=1)
    return net, X, Y, {"optimizer": optim.Adam(lr=0.01), "reg": 1e-3}


def bf16(_: Path) -> Run:
    net = fanin.MLP([12, 9, 9, 3], keep=0.8, norm="layer", residual=True, compute="bf16")
    return net, X, Y, {"optimizer": "momentum", "clip_norm": 0.5}


def batch_norm(_: Path) -> Run:
    net = fanin.MLP([12, 9, 3], norm="batch", keep=0.9, activation="prelu", dtype="float64")
    return net, X, Y, {"optimizer": "momentum", "sample_weight": np.linspace(0, 2, 150)}


def in_chunks(_: Path) -> Run:
    net = fanin.MLP([12, 9, 3], keep=0.9)
    weights = np.linspace(1, 2, 150)
    parts = [(X[i : i + 40], Y[i : i + 40], weights[i : i + 40]) for i in range(0, 150, 40)]
    chunks: Any = datasets.Chunks(parts, window=2)
    nothing: Any = None
    return net, chunks, nothing, {"preprocess": "standardize"}


def layer_norm(_: Path) -> Run:
    net = fanin.MLP([12, 9, 9, 3], norm="layer", residual=True, loss="svm")
    weights = {"class_weight": {0: 2.0, 2: 0.5}, "clip_norm": 1.0}
    return net, X, Y, {"optimizer": "nadam", "schedule": "one_cycle", **weights}


def soft_labels(_: Path) -> Run:
    net = fanin.MLP([12, 9, 3])
    rates = schedules.WarmUp(1.5, "cosine")
    return net, X, SOFT, {"sampling": "replacement", "optimizer": "amsgrad", "schedule": rates}


def mixup(_: Path) -> Run:
    pipeline = augment.Compose([augment.RandomCrop(6, padding=1), augment.HorizontalFlip()], seed=3)
    mix = augment.Mixup(alpha=0.4, num_classes=4)
    return fanin.MLP([36, 8, 4], keep=0.9), IMAGES, CLASSES, {"augment": pipeline, "mix": mix}


def cutmix(_: Path) -> Run:
    return fanin.MLP([36, 8, 4]), IMAGES, CLASSES, {"mix": augment.CutMix(num_classes=4)}


def watching(folder: Path) -> Run:
    net = fanin.MLP([12, 9, 3], seed=4)
    watchers = [
        callbacks.EarlyStopping(patience=3, restore_best=True),
        callbacks.ModelCheckpoint(folder / "best.fanin"),
        callbacks.CSVLogger(folder / "log.csv"),
    ]
    plateau = schedules.Plateau(patience=1, factor=0.5, cooldown=1)
    options = {"optimizer": optim.Adam(lr=0.03), "schedule": plateau, "metrics": ["f1_macro"]}
    return net, X, Y, {"validation_data": JUDGE, "callbacks": watchers, "epochs": 12, **options}


def rising(_: Path) -> Run:
    """epochs="auto", which stops where the validation loss rises."""
    net = fanin.MLP([12, 30, 3], seed=4)
    return net, X, Y, {"validation_data": JUDGE, "epochs": "auto", "optimizer": optim.Adam(lr=0.02)}


def counting(_: Path) -> Run:
    optimizer = optim.RMSProp(lr=0.01)
    options = {"optimizer": optimizer, "callbacks": [Counting(optimizer)]}
    return fanin.MLP([12, 9, 3], keep=0.7), X, Y, options


def components(_: Path) -> Run:
    net = fanin.MLP([5, 9, 3])
    steps = [preprocessing.Normalize(), preprocessing.PCA(n_components=5)]
    return net, X, Y, {"preprocess": steps, "optimizer": "adadelta", "initial_epoch": 1}


def steps_too_large(step: int) -> float:
    return 1e30 if step > 12 else 1.0


def diverging(_: Path) -> Run:
    net = fanin.MLP([12, 9, 3])
    return net, X, Y, {"schedule": steps_too_large, "optimizer": optim.AdaGrad(lr=0.1)}


def regression(_: Path) -> Run:
    net = fanin.MLP([12, 9, 2], loss="mse", dtype="float64")
    return net, X, X[:, :2].astype(float), {"optimizer": optim.Lion(lr=0.01), "batch_size": None}


RUNS: dict[str, Callable[[Path], Run]] = {
    f.__name__: f
    for f in (dropping, bf16, batch_norm, layer_norm, soft_labels, mixup, cutmix, watching, rising,
              counting, components, diverging, regression, in_chunks)
}  # fmt: skip


def fit(run: Run, **options: Any) -> callbacks.History:
    net, x, y, own = run
    defaults = {"epochs": 4, "batch_size": 32, "progress": False}
    return net.fit(x, y, **{**defaults, **own, **options})


def outcome(run: Run, history: callbacks.History) -> dict[str, Any]:
    """What must be the same in the end: bits, counts, curves, callbacks."""
    net, _, _, options = run
    optimizer = options.get("optimizer")
    record = history.to_dict()
    record.pop("seconds")
    own = optimizer.state_dict() if isinstance(optimizer, optim.Optimizer) else {}
    return {
        "parameters": hashlib.sha256(net.get_parameters().tobytes()).hexdigest(),
        "counts": (net.epochs_done, net.steps_done),
        "optimizer": repr({k: own[k] for k in ("lr", "clock") if own}),
        "states": [s.tobytes() for held in own.get("states", {}).values() for s in held],
        "history": repr(record),
        "callbacks": [
            repr(c.state_dict()) for c in options.get("callbacks", ())
            if not isinstance(c, callbacks.CSVLogger)
        ],
    }  # fmt: skip
