"""Callbacks that stop a run early, save the network or call functions."""

# ruff: noqa: ARG002 -- the methods are described in Callback, and take what it passes
from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fanin import _validate, checkpoint
from fanin._files import reading
from fanin._json import json_number
from fanin._typing import Array, PathLike
from fanin.callbacks.base import Callback, Logs
from fanin.callbacks.csv_logger import CSVLogger
from fanin.callbacks.monitor import Monitor

__all__ = ["CSVLogger", "EarlyStopping", "LambdaCallback", "ModelCheckpoint"]


class EarlyStopping(Callback):
    """Stop when a metric has not improved for ``patience`` epochs.

    Parameters
    ----------
    monitor : str
        A name in the epoch logs, such as "val_loss" or "val_accuracy".
    min_delta : float
        A change of this or less is no improvement.
    patience : int
        Epochs without improvement after which training stops.
    mode : {"auto", "min", "max"}
        Which way is better; "auto" asks `fanin.metrics.larger_is_better`.
    restore_best : bool
        Whether to end with the parameters of the best epoch, also after Ctrl-C; Keras's default is
        not to.
    baseline : float, optional
        Only an epoch that also beats this resets the count of ``patience``.

    Attributes
    ----------
    best : float
    best_epoch, stopped_epoch : int or None

    Examples
    --------
    >>> (X, y), test = fanin.datasets.load("digits")
    >>> stop = fanin.callbacks.EarlyStopping(patience=2, restore_best=True)
    >>> net = fanin.MLP([64, 256, 10])
    >>> X, y, options = X[:200], y[:200], {"epochs": 100, "progress": False}
    >>> history = net.fit(X, y, validation_data=test, callbacks=[stop], **options)
    >>> len(history.epoch) < 100
    True
    """

    baseline: float | None
    restore_best: bool
    best: float

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 10,
        mode: str = "auto",
        restore_best: bool = True,
        baseline: float | None = None,
    ) -> None:
        self.watched: Monitor = Monitor(monitor, mode, min_delta)
        self.patience: int = _validate.whole("patience", patience, 0)
        self.restore_best, self.baseline = restore_best, baseline
        self._reset()

    def _reset(self) -> None:
        self.best, self._wait = self.watched.worst, 0
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self._best_parameters: Array | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "wait": self._wait,
            "best_epoch": self.best_epoch,
            "stopped_epoch": self.stopped_epoch,
            "best_parameters": self._best_parameters,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best, self._wait = float(state["best"]), _validate.whole("wait", state["wait"], 0)
        self.best_epoch, self.stopped_epoch = (
            None if state[name] is None else _validate.whole(name, state[name], 0)
            for name in ("best_epoch", "stopped_epoch")
        )
        if (best := state["best_parameters"]) is not None:
            arena = self.network.arena
            best = _validate.array_of("best_parameters", best, arena.shape, arena.dtype)
        self._best_parameters = best

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.watched.value(logs)
        self._wait += 1
        if self.watched.better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best:
                self._best_parameters = np.array(self.network.get_parameters())
            if self.baseline is None or self.watched.better(value, self.baseline):
                self._wait = 0
        if self._wait and self._wait >= self.patience:
            self.stopped_epoch = epoch
            self.network.stop_training = True
            reason = f"{self.watched.name} has not improved for {self._wait} epochs"
            self.network.stop_reason = f"early stopping: {reason}"

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._best_parameters is not None:
            self.network.set_parameters(self._best_parameters)
            self._best_parameters = None

    def on_interrupt(self, logs: Logs | None = None) -> None:
        self.on_train_end(logs)


