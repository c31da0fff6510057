"""An estimator's network in the engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fanin import _core
from fanin._core import TrainingData
from fanin._typing import Array, Floats

ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}


class Compiled:
    """A compiled network that holds the parameters of an estimator.

    Attributes
    ----------
    engine : Engine32 or Engine64
    arena : ndarray
        All parameters in one flat array.
    coefs, intercepts : list of ndarray
        Each layer's weights (D, H) and biases (H,): views of the arena.
    """

    def __init__(
        self, coefs: Sequence[Array], intercepts: Sequence[Array], activation: str, loss: str
    ) -> None:
        single = all(a.dtype == np.float32 for a in (*coefs, *intercepts))
        last = len(coefs) - 1
        layers = [
            _core.Layer(
                w.shape[0], w.shape[1], "identity" if i == last else ACTIVATIONS[activation]
            )
            for i, w in enumerate(coefs)
        ]
        self.engine = (_core.Engine32 if single else _core.Engine64)(layers, loss)
        self.arena: Array = self.engine.parameters
        self.coefs, self.intercepts = self.views(self.arena)
        self._made_of = activation, loss
        for view, given in zip((*self.coefs, *self.intercepts), (*coefs, *intercepts), strict=True):
            view[...] = given

    def views(self, arena: Array) -> tuple[list[Array], list[Array]]:
        """Weights and biases of an array in the arena's layout."""
        coefs, intercepts = [], []
        for p in self.engine.layout:
            flat = arena[p.offset : p.offset + p.rows * p.cols]
            if p.role == "weights":
                coefs.append(flat.reshape(p.rows, p.cols))
            else:
                intercepts.append(flat)
        return coefs, intercepts

    def is_of(
        self, coefs: Sequence[Array], intercepts: Sequence[Array], activation: str, loss: str
    ) -> bool:
        """Whether these very arrays are its own, and it computes what is asked for."""
        mine = [*self.coefs, *self.intercepts]
        given = [*coefs, *intercepts]
        return (
            self._made_of == (activation, loss)
            and len(mine) == len(given)
            and all(a is b for a, b in zip(mine, given, strict=True))
        )

    def is_finite(self) -> bool:
        """Whether all parameters are."""
        return bool(_core.first_nonfinite(self.arena) == self.arena.size)

    def scores(self, X: Array) -> Array:
        """Outputs of the last layer, (N, C)."""
        return self.engine.scores(TrainingData(X), 0)

    # One flat vector, all weights and then all biases, as an optimizer of functions takes them.

    def pack(self, arena: Array) -> Floats:
        coefs, intercepts = self.views(arena)
        return np.concatenate([a.ravel() for a in (*coefs, *intercepts)], dtype=np.float64)

    def unpack(self, packed: Floats) -> None:
        start = 0
        for view in (*self.coefs, *self.intercepts):
            view[...] = packed[start : start + view.size].reshape(view.shape)
            start += view.size
