"""An estimator's network in the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fanin import _core
from fanin._core import TrainingData
from fanin._typing import Array, Floats

ROLES = {  # of what is trained or counted beside weights and biases; the layer's number follows
    "gamma": "gamma",
    "beta": "beta",
    "slopes": "alpha",
    "running_mean": "running_mean",
    "running_variance": "running_var",
}


class Structure(NamedTuple):
    """What a network computes beside its widths, in the engine's names; tuples by hidden layer."""

    activation: tuple[str, ...]
    loss: Any  # a name, or with options
    keep: tuple[float, ...]
    norm: str | None
    residual: bool
    compute: str | None


class Compiled:
    """A compiled network that holds the parameters of an estimator; what callbacks get as network.

    Attributes
    ----------
    engine : Engine32 or Engine64
    arena : ndarray
        All parameters in one flat array.
    coefs, intercepts : list of ndarray
        Each layer's weights (D, H) and biases (H,): views of the arena. A hidden layer with batch
        norm has none of the latter, (0,).
    others : dict of str to ndarray
        The parameters of norms and of PReLU, and running statistics: gamma1 (H,), beta1, ...
    stop_training, stop_reason : bool, str
        Set by callbacks that end a run.
    """

    coefs: list[Array]
    intercepts: list[Array]
    others: dict[str, Array]
    stop_reason: str
    stop_training: bool

    def __init__(
        self,
        coefs: Sequence[Array],
        intercepts: Sequence[Array],
        others: dict[str, Array],
        structure: Structure,
    ) -> None:
        single = all(a.dtype == np.float32 for a in (*coefs, *intercepts))
        hidden = len(coefs) - 1
        layers = [
            _core.Layer(
                w.shape[0],
                w.shape[1],
                structure.activation[i],
                keep=structure.keep[i],
                norm=structure.norm or "none",
                skip=structure.residual and w.shape[0] == w.shape[1],
            )
            for i, w in enumerate(coefs[:hidden])
        ]
        layers.append(_core.Layer(coefs[-1].shape[0], coefs[-1].shape[1], "identity"))
        kind = _core.Engine32 if single else _core.Engine64
        self.engine: _core.Engine32 | _core.Engine64 = kind(
            layers, structure.loss, compute=structure.compute or "full"
        )
        self.arena: Array = self.engine.parameters
        self.coefs, self.intercepts, self.others = self.views(self.arena)
        self.stop_training, self.stop_reason = False, ""
        for view, given in zip(self.coefs, coefs, strict=True):
            view[...] = given
        for view, given in zip(self.intercepts, intercepts, strict=True):
            view[...] = given[: view.size]
        for name in others.keys() & self.others.keys():
            self.others[name][...] = others[name]

    def views(self, arena: Array) -> tuple[list[Array], list[Array], dict[str, Array]]:
        """Weights, biases and the other parameters of an array in the arena's layout."""
        coefs: list[Array] = []
        intercepts: dict[int, Array] = {}
        others: dict[str, Array] = {}
        for p in self.engine.layout:
            flat = arena[p.offset : p.offset + p.rows * p.cols]
            if p.role == "weights":
                coefs.append(flat.reshape(p.rows, p.cols))
            elif p.role == "bias":
                intercepts[p.layer] = flat
            else:
                others[f"{ROLES[p.role]}{p.layer + 1}"] = flat
        return coefs, [intercepts.get(i, arena[:0]) for i in range(len(coefs))], others

    def holds(
        self, coefs: Sequence[Array], intercepts: Sequence[Array], others: dict[str, Array]
    ) -> bool:
        """Whether these very arrays are its own."""
        if others is not self.others:
            return False
        mine, given = [*self.coefs, *self.intercepts], [*coefs, *intercepts]
        return len(mine) == len(given) and all(a is b for a, b in zip(mine, given, strict=True))

    def is_finite(self) -> bool:
        """Whether all parameters are."""
        return bool(_core.first_nonfinite(self.arena) == self.arena.size)

    def scores(self, X: Array, n_threads: int = 0) -> Array:
        """Outputs of the last layer, (N, C)."""
        return self.engine.scores(TrainingData(X), n_threads)

    # What callbacks ask of a network.

    @property
    def steps_done(self) -> int:
        """Steps of training so far."""
        return self.engine.steps_done

    def get_parameters(self) -> Array:
        """A copy of all parameters."""
        return self.arena.copy()

    def set_parameters(self, parameters: Array) -> None:
        """Restores what `get_parameters` returned."""
        np.copyto(self.arena, parameters)

    # One flat vector, all weights, then all biases and the rest, as an optimizer of functions
    # takes them.

    def _trained(self, arena: Array) -> list[Array]:
        coefs, intercepts, others = self.views(arena)
        return [*coefs, *intercepts, *others.values()]

    def pack(self, arena: Array) -> Floats:
        return np.concatenate([a.ravel() for a in self._trained(arena)], dtype=np.float64)

    def unpack(self, packed: Floats) -> None:
        start = 0
        for view in self._trained(self.arena):
            view[...] = packed[start : start + view.size].reshape(view.shape)
            start += view.size
