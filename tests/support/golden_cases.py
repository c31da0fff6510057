"""Networks that each released version has saved, which all later ones of 1.x read bit for bit.

``python tests/support/golden_cases.py`` writes those of the version that is installed; those of
earlier versions are never written again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fanin
from fanin import optim, preprocessing

DATA = Path(__file__).parents[1] / "data"
FACTS = "facts.json"
ROWS = (np.arange(60 * 6).reshape(60, 6) * 37 % 101 / 25 - 2).astype(np.float32)
BYTES = (np.arange(60 * 16).reshape(60, 4, 4) * 37 % 256).astype(np.uint8)
LABELS = np.arange(60) * 7 % 3
VALUES = np.stack([ROWS[:, 0] * ROWS[:, 1], ROWS[:, 2]], axis=1)

Saved = tuple[fanin.MLP, optim.Optimizer | None]


def trained(X: np.ndarray, y: np.ndarray, optimizer: Any = "adam", preprocess: Any = "auto",
            **options: Any) -> Saved:  # fmt: skip
    net = fanin.MLP(seed=1, **options)
    net.fit(X, y, epochs=2, batch_size=20, optimizer=optimizer, preprocess=preprocess,
            progress=False)  # fmt: skip
    return net, optimizer if isinstance(optimizer, optim.Optimizer) else None


def chain() -> Saved:
    net, _ = trained(ROWS, LABELS, dims=[6, 5, 4, 3], activation=["tanh", "prelu"], keep=0.8)
    net.metadata = {"class_names": ["ash", "birch", "cedar"], "shape": [6]}
    return net, None


def steps() -> Saved:
    before = [preprocessing.Normalize(), preprocessing.PCA(n_components=4)]
    return trained(ROWS, LABELS, dims=[4, 5, 3], preprocess=before)


GOLDEN: dict[str, Callable[[], Saved]] = {
    "new": lambda: (fanin.MLP([6, 5, 3], dtype="float64"), None),
    "chain": chain,
    "images": lambda: trained(BYTES, LABELS, dims=[16, 5, 3], loss="svm"),
    "values": lambda: trained(ROWS, VALUES, dims=[6, 5, 2], loss="mse", dtype="float64"),
    "steps": steps,
    "layer_norm": lambda: trained(ROWS, LABELS, dims=[6, 5, 5, 3], norm="layer", residual=True),
    "batch_norm": lambda: trained(ROWS, LABELS, dims=[6, 5, 3], norm="batch"),
    "drop_connect": lambda: trained(
        ROWS, LABELS, dims=[6, 5, 3], drop_connect=0.7, drop_connect_inference="moments"
    ),
    **{
        name: lambda name=name: trained(ROWS, LABELS, optim.get(name), dims=[6, 5, 3])
        for name in ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam",
                     "adamw", "nadam", "amsgrad", "lion")
    },
}  # fmt: skip


def digest(array: np.ndarray) -> str:
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return f"{array.shape} {array.dtype} {hashlib.sha256(plain.tobytes()).hexdigest()}"


def facts(net: fanin.MLP, optimizer: optim.Optimizer | None) -> dict[str, Any]:
    """What a file must give, in JSON."""
    X = BYTES if net.inputs.shape else ROWS
    found = {
        "config": net.config(),
        "counters": [net.epochs_done, net.steps_done],
        "metadata": net.metadata,
        "inputs": repr((net.inputs.steps, net.inputs.range, net.inputs.shape)),
        "parameters": digest(net.get_parameters()),
        "scores": digest(net.scores(X)),
    }
    if optimizer is not None:
        state = optimizer.state_dict()
        states = state.pop("states").get("", [])  # SGD has none
        found["optimizer"] = state | {"states": [digest(array) for array in states]}
    record: dict[str, Any] = json.loads(json.dumps(found))
    return record


if __name__ == "__main__":
    folder = DATA / fanin.__version__
    folder.mkdir(parents=True)
    record = {}
    for name, make in GOLDEN.items():
        net, optimizer = make()
        net.save(folder / f"{name}.fanin", optimizer=optimizer)
        record[name] = facts(net, optimizer)
    (folder / FACTS).write_text(json.dumps(record, indent=1) + "\n")
