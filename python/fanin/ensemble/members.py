"""Members of an ensemble: which they are, and how one is trained."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin import _validate
from fanin._typing import Array, Ints
from fanin.callbacks import History
from fanin.datasets import folds
from fanin.executors import Arrays, InMemory, OnDisk, StopOnEvent
from fanin.network import MLP
from fanin.random import package_generator

# Layers of the purpose "search" that are reserved for ensembles.
SEED_STREAM, ROW_STREAM = 0xFFFF, 0xFFFE


@dataclass(frozen=True)
class Failure:
    """A member that failed to train, and why.

    Attributes
    ----------
    member : int
        Its number.
    name : str
    reason : str

    Examples
    --------
    >>> fanin.ensemble.Failure(2, "seed 2", "the loss is nan")
    Failure(member=2, name='seed 2', reason='the loss is nan')
    """

    member: int
    name: str
    reason: str


@dataclass(frozen=True)
class Rows:
    """Which rows a member trains on: a pure function of these numbers, so no indices travel."""

    method: str
    seed: int
    member: int
    n_members: int

    def indices(self, n: int) -> npt.NDArray[np.int64]:
        if self.method == "bootstrap":
            rng = package_generator(self.seed, "search", ROW_STREAM, self.member)
            return np.asarray(rng.integers(0, n, size=n))
        order = package_generator(self.seed, "search", ROW_STREAM).permutation(n)
        kept = np.ones(n, bool)
        kept[np.array_split(order, self.n_members)[self.member]] = False
        return np.flatnonzero(kept)


@dataclass(frozen=True)
class Fold:
    """All rows but those of a fold of a cross-validation, which are its validation data."""

    fold: int
    n_folds: int
    repeats: int
    seed: int

    def split(self, y: Array) -> tuple[Ints, Ints]:
        """Rows to train on, rows held out. Targets that are no labels are dealt at random."""
        labels = y if y.ndim == 1 and y.dtype.kind in "iuUb" else np.zeros(len(y), np.int64)
        return folds(labels, self.n_folds, repeats=self.repeats, seed=self.seed)[self.fold]


@dataclass(frozen=True)
class Member:
    """What a worker needs to train a member, but for the data."""

    name: str
    network: Mapping[str, Any]
    fit: Mapping[str, Any] = field(default_factory=dict)
    rows: Rows | Fold | None = None


def check_networks(name: str, networks: Sequence[MLP]) -> list[MLP]:
    """`networks` as a list, where they are at least one MLP."""
    given = list(_validate.sequence(name, networks, "a list of MLP"))
    if not given:
        raise ValueError(f"{name}: expected at least one, got none")
    for i, net in enumerate(given):
        if not isinstance(net, MLP):
            raise TypeError(f"{name}: expected MLP, got {type(net).__name__} at {i}")
    return given


def train(
    data: InMemory | OnDisk, member: Member, n_threads: int, stop: threading.Event | None = None
) -> tuple[MLP, History]:
    """Trains one member: what an executor calls."""
    # Copies, since optimizers and callbacks keep state, and threads would share it.
    options: dict[str, Any] = {"n_threads": n_threads, **copy.deepcopy(dict(member.fit))}
    if stop is not None:
        options["callbacks"] = [*options.get("callbacks", ()), StopOnEvent(stop)]
    net = MLP(**member.network)
    X, y, given = _member_data(data.open(), member.rows)
    history = net.fit(X, y, progress=False, **given, **options)
    if history.stop_reason == "diverged":
        raise RuntimeError(
            f"diverged: the loss stopped being finite after {len(history.epoch)} whole epochs"
        )
    return net, history


def _member_data(arrays: Arrays, rows: Rows | Fold | None) -> tuple[Array, Array, dict[str, Any]]:
    """X, y, and the other data that fit takes, of the member's rows."""
    given: dict[str, Any] = {k: a for k, a in arrays.items() if not k.startswith("validation")}
    if isinstance(rows, Fold):
        own, held = rows.split(arrays["y"])
        validation = arrays["X"][held], arrays["y"][held]
        given = {name: array[own] for name, array in given.items()}
        return given.pop("X"), given.pop("y"), given | {"validation_data": validation}
    if rows is not None:
        own = rows.indices(len(given["X"]))
        given = {name: array[own] for name, array in given.items()}
    if "validation_X" in arrays:
        given["validation_data"] = arrays["validation_X"], arrays["validation_y"]
    return given.pop("X"), given.pop("y"), given


def with_classes(member: Member, y: Array) -> Member:
    """The member with the classes of all rows, of which its own may lack some."""
    net = MLP(**member.network)
    net.take_classes(net.targets_for(y).classes)
    classes = net.classes_
    if classes is None or (net.targets.classes is None and member.rows is None):
        return member
    return replace(member, network={**member.network, "classes": classes.tolist()})


def check(member: Member, arrays: Arrays) -> None:
    """Raises what fit would raise for these options and data, before anything trains."""
    if member.fit.get("epochs", "auto") != "auto":
        _validate.whole("epochs", member.fit["epochs"], 0)
    options = copy.deepcopy(dict(member.fit)) | {"epochs": 0}
    X, y, given = _member_data(arrays, member.rows if isinstance(member.rows, Fold) else None)
    MLP(**member.network).fit(X, y, progress=False, **given, **options)
