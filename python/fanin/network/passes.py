"""A network's passes over data: scores, loss and gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fanin import _core, _validate, losses
from fanin.network.images import mean_over_views, test_time_pipelines
from fanin.network.inputs import Entering

if TYPE_CHECKING:
    from fanin.augment import Compose, Transform

Array = npt.NDArray[Any]

# Targets as the core takes them: labels or soft, never both.
Targets = tuple[npt.NDArray[np.int32] | None, Array | None]


class Passes(Entering, ABC):
    """What `MLP` has of it."""

    loss_name: str
    seed: int
    params: dict[str, Array]
    _engine: _core.Engine32 | _core.Engine64

    @abstractmethod
    def _views(self, arena: Array) -> dict[str, Array]:
        """The parameters in an arena, by name."""

    def _targets(self, y: Array, n_rows: int, name: str = "y") -> Targets:
        return losses.targets(name, y, n_rows, self.dims[-1], self.loss_name, self.dtype)

    def scores(self, X: Array, *, n_threads: int | None = None) -> Array:
        """Outputs of the last layer, (N, C). Each row's bits are independent of the other rows."""
        threads = _validate.threads(n_threads)
        if self._entry.before:
            parts = self._parts(X, n_threads)
            return np.concatenate(
                [self._engine.scores(rows, *self._transform(rows), threads) for rows in parts]
            )
        rows = self._rows(X)
        return self._engine.scores(rows, *self._transform(rows), threads)

    def predict(
        self,
        X: Array,
        *,
        tta: Compose | Transform | Sequence[Compose | Transform] | None = None,
        n_threads: int | None = None,
    ) -> Array:
        """Labels (N,), the first of the largest scores; with loss "mse" the scores themselves.

        With `tta`, of the mean of probabilities, or of scores where the loss is not "softmax".
        """
        if tta is None:
            scores = self.scores(X, n_threads=n_threads)
        elif self.loss_name == "softmax":
            scores = self.predict_proba(X, tta=tta, n_threads=n_threads)
        else:
            scores = self._over_views(X, tta, self.scores, n_threads)
        return scores if self.loss_name == "mse" else scores.argmax(axis=1)

    def predict_proba(
        self,
        X: Array,
        *,
        tta: Compose | Transform | Sequence[Compose | Transform] | None = None,
        n_threads: int | None = None,
    ) -> Array:
        """Probabilities (N, C): softmax of the scores. Only with loss "softmax".

        Parameters
        ----------
        X : ndarray of shape (N, D) or (N, ...); with `tta` images (N, H, W[, C])
        tta : Compose, transform, or a list of these, optional
            Test-time augmentation: the mean of the probabilities over all views of each image, of
            which `fanin.augment.FiveCrop` makes 5, `TenCrop` 10, any other pipeline 1. Of a list,
            pipeline i draws as for sample (row of X) in epoch i: ``[aug] * 8`` gives eight draws.
            The image as it is, is no view unless ``Compose([])`` is in the list. Views have the
            network's size and X's units.

        Examples
        --------
        >>> from fanin.augment import Compose, HorizontalFlip
        >>> net, X = fanin.MLP([64, 10]), np.zeros((5, 8, 8), np.uint8)
        >>> net.predict_proba(X, tta=[Compose([]), HorizontalFlip(p=1)]).shape
        (5, 10)
        """
        if self.loss_name != "softmax":
            raise ValueError(f"predict_proba: expected loss='softmax', this is {self.loss_name!r}")
        if tta is not None:
            return self._over_views(X, tta, self.predict_proba, n_threads)
        return losses.softmax(self.scores(X, n_threads=n_threads), n_threads=n_threads)

    def _over_views(
        self, X: Array, tta: Any, outputs: Callable[..., Array], n_threads: int | None
    ) -> Array:
        """The mean of outputs over the views of each image."""
        entry = self._entry
        width = entry.steps[0].n_features_in_ if entry.before else self.dims[0]
        return mean_over_views(
            test_time_pipelines(tta),
            X,
            width,
            lambda rows: outputs(rows, n_threads=n_threads),
            n_threads,
        )

    def evaluate(
        self,
        X: Array,
        y: Array,
        *,
        sample_weight: Array | None = None,
        n_threads: int | None = None,
    ) -> dict[str, float]:
        """``{"loss": ..., "accuracy": ...}`` without dropout and L2; accuracy for labels."""
        rows = self._rows(X, n_threads=n_threads)
        targets = self._targets(y, len(rows))
        weights = _validate.weights(sample_weight, len(rows), self.dtype)
        return self._evaluate(rows, targets, weights, n_threads)

    def _evaluate(
        self, rows: Array, targets: Targets, weights: Array | None, n_threads: int | None
    ) -> dict[str, float]:
        loss, correct = self._engine.evaluate(
            rows, *self._transform(rows), *targets, weights, _validate.threads(n_threads)
        )
        result = {"loss": loss}
        if targets[0] is not None:
            result["accuracy"] = correct / len(rows)
        return result

    def loss(self, X: Array, y: Array, *, reg: float = 0.0) -> float:
        """Mean loss over the rows, plus ``0.5 * reg * sum(W * W)`` over the weights."""
        penalty = sum(
            float(np.sum(np.square(p, dtype=np.float64)))
            for name, p in self.params.items()
            if name.startswith("W")
        )
        return self.evaluate(X, y)["loss"] + 0.5 * _validate.real("reg", reg, 0) * penalty

    def loss_and_grads(
        self,
        X: Array,
        y: Array,
        *,
        reg: float = 0.0,
        sample_weight: Array | None = None,
        dropout_step: int | None = None,
        n_threads: int | None = None,
    ) -> tuple[float, dict[str, Array]]:
        """The loss with L2 and its gradient over every parameter.

        Parameters
        ----------
        dropout_step : int, optional
            Applies the masks (dropout's and DropConnect's) of that step of training; without it
            there are none, and `drop_connect_inference` is the mean.

        Returns
        -------
        loss : float
        grads : dict of str to ndarray
            Named and shaped as `params`.
        """
        rows = self._rows(X, n_threads=n_threads)
        targets = self._targets(y, len(rows))
        step = 0 if dropout_step is None else _validate.whole("dropout_step", dropout_step, 0)
        loss, gradient = self._engine.gradient(
            rows,
            *self._transform(rows),
            *targets,
            _validate.weights(sample_weight, len(rows), self.dtype),
            _validate.real("reg", reg, 0),
            dropout_step is not None,
            self.seed,
            step,
            _validate.threads(n_threads),
        )
        return loss, self._views(gradient)
