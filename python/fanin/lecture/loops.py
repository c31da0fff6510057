"""The training loops of the lecture's trainer: any Python loss function, or native code."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fanin import _core, _validate, optim
from fanin._core import TrainingData
from fanin._typing import Array
from fanin._validate import describe
from fanin.arrays import as_array, some_rows
from fanin.lecture.names import Model, check_model, two_layers
from fanin.network import MLP
from fanin.training.fit import CHUNK_SECONDS
from fanin.training.images import TrainingImages

if TYPE_CHECKING:
    from fanin.augment import Compose


def pipeline_of(augment_fn: object) -> Compose | None:
    """`augment_fn`, where it is a pipeline of `fanin.augment`."""
    package: Any = sys.modules.get("fanin.augment")  # without that import there is no pipeline
    if package is None or not isinstance(augment_fn, package.Compose):
        return None
    pipeline: Compose = augment_fn
    if pipeline.mix is not None or pipeline.variants > 1:
        what = "mixes labels" if pipeline.mix else f"makes {pipeline.variants} images of one"
        raise ValueError(
            f"augment_fn: expected a pipeline of images alone, got {pipeline!r}, which {what}; "
            "fanin.MLP.fit has mix=, predict_proba has tta="
        )
    return pipeline


def native_pipeline(augment_fn: object, X: Any) -> Compose | None:
    """The pipeline, if the native loop can run it: it keeps the images' size and units."""
    pipeline = pipeline_of(augment_fn)
    if pipeline is None or not isinstance(X, np.ndarray) or X.ndim not in (3, 4):
        return None
    native = (
        type(pipeline).__call__ is sys.modules["fanin.augment"].Compose.__call__
        and not pipeline.engine.normalizes
        and X.dtype in (np.uint8, np.float32)
        and min(X.shape[1:]) > 0
        and pipeline.output_size(*X.shape[1:3]) == X.shape[1:3]
    )
    return pipeline if native else None


@dataclass
class CallableLoop:
    """Steps through any ``loss_function(X, model[, y, reg])``."""

    loss_function: Callable[..., Any]
    params: Model
    optimizer: optim.Optimizer
    reg: float
    augment_fn: Callable[[Array], Array] | None
    n_threads: int | None

    def __post_init__(self) -> None:
        check_model(self.params, trained=True)
        self._pipeline = pipeline_of(self.augment_fn)

    def data(self, X: Array, y: Array, names: tuple[str, str]) -> tuple[Array, Array]:
        """The arrays, where they are rows with labels."""
        X, y = some_rows(names[0], X), as_array(names[1], y)
        if y.shape != X.shape[:1] or y.dtype.kind not in "iu":
            raise ValueError(
                f"{names[1]}: expected ({len(X)},) whole numbers as labels, got {describe(y)}"
            )
        return X, y

    def costs(
        self, X: Array, y: Array, order: Array, batch: int, first: int, last: int, epoch: int
    ) -> Iterator[float]:
        """Yields the cost of each step before it is applied."""
        for step in range(first, last):
            rows = order[step * batch : (step + 1) * batch]
            X_batch = X[rows]
            if self._pipeline is not None:
                X_batch = self._pipeline(X_batch, indices=rows, epoch=epoch)
            elif self.augment_fn is not None:
                X_batch = self.augment_fn(X_batch)
            result = self.loss_function(X_batch, self.params, y[rows], self.reg)
            try:
                cost, grads = result
                cost = float(cost)
            except (TypeError, ValueError):
                raise TypeError(
                    f"loss_function: expected (loss, grads) for labels, got {describe(result)}"
                ) from None
            yield cost
            self.optimizer.step(self.params, self._checked(grads), n_threads=self.n_threads)

    def _checked(self, grads: object) -> Model:
        if not isinstance(grads, Mapping):
            raise TypeError(f"loss_function: expected grads, got {describe(grads)}")
        if grads.keys() != self.params.keys():
            raise ValueError(
                f"loss_function: expected grads for {', '.join(self.params)}, "
                f"got {', '.join(map(str, grads))}"
            )
        checked = {k: np.asarray(grads[k], p.dtype, order="C") for k, p in self.params.items()}
        for key, p in self.params.items():
            if (shape := checked[key].shape) != p.shape:
                raise ValueError(
                    f"loss_function: expected grads[{key!r}] of shape {p.shape}, got {shape}"
                )
        return checked

    def correct(self, X: Array, y: Array) -> int:
        """Rows whose label has the largest score."""
        scores = self.loss_function(X, self.params)
        if not isinstance(scores, np.ndarray) or scores.ndim != 2 or len(scores) != len(X):
            raise ValueError(
                f"loss_function: expected scores of shape ({len(X)}, C) without labels, "
                f"got {describe(scores)}"
            )
        return int(np.count_nonzero(scores.argmax(axis=1) == y))


class NativeLoop:
    """Steps of `two_layer_net` in the compiled loop that `MLP.fit` uses."""

    def __init__(
        self,
        model: Model,
        optimizer: optim.Optimizer,
        reg: float,
        augment: Compose | None,
        n_threads: int | None,
    ) -> None:
        W1, b1, W2, _ = two_layers(model, trained=True)
        self._net = MLP([len(W1), len(b1), W2.shape[1]], dtype=W1.dtype)
        self.params: dict[str, Array] = self._net.params
        for name, p in self.params.items():
            np.copyto(p, model[name])
        self._optimizer, self._reg, self._threads = optimizer, reg, n_threads
        self._augment = augment
        self._images: _core.BatchAugmenter | None = None

    def data(self, X: Array, y: Array, names: tuple[str, str]) -> tuple[Array, Array]:
        """Rows and labels as the core takes them; the first call has those to train on."""
        if self._augment is not None and self._images is None:
            self._images = TrainingImages(self._net, X, (), self._augment, None).core
        rows = self._net.check_data(X, names=names).X
        return rows, _validate.labels(names[1], y, len(rows), self._net.dims[-1])

    def costs(
        self, X: Array, y: Array, order: Array, batch: int, first: int, last: int, epoch: int
    ) -> Iterator[float]:
        """The cost of each step; NaN ends them, and that step is not taken."""
        net, steps = self._net, -(-len(order) // batch)
        job = _core.TrainingJob(
            data=TrainingData(X, None, None, y),
            order=order,
            batch=batch,
            seed=0,
            n_threads=_validate.threads(self._threads),
            budget=CHUNK_SECONDS,
            images=self._images,
        )
        job.epoch = epoch
        learner = _core.Learner(
            rule=self._optimizer.rule,
            states=self._optimizer.arena_states(net.arena.size, net.dtype, net.engine),
            l2=self._reg,
            lr=np.full(steps, self._optimizer.lr),
            losses=np.empty(steps),
            correct=np.empty(steps, np.int64),
        )
        while first < last and not learner.diverged:
            net.engine.train(job, learner, first, last)
            yield from learner.losses[first : first + learner.steps].tolist()
            first += learner.steps
        if learner.diverged:
            yield math.nan

    def correct(self, X: Array, y: Array) -> int:
        """Rows whose label has the largest score."""
        data = TrainingData(X, None, None, y)
        return self._net.engine.evaluate(data, _validate.threads(self._threads))[1]
