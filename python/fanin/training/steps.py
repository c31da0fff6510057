"""How many rows a step takes, and how many epochs a run, where the user leaves it to us."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fanin import _validate
from fanin._runtime import warn_caller
from fanin._typing import Array
from fanin.callbacks import Callback
from fanin.callbacks.base import Logs

MOST_ROWS, FEWEST_ROWS = 128, 8
STEPS_OF_AN_EPOCH = 16  # at most, in small data
FEWEST_STEPS = 1000  # of a run
FEWEST_EPOCHS = 40
LEAST_PATIENCE = 10  # epochs


def auto_batch_size(n_rows: int) -> int:
    """Rows per step for so many rows: a power of two between 8 and 128, or all rows if fewer.

    A step of 128 rows is where the processor is well used, and an epoch of large data has many of
    them. In small data they would be one or two, which train nothing in a usual number of epochs:
    the rows are then as few as give 8 to 16 steps an epoch, but 8 at least, below which the noise
    of the gradient and the cost of a step grow and nothing is won.

    Parameters
    ----------
    n_rows : int

    Examples
    --------
    >>> from fanin.training import auto_batch_size
    >>> [auto_batch_size(n) for n in (5, 100, 500, 60_000)]
    [5, 8, 32, 128]
    """
    least = -(-n_rows // STEPS_OF_AN_EPOCH)
    power = 1 << max(least - 1, 0).bit_length()
    return min(max(FEWEST_ROWS, min(MOST_ROWS, power)), n_rows)


def auto_epochs(n_rows: int, batch_size: int, least: int = FEWEST_EPOCHS) -> int:
    """Epochs for so many rows: 40, or as many more as make 1,000 steps.

    Adam moves a weight by about its rate in a step, 0.001 by default: a thousand steps can move it
    by 1, which is the size that weights of standardised inputs have; far fewer cannot, whatever
    the data. Few rows learned by heart over many epochs are a matter of early stopping, which
    ``epochs="auto"`` of `MLP.fit` brings where there are validation data (`StopOnRise`).

    Parameters
    ----------
    n_rows, batch_size : int
    least : int
        Epochs of large data; fewer for the trials of a search.

    Examples
    --------
    >>> from fanin.training import auto_epochs
    >>> auto_epochs(120, 8), auto_epochs(60_000, 128), auto_epochs(60_000, 128, least=5)
    (67, 40, 5)
    """
    steps = -(-n_rows // batch_size)
    return max(least, -(-FEWEST_STEPS // steps))


class StopOnRise(Callback):
    """Ends a run whose validation loss has risen, with the parameters of its lowest.

    A rise counts where it is above the noise of the rows. Their losses are spread about as wide as
    their mean (a loss of 0.3 is mostly zeros and a few ones), so that the mean of n rows has a
    standard error of ``loss / sqrt(n)``. Two epochs are judged by the same rows, whose losses go
    together: with a correlation of 0.9 twice the standard error of the difference is just that.
    With a dozen rows, on which the lowest loss is a matter of luck, nearly every run goes to its
    end; with thousands overfitting is seen. It stops after a fifth of the epochs without a lower
    loss, 10 at least.

    Examples
    --------
    >>> isinstance(fanin.training.StopOnRise(), fanin.callbacks.Callback)
    True
    """

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        self._patience = max(LEAST_PATIENCE, int(self.params["epochs"]) // 5)
        self._best, self._best_epoch = math.inf, -1
        self._rose = False
        self._parameters: Array | None = None

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self._best,
            "best_epoch": self._best_epoch,
            "rose": self._rose,
            "parameters": self._parameters,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._best = float(state["best"])
        self._best_epoch = _validate.whole("best_epoch", state["best_epoch"], -1)
        self._rose = _validate.boolean("rose", state["rose"])
        if (parameters := state["parameters"]) is not None:
            arena = self.network.arena
            parameters = _validate.array_of("parameters", parameters, arena.shape, arena.dtype)
        self._parameters = parameters

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        loss = float((logs or {})["val_loss"])
        if loss < self._best:
            self._best, self._best_epoch = loss, epoch
            self._parameters = np.array(self.network.get_parameters())
        noise = self._best / math.sqrt(self.params["n_val"])
        self._rose = loss > self._best + noise
        if self._rose and epoch - self._best_epoch >= self._patience:
            self.network.stop_training = True
            self.network.stop_reason = (
                f"early stopping: val_loss rose from {self._best:.4f} in epoch "
                f"{self._best_epoch + 1}, whose parameters are kept, to {loss:.4f}"
            )

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        if self._rose and self._parameters is not None:
            self.network.set_parameters(self._parameters)
        self._parameters = None


def rows_of_a_step(batch_size: int | str | None, n_rows: int, *, single: bool = True) -> int:
    """The argument ``batch_size``, checked, as a number; single: an epoch may end with one row."""
    if batch_size is None:
        return n_rows
    if batch_size == "auto":
        rows = auto_batch_size(n_rows)
        while not single and n_rows % rows == 1 and rows < n_rows:
            rows += 1
        return rows
    rows = _validate.whole("batch_size", batch_size, 1)
    if rows > n_rows:
        warn_caller(
            f"batch_size: {rows} is more than there are rows; all {n_rows} make a step", UserWarning
        )
    return min(rows, n_rows)


def epochs_of_a_run(epochs: int | str, n_rows: int, batch_size: int) -> int:
    """The argument ``epochs``, checked, as a number."""
    if epochs == "auto":
        return auto_epochs(n_rows, batch_size)
    return _validate.whole("epochs", epochs, 0)