class ModelCheckpoint(Callback):
    """Save the network after each epoch, or after the best ones only.

    Parameters
    ----------
    path : str or path
        May name the epoch (from 1) and its results: ``"net-{epoch:02d}-{val_loss:.3f}.fanin"``.
    monitor, mode
        As in `EarlyStopping`; unused where save_best_only is False.
    save_best_only : bool
        Save only epochs that beat all earlier ones, and the network in the file that is to be
        replaced: the results of its epoch are in it.

    Raises
    ------
    ValueError
        Before the training, where there is a file that holds no network. FileNotFoundError where
        there is no folder to save in.

    Warns
    -----
    UserWarning
        Where the network in the file is of other data, or its epoch's results are not known: the
        first epoch replaces it.

    Examples
    --------
    >>> (X, y), test = fanin.datasets.load("digits")
    >>> best = fanin.callbacks.ModelCheckpoint("best.fanin")
    >>> net = fanin.MLP([64, 32, 10])
    >>> history = net.fit(X, y, validation_data=test, epochs=3, callbacks=[best], progress=False)
    >>> fanin.MLP.load("best.fanin")
    MLP(64-32-10, loss='softmax', dtype='float32', seed=0)
    """

    needs_monitor: bool

    def __init__(
        self,
        path: PathLike,
        monitor: str = "val_loss",
        save_best_only: bool = True,
        mode: str = "auto",
    ) -> None:
        self.path: str = os.fspath(path)
        self.save_best_only = self.needs_monitor = save_best_only
        self.watched: Monitor = Monitor(monitor, mode if save_best_only else "min")  # else unused
        self.best: float = self.watched.worst

    def on_train_begin(self, logs: Logs | None = None) -> None:
        folder = Path(self.path).parent
        if "{" not in str(folder) and not folder.is_dir():  # now, not after an epoch
            raise FileNotFoundError(f"{folder}: expected a folder to save {self.path!r} in")
        # A resumed run knows what it has saved; the file may be of a later epoch of it.
        if self.save_best_only and "{" not in self.path and not self.params.get("resumed"):
            path = Path(self.path)
            self.best = self._best_of(path) if path.exists() else self.watched.worst

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best = float(state["best"])

    def _best_of(self, path: Path) -> float:
        """The result of the epoch after which the network in the file was saved."""
        header, _ = checkpoint.load_archive(path, kind="network")
        known, name, why = header.get("logs", {}), self.watched.name, ""
        with reading(path, "not a usable network"):
            there, here = _kind(header["config"]), self._own_kind()
            if here not in (there, None):
                why = f"another network ({there} in place of {here})"
            elif name not in known or math.isnan(float(known[name])):
                why = f"a network whose {name} is not known"
            if not why:
                return float(known[name])
        warnings.warn(f"{path} holds {why}: the first epoch replaces it", stacklevel=2)
        return self.watched.worst

    def _own_kind(self) -> str | None:
        config = getattr(self.network, "config", None)
        return None if config is None else _kind(config())

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_best_only:
            value = self.watched.value(logs)
            if not self.watched.better(value, self.best):
                return
            self.best = value
        fields = {**(logs or {}), "epoch": epoch + 1}
        try:
            path = self.path.format(**fields)
        except (KeyError, IndexError, ValueError) as error:
            known = ", ".join(fields)
            raise ValueError(f"path: expected fields among {known}, got {self.path!r}") from error
        self._save(path, fields)

    def _save(self, path: str, fields: Mapping[str, Any]) -> None:
        """With the results that are numbers."""
        numbers = {k: v for k, v in fields.items() if isinstance(v, (int, float, np.number))}
        self.network.saved_logs = {k: json_number(float(v)) for k, v in numbers.items()}
        try:
            self.network.save(path)
        finally:
            self.network.saved_logs = None


def _kind(config: Mapping[str, Any]) -> str:
    """What networks have in common whose results on the same data can be compared."""
    return f"{config['dims'][0]} to {config['dims'][-1]}, loss {config['loss']}"


class LambdaCallback(Callback):
    """A callback made of functions, called as the methods of `Callback`.

    Parameters
    ----------
    on_train_begin, on_train_end, on_epoch_begin, on_epoch_end : callable, optional
    on_train_batch_begin, on_train_batch_end : callable, optional
        With one of these fit takes one step at a time.

    Examples
    --------
    >>> print_loss = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    >>> print_loss.on_epoch_end(0, {"loss": 0.5})
    0 0.5
    """

    def __init__(
        self,
        *,
        on_train_begin: Callable[[Any], object] | None = None,
        on_train_end: Callable[[Any], object] | None = None,
        on_epoch_begin: Callable[[int, Any], object] | None = None,
        on_epoch_end: Callable[[int, Any], object] | None = None,
        on_train_batch_begin: Callable[[int, Any], object] | None = None,
        on_train_batch_end: Callable[[int, Any], object] | None = None,
    ) -> None:
        given = {n: f for n, f in locals().items() if n.startswith("on_") and f is not None}
        for name, function in given.items():
            if not callable(function):
                raise TypeError(f"{name}: expected a function, got {function!r}")
            setattr(self, name, function)
