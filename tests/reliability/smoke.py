"""A little of everything that the core does, for detectors that slow it down a hundredfold."""

from __future__ import annotations

import copy
import pickle
import signal
import threading
from functools import partial

import numpy as np

import fanin
from fanin import _core, augment, losses, optim, preprocessing, random

rng = np.random.default_rng(0)
X, y = rng.standard_normal((70, 33), dtype=np.float32), np.arange(70) % 3


def networks() -> None:
    for options in [
        {"norm": "batch"},
        {"norm": "layer", "activation": "prelu", "keep": 0.5},
        {"drop_connect": 0.5},
        {"drop_connect": 0.5, "drop_connect_mask": "example"},
        {"dtype": "float64", "activation": "gelu"},
    ]:
        net = fanin.MLP([33, 20, 3], seed=0, **options)
        net.fit(X.astype(net.dtype), y, epochs=2, batch_size=32, progress=False)
        net.predict(X.astype(net.dtype))
        net.evaluate(X.astype(net.dtype), y)


def optimizers() -> None:
    for name in ("SGD", "Adam", "Nadam", "Lion", "RMSProp"):
        optimizer = getattr(optim, name)()
        params = {"a": np.ones(37, np.float32), "b": np.ones((300, 101))}
        optimizer.step(params, {k: np.ones_like(p) for k, p in params.items()})
        for protocol in range(6):
            pickle.loads(pickle.dumps(optimizer, protocol=protocol))
        copy.deepcopy(optimizer)


def images() -> None:
    pictures = rng.integers(0, 256, (9, 17, 19, 3), dtype=np.uint8)
    steps = [
        augment.RandomAffine(30, translate=(0.1, 0.1)),
        augment.ColorJitter(0.4, 0.4, 0.4, 0.1),
        augment.RandomResizedCrop(13),
        augment.HorizontalFlip(),
        augment.RandomErasing(1.0),
    ]
    augment.Compose(steps, seed=0)(pictures)
    mixed = augment.Compose([augment.Mixup(0.4, num_classes=3)], seed=1)
    mixed(pictures.astype(np.float32) / 255, np.arange(9) % 3)


def others() -> None:
    preprocessing.PCA(3).fit(X).transform(X)
    preprocessing.Whiten(3).fit(X).transform(X)
    random.Generator(0).normal(size=1001)
    random.Generator(0).permutation(1001)
    scores = rng.standard_normal((19, 5), dtype=np.float32)
    losses.softmax_loss(scores, np.arange(19) % 5)
    big = rng.standard_normal((300, 300), dtype=np.float32)
    fanin.layers.dense(big, big, None, activation="relu", n_threads=3)
    _core.extremes(rng.standard_normal(200_001, dtype=np.float32))
    _core.summary(big, -1.0, 1.0, 2)
    for make in (partial(_core.Rule.__new__, _core.Rule), _core.Rule.__base__):
        try:
            make()
        except TypeError:
            continue
        raise AssertionError(make)


def concurrent() -> None:
    threads = [threading.Thread(target=f) for f in (networks, optimizers, images, others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
for work in (networks, optimizers, images, others, concurrent):
    work()
signal.setitimer(signal.ITIMER_REAL, 0)
print("done")
