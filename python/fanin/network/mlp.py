"""The multilayer perceptron: parameters in one arena, passes over data, saving and loading."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fanin import _core, _validate, initializers, losses
from fanin._typing import takes
from fanin.layers.dense import ACTIVATIONS
from fanin.layers.options import Dropping
from fanin.network.inputs import Entry
from fanin.network.options import FitOptions
from fanin.network.passes import Passes
from fanin.network.saving import Saving
from fanin.random import package_generator
from fanin.training import fit

if TYPE_CHECKING:
    from fanin.callbacks import History
    from fanin.diagnostics import ActivationReport

__all__ = ["MLP"]

Array = npt.NDArray[Any]


class MLP(Passes, Saving):
    """A multilayer perceptron that trains in compiled code.

    Parameters
    ----------
    dims : sequence of int
        Widths from input, after preprocessing, to output: ``[784, 256, 10]``.
    activation : str or sequence of str
        Of all hidden layers, or of each: identity, relu, leaky_relu, elu, gelu, sigmoid, tanh. The
        output layer is linear: its outputs are the scores.
    init : str
        Weights' initialiser: "kaiming", "xavier", "small_random", ... (`fanin.initializers`).
        Biases begin at zero.
    output_init : str or None
        The output layer's. Small, so that training begins at the loss that is to be expected of a
        network that knows nothing (log C with softmax); None takes `init`.
    loss : {"softmax", "svm", "mse"}
    keep : float or sequence of float
        Probability of keeping a unit of all hidden layers, or of each, in training: dropout.
    dropout_mode : {"inverted", "vanilla"}
        Kept units are divided by `keep` in training, or all multiplied by it at test time.
    drop_connect : float or sequence of float
        Probability of keeping a weight of all hidden layers, or of each, in training: DropConnect
        (Wan et al. 2013). Kept weights are divided by it; biases stay.
    drop_connect_mask : {"batch", "example"}
        One mask a step, or one for each row, which is the paper's: exact, but every weight is drawn
        for every row, which takes some ten times as long.
    drop_connect_inference : {"mean", "moments"}
        At test time the plain network, or the mean of the activations over normal sums of the same
        mean and variance as the masked ones (`fanin.layers.dropconnect_inference`).
    dtype : {"float32", "float64"}
        Of parameters and computation.
    seed : int
        Everything random about this network (weights, masks, order of the data) is a pure function
        of it: the trained bits are the same for any number of threads and any instruction set.

    Attributes
    ----------
    params : dict of str to ndarray
        W1 (D, H), b1 (H,), W2, ...: views of one flat arena; writing to them changes the network.
    dims, activation, keep, drop_connect, loss, dtype, seed
        As given; activation, keep and drop_connect as lists, one each hidden layer.
    history : History or None
        Of the last `fit`.

    Examples
    --------
    >>> import fanin
    >>> (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    >>> net = fanin.MLP([64, 64, 10], seed=0)
    >>> options = {"epochs": 20, "batch_size": 32, "preprocess": "standardize", "progress": False}
    >>> history = net.fit(X, y, **options)
    >>> net.evaluate(X_test, y_test)["accuracy"] > 0.95
    True
    """

    def __init__(
        self,
        dims: Sequence[int],
        *,
        activation: str | Sequence[str] = "relu",
        init: str = "kaiming",
        output_init: str | None = "small_random",
        loss: str = "softmax",
        keep: float | Sequence[float] = 1.0,
        dropout_mode: str = "inverted",
        drop_connect: float | Sequence[float] = 1.0,
        drop_connect_mask: str = "batch",
        drop_connect_inference: str = "mean",
        dtype: npt.DTypeLike = "float32",
        seed: int = 0,
    ) -> None:
        dropping = {
            "keep": keep,
            "dropout_mode": dropout_mode,
            "drop_connect": drop_connect,
            "drop_connect_mask": drop_connect_mask,
            "drop_connect_inference": drop_connect_inference,
        }
        hidden = initializers.get(init)
        output = hidden if output_init is None else initializers.get(output_init, "output_init")
        self._configure(dims, activation, init, output_init, loss, dtype, seed, **dropping)
        for layer in range(len(self.dims) - 1):
            initialize = output if layer == len(self.dims) - 2 else hidden
            rng = package_generator(self.seed, "init", layer)
            weights = self.params[f"W{layer + 1}"]
            initialize(weights.shape, rng=rng, dtype=self.dtype, out=weights)

    def _configure(
        self,
        dims: Sequence[int],
        activation: str | Sequence[str],
        init: str,
        output_init: str | None,
        loss: str,
        dtype: npt.DTypeLike,
        seed: int,
        **dropping: Any,
    ) -> None:
        """All but the values of the weights, which are zero here."""
        _validate.sequence("dims", dims, "a list of widths")
        if len(dims) < 2:
            raise ValueError(f"dims: expected at least an input and an output width, got {dims!r}")
        self.dims = [_validate.whole("dims", d, 1, 2**31 - 1) for d in dims]
        hidden = len(self.dims) - 2
        size = sum((d + 1) * h for d, h in pairwise(self.dims))
        if size > 2**34:
            raise ValueError(f"dims: expected at most 2**34 parameters, got {size}")
        self.activation: list[str] = _validate.per_layer(
            "activation", activation, hidden, lambda name, a: _validate.one_of(name, a, ACTIVATIONS)
        )
        self._dropping = Dropping.of(hidden, **dropping)
        self.keep, self.drop_connect = self._dropping.keep, self._dropping.drop_connect
        self.loss_name = _validate.one_of("loss", loss, losses.NAMES)
        self.dtype = _validate.float_dtype("dtype", dtype)
        self.seed = _validate.whole("seed", seed, 0, 2**64 - 1)
        # A function's name is kept for the record: a saved network is never initialised again.
        self.init = getattr(init, "__name__", init)
        self.output_init = getattr(output_init, "__name__", output_init)
        self.history: History | None = None
        self.stop_training = False
        self.stop_reason = ""
        self.epochs_done = 0
        self.steps_done = 0
        self._entry = Entry()
        codes = [ACTIVATIONS.index(a) for a in [*self.activation, "identity"]]
        keeps = [*self.keep, 1.0], [*self.drop_connect, 1.0]
        specs = list(zip(self.dims[:-1], self.dims[1:], codes, *keeps, strict=True))
        engine = _core.Engine32 if self.dtype == np.float32 else _core.Engine64
        self._engine = engine(specs, losses.NAMES.index(self.loss_name), *self._dropping.flags())
        self._arena: Array = self._engine.parameters
        self.params = self._views(self._arena)

    def _views(self, arena: Array) -> dict[str, Array]:
        views: dict[str, Array] = {}
        for layer, (w, b) in enumerate(self._engine.offsets):
            d, h = self.dims[layer : layer + 2]
            views[f"W{layer + 1}"] = arena[w : w + d * h].reshape(d, h)
            views[f"b{layer + 1}"] = arena[b : b + h]
        return views

    def __repr__(self) -> str:
        widths = "-".join(map(str, self.dims))
        return (
            f"MLP({widths}, loss={self.loss_name!r}, dtype={self.dtype.name!r}, seed={self.seed})"
        )

    @property
    def n_params(self) -> int:
        """Weights and biases."""
        return sum(p.size for p in self.params.values())

    def get_parameters(self) -> Array:
        """A copy of the arena: all parameters in one flat array."""
        return self._arena.copy()

    def set_parameters(self, parameters: Array) -> None:
        """Puts back what `get_parameters` gave."""
        parameters = _validate.plain_array("parameters", parameters)
        if parameters.shape != self._arena.shape or parameters.dtype != self.dtype:
            raise ValueError(
                f"parameters: expected shape {self._arena.shape} {self.dtype}, "
                f"got {_validate.describe(parameters)}"
            )
        np.copyto(self._arena, parameters)

    @takes(FitOptions)
    def fit(self, X: Array, y: Array, options: FitOptions) -> History:
        """Trains from where the network stands.

        Parameters
        ----------
        X : ndarray of shape (N, D) or (N, ...), uint8, float32 or float64
            Rows are gathered, converted and normalised inside the native loop: no float copy is
            made (but by PCA and Whiten). uint8 enters as X / 255 unless ``preprocess`` says
            otherwise.
        y : ndarray
            Labels (N,) in 0 .. C-1, or soft labels / values (N, C).
        {options}

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            Before anything has changed.
        KeyboardInterrupt
            On Ctrl-C, within 0.2 s; the network is at its last whole step.

        Warns
        -----
        DivergenceWarning
            Where the loss stops being finite: the parameters of the last good epoch are put back.
        """
        return fit.fit(self, X, y, options)

    def activation_report(
        self, X: Array, y: Array | None = None, *, bins: int = 30, n_threads: int | None = None
    ) -> ActivationReport:
        """How activations, and gradients where y is given, spread through the layers.

        See `fanin.diagnostics.activation_report`.

        Examples
        --------
        >>> import fanin
        >>> (X, y), _ = fanin.datasets.load("digits")
        >>> fanin.MLP([64, 50, 50, 10], activation="tanh").activation_report(X, y).verdict
        'healthy'
        """
        from fanin import diagnostics

        return diagnostics.activation_report(self, X, y, bins=bins, n_threads=n_threads)

    def config(self) -> dict[str, Any]:
        """What makes a network of this shape: the arguments of the constructor."""
        return {
            "dims": self.dims,
            "activation": self.activation,
            "init": self.init,
            "output_init": self.output_init,
            "loss": self.loss_name,
            **self._dropping.config(),
            "dtype": self.dtype.name,
            "seed": self.seed,
        }
