"""Callbacks that stop a run early, save the network, log results or call functions."""

# ruff: noqa: ARG002 -- the methods are described in Callback, and take what it passes
from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fanin import _validate
from fanin._typing import Array, PathLike
from fanin.callbacks.base import Callback, Logs
from fanin.callbacks.monitor import Monitor


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
        Whether to end with the parameters of the best epoch; Keras's default is not to.
    baseline : float, optional
        Only an epoch that also beats this resets the count of ``patience``.

    Attributes
    ----------
    best : float
    best_epoch, stopped_epoch : int or None
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 10,
        mode: str = "auto",
        restore_best: bool = True,
        baseline: float | None = None,
    ) -> None:
        self.watched = Monitor(monitor, mode, min_delta)
        self.patience = _validate.whole("patience", patience, 0)
        self.restore_best, self.baseline = restore_best, baseline
        self._reset()

    def _reset(self) -> None:
        self.best, self._wait = self.watched.worst, 0
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self._best_parameters: Array | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()

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


class ModelCheckpoint(Callback):
    """Save the network after each epoch, or after the best ones only.

    Parameters
    ----------
    path : str or path
        May name the epoch (from 1) and its results: ``"net-{epoch:02d}-{val_loss:.3f}.fanin"``.
    monitor, mode
        As in `EarlyStopping`; unused where save_best_only is False.
    save_best_only : bool
        Save only epochs that beat all earlier ones.
    """

    def __init__(
        self,
        path: PathLike,
        monitor: str = "val_loss",
        save_best_only: bool = True,
        mode: str = "auto",
    ) -> None:
        self.path = os.fspath(path)
        self.save_best_only = self.needs_monitor = save_best_only
        self.watched = Monitor(monitor, mode if save_best_only else "min")  # else unused
        self.best = self.watched.worst

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
        self.network.save(path)


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


class CSVLogger(Callback):
    """Write each epoch as a line of a CSV file: ``epoch``, and the names that the first one gave.

    Parameters
    ----------
    path : str or path
    append : bool
        Append to an existing file, keeping its columns.
    """

    def __init__(self, path: PathLike, append: bool = False) -> None:
        self.path = Path(path)
        self.append = append
        self._columns: list[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._columns = None
        self.path.open("a" if self.append else "w").close()  # fails now, not after an epoch
        if self.append:
            with self.path.open(newline="", encoding="utf-8") as file:
                self._columns = next(csv.reader(file), None)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        row = {"epoch": epoch, **(logs or {})}
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if self._columns is None:
                self._columns = list(row)
                writer.writerow(self._columns)
            writer.writerow([row.get(name, "") for name in self._columns])
