"""Averages of the parameters over a run: a single network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fanin import _validate
from fanin._typing import Array
from fanin.callbacks.base import Callback, Logs
from fanin.ensemble.members import check_networks
from fanin.network import MLP


class ParameterAverage(Callback):
    """A callback that averages the network's parameters while they are trained.

    Parameters
    ----------
    decay : float or None
        None: the equal average of the parameters at each epoch's end (stochastic weight averaging,
        Izmailov et al. 2018; Polyak & Juditsky 1992). A number such as 0.999: the exponential
        moving average ``average = d * average + (1 - d) * parameters`` after every step, from a
        copy on; ``d = min(decay, (1 + t) / (10 + t))`` at step t, so that early steps fade soon.
    start : int or float, optional
        First epoch (from 0) in the average, or as a float below 1 its place in the run. By default
        0 with a decay, 0.5 without (Izmailov et al.: 0.75, at a constant high learning rate).

    Attributes
    ----------
    n_averaged : int
        Epochs, or steps, in the average so far.

    Notes
    -----
    The trained network keeps its own last parameters: evaluate both. With a decay, fit runs one
    step at a time, at some microseconds and one pass over the parameters each.

    Examples
    --------
    >>> import fanin
    >>> (X, y), test = fanin.datasets.load("digits")
    >>> net, average = fanin.MLP([64, 32, 10]), fanin.ensemble.ParameterAverage()
    >>> history = net.fit(X, y, epochs=6, callbacks=[average], progress=False)
    >>> averaged = average.network()
    >>> average.n_averaged, averaged
    (3, MLP(64-32-10, loss='softmax', dtype='float32', seed=0))
    """

    start: float

    def __init__(self, decay: float | None = None, start: float | None = None) -> None:
        if decay is not None and _validate.real("decay", decay, 0) >= 1:
            raise ValueError(f"decay: expected a number in [0, 1) or None, got {decay!r}")
        self.decay = decay
        if start is None:
            start = 0.5 if decay is None else 0
        if isinstance(start, float) and start < 1:
            self.start = _validate.real("start", start, 0)
        else:
            self.start = _validate.whole("start", start, 0)
        self._trained: MLP | None = None
        self._average: Array | None = None
        self.n_averaged: int = 0

    @property
    def network(self) -> Callable[[], MLP]:
        """A method: the averaged network, independent of the trained one."""
        return self._averaged

    @network.setter
    def network(self, trained: MLP) -> None:  # as fit sets it on every callback
        self._trained = trained

    @property
    def model(self) -> Any:
        """The network in training."""
        return self._trained

    @property
    def uses_batches(self) -> bool:
        """Only an exponential average looks at every step."""
        return self.decay is not None

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Forgets an earlier run."""
        self._average, self.n_averaged = None, 0
        share = isinstance(self.start, float)
        self._first = int(self.start * self.params["epochs"] if share else self.start)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        self._epoch = epoch

    def on_train_batch_end(self, step: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        if self.decay is not None and self._epoch >= self._first:
            t = self.n_averaged - 1
            self._update(1 - min(self.decay, (1 + t) / (10 + t)))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        if self.decay is None and epoch >= self._first:
            self._update(1 / (self.n_averaged + 1))

    def _update(self, share: float) -> None:
        assert self._trained is not None
        now = self._trained.get_parameters()
        if self._average is None:
            self._average = now
        else:
            now -= self._average
            now *= now.dtype.type(share)
            self._average += now
        self.n_averaged += 1

    def _averaged(self) -> MLP:
        if self._trained is None or self._average is None:
            raise ValueError(
                f"network: expected a run past epoch {self.start} before it, got none; give the "
                "average to fit as a callback"
            )
        if not np.isfinite(self._average).all():
            raise ValueError("network: expected finite parameters, but the run diverged")
        result = self._trained.copy()
        result.set_parameters(self._average)
        return result


def average_parameters(networks: Sequence[MLP]) -> MLP:
    """The network with the mean of all parameters, for points of one run (Izmailov et al. 2018).

    Only points of one run lie in one valley of the loss. Networks of different runs have their
    hidden units in different orders: average their predictions, in an `Ensemble`.

    Parameters
    ----------
    networks : sequence of MLP
        Copies of one network at different times: the same arguments of the constructor and the
        same preprocessing, and no two at the same step with different parameters.

    Raises
    ------
    ValueError
        For networks of different runs, with the difference.

    Examples
    --------
    >>> runs = [fanin.MLP([4, 3, 2], seed=seed) for seed in range(2)]
    >>> fanin.ensemble.average_parameters(runs)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: networks: expected points of one run, got seed=1 at 1 and seed=0 at 0; ...
    """
    networks = check_networks("networks", networks)
    for i in range(len(networks)):
        for j in range(i):
            _require_one_run(networks, j, i)
    total = np.zeros(networks[0].get_parameters().shape)
    for net in networks:
        total += net.get_parameters()
    result = networks[-1].copy()
    result.set_parameters((total / len(networks)).astype(result.dtype))
    return result


def _require_one_run(networks: Sequence[MLP], i: int, j: int) -> None:
    first, second = networks[i], networks[j]
    a, b = first.config(), second.config()
    arrays, others = first.__getstate__()["arrays"], second.__getstate__()["arrays"]
    changed = [name for name in arrays if not np.array_equal(arrays[name], others.get(name))]
    if different := [name for name in a if a[name] != b.get(name)]:
        name = different[-1]
        tells = f"{name}={b.get(name)!r} at {j} and {name}={a[name]!r} at {i}"
    elif arrays.keys() != others.keys() or changed not in ([], ["parameters"]):
        tells = f"different preprocessing at {j} and {i}"
    elif changed and first.steps_done == second.steps_done:
        tells = f"different parameters after the same {first.steps_done} steps at {j} and {i}"
    else:
        return
    raise ValueError(
        f"networks: expected points of one run, got {tells}; "
        "an Ensemble takes networks of different runs"
    )
