"""The multilayer perceptron: its parameters, forward and backward passes, saving and loading."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Protocol, Self, overload

import numpy as np
import numpy.typing as npt

from fanin import _core, _validate, checkpoint, initializers
from fanin._core import TrainingData
from fanin._files import FileError, reading
from fanin._typing import Array, PathLike, takes
from fanin._validate import one_of
from fanin.arrays import as_array, some_rows
from fanin.callbacks import History
from fanin.layers.dense import ACTIVATIONS
from fanin.layers.options import DropoutOptions
from fanin.losses.spec import LossSpec
from fanin.network import passes
from fanin.network.classes import as_labels, given_classes
from fanin.network.images import mean_over_views, test_time_pipelines
from fanin.network.inputs import Inputs
from fanin.network.options import FitOptions
from fanin.network.saving import (
    checked_metadata,
    inputs_from_state,
    inputs_to_state,
    optimizer_from_state,
    optimizer_to_state,
    targets_from_arrays,
    targets_to_arrays,
)
from fanin.network.targets import Targets
from fanin.optim import Optimizer
from fanin.preprocessing import Preprocess, TableEncoder
from fanin.preprocessing.base import Transformer
from fanin.random import package_generator

if TYPE_CHECKING:  # they are rare, and their import takes a while
    from fanin.augment import Compose, Transform
    from fanin.datasets import Chunks
    from fanin.diagnostics import ActivationReport

__all__ = ["MLP"]

HIDDEN_ACTIVATIONS = (*ACTIVATIONS, "prelu")

PARAMETER_NAMES = {  # of the core's roles; the layer's number follows
    "weights": "W",
    "bias": "b",
    "gamma": "gamma",
    "beta": "beta",
    "slopes": "alpha",
    "running_mean": "running_mean",
    "running_variance": "running_var",
}


_DEFAULTS = FitOptions()


class Trainer(Protocol):
    """The function behind `MLP.fit`, in `fanin.training`."""

    def __call__(
        self, net: MLP, X: Array | Chunks, y: Array | None, options: FitOptions
    ) -> History:
        """As `MLP.fit`."""


# What the compiled network was made of, and would not follow.
_FIXED = {
    *("dims", "activation", "norm", "residual", "keep", "drop_connect", "loss_name", "dtype"),
    *("compute", "engine", "arena", "params", "statistics", "init", "output_init", "classes_"),
}


class Parameters(dict[str, Array]):
    """Views of a network's arena: their values may be written, other arrays not put in place."""

    def __setitem__(self, name: str, values: Array) -> None:
        if values is not self.get(name):  # else an operation in place: params["W1"] *= 2
            self._refuse()

    def __delitem__(self, name: str) -> NoReturn:
        self._refuse()

    def __ior__(self, other: object) -> NoReturn:  # type: ignore[misc]
        self._refuse()

    def update(self, *_: object, **__: object) -> NoReturn:
        self._refuse()

    def pop(self, *_: object, **__: object) -> NoReturn:
        self._refuse()

    def popitem(self) -> NoReturn:
        self._refuse()

    def clear(self) -> NoReturn:
        self._refuse()

    def setdefault(self, *_: object, **__: object) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise TypeError(
            "params: expected values written to the views, params['W1'][...] = values; another "
            "array in their place would not be the network's"
        )

    def __reduce__(self) -> tuple[type[dict[str, Array]], tuple[dict[str, Array]]]:
        return dict, (dict(self),)


class MLP:
    """A multilayer perceptron that trains in compiled code.

    Parameters
    ----------
    dims : sequence of int
        Widths from input, after preprocessing, to output: ``[784, 256, 10]``.
    activation : str or sequence of str
        For all hidden layers, or one for each: a name in `fanin.layers.ACTIVATIONS`, such as "relu"
        or "tanh", or "prelu" (He et al. 2015), which learns a slope for each unit, from 0.25. The
        output layer is linear: its outputs are the scores.
    init : str
        Initialiser of the weights: "kaiming", "xavier", "small_random", ...
        (`fanin.initializers`). Biases start at zero.
    output_init : str or None
        Initialiser of the output layer. Small by default, so that the initial loss is that of
        chance (log C with softmax); None takes `init`.
    loss : str
        Of classes: "softmax", or "svm". "logistic": of two classes with one output, or with C
        outputs of labels that a row has or has not (multilabel). Of values: "mse",
        "half_squared_error", "mae", "huber", "quantile". Of counts: "poisson", whose outputs are
        logarithms of means. Their formulas are in `fanin.losses`.
    label_smoothing : float in [0, 1)
        With "softmax" and "logistic": the share of each target that is spread evenly. It is part of
        the loss wherever there is one.
    temperature : float
        With "softmax": what the scores are divided by.
    huber_delta : float
        With "huber": where half the square becomes a line, in deviations of y as `fit` standardises
        it.
    quantiles : float or sequence of float, optional
        With "quantile": the levels, above 0 and below 1 and ascending, by default the median alone.
        Each value of a target has an output for each of them: 0.05, 0.5 and 0.95 of one value are
        ``dims[-1] = 3``, a median with a prediction interval.
    keep : float or sequence of float
        Dropout: probability of keeping a unit in training, for all hidden layers or one for each.
    dropout_mode : {"inverted", "vanilla"}
        Kept units are divided by `keep` in training, or all multiplied by it at test time.
    drop_connect : float or sequence of float
        DropConnect (Wan et al. 2013): probability of keeping a weight in training, for all hidden
        layers or one for each. Kept weights are divided by it; biases are not dropped.
    drop_connect_mask : {"batch", "example"}
        One mask per step, or one per row as in the paper: exact, but about ten times slower, since
        every weight is drawn for every row.
    drop_connect_inference : {"mean", "moments"}
        At test time the plain network, or the mean of the activations over normal sums of the same
        mean and variance as the masked ones (`fanin.layers.dropconnect_inference`).
    norm : {None, "layer", "batch"}
        Normalises the sums of every hidden layer before its activation: each row over its units
        (Ba et al. 2016), or each unit over the rows of the minibatch (Ioffe and Szegedy 2015), then
        scales and shifts them by learnt gamma and beta. The variance gets 1e-5. With "batch" these
        layers have no bias, which the norm would take out again; prediction takes running
        statistics, which each step moves by 0.1 towards those of its minibatch; a minibatch has two
        rows at least.
    residual : bool
        A skip round every hidden layer that is as wide as its input: ``y = x + f(x)``.
    dtype : {"float32", "float64"}
        Of parameters and computation.
    compute : {None, "bf16"}
        "bf16" multiplies in bfloat16, which keeps 8 bits of each number: several times as fast
        where the CPU has tiles of it (AMX; `fanin.show_config` tells), a little slower elsewhere,
        with the same bits on all. Weights, activations and gradients are rounded where they enter a
        product, in training and in prediction; parameters, optimizer, sums and all else stay
        float32. A gradient then differs by about 1 %, which accuracies have not been seen to
        notice. None: all in `dtype`.
    seed : int
        Determines everything random (weights, masks, order of the data): the trained bits are the
        same for any number of threads and any instruction set.
    classes : sequence of str, int or bool, optional
        The labels that the outputs stand for, in their order, with loss "softmax", "svm" or one
        "logistic" output; the first `fit` may then have rows of any of them. Without them labels
        are 0 .. C-1, or those that the first `fit` finds, sorted.

    Attributes
    ----------
    params : dict of str to ndarray
        W1 (D, H), b1 (H,), W2, ...: views of one flat arena; writing to them changes the network.
        With a norm gamma1 (H,), beta1, ...; with "prelu" alpha1 (H,), the slopes below 0.
    statistics : dict of str to ndarray
        With ``norm="batch"`` running_mean1 (H,), running_var1, ...: views of the same arena.
    dims, activation, norm, residual, keep, drop_connect, dtype, compute, seed
        As given; activation, keep and drop_connect as lists, one value per hidden layer.
    loss_name : str
        The loss as given.
    classes_ : ndarray of shape (C,) or None
        The labels of the outputs, which `predict` gives back; None with loss "mse".
    history : History or None
        Of the last `fit`.
    metadata : dict
        Facts that go with the network into its file and its copies, as JSON has them: names of
        classes and columns, units of the target. `fanin train` writes them, `fanin predict` reads
        them; nothing here does.
    inputs : Inputs
        The fitted preprocessing, which `preprocess` shows.
    targets : Targets
        The loss with its options, and mean and scale of the values that it was fitted on.
    engine : Engine32 or Engine64
        The compiled network, which holds the parameters and takes the result of `prepare`.
    arena : ndarray
        All parameters and statistics in one flat array, whose views are in `params`.

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

    drop_connect: list[float]
    keep: list[float]

    trainer: ClassVar[Trainer]  # set by fanin.training, which imports this module
    saved_logs: Mapping[str, Any] | None = None  # set by ModelCheckpoint while it saves

    def __init__(
        self,
        dims: Sequence[int],
        *,
        activation: str | Sequence[str] = "relu",
        init: str | Callable[..., Array] = "kaiming",
        output_init: str | Callable[..., Array] | None = "small_random",
        loss: str = "softmax",
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        huber_delta: float = 1.0,
        quantiles: float | Sequence[float] | None = None,
        keep: float | Sequence[float] = 1.0,
        dropout_mode: str = "inverted",
        drop_connect: float | Sequence[float] = 1.0,
        drop_connect_mask: str = "batch",
        drop_connect_inference: str = "mean",
        norm: str | None = None,
        residual: bool = False,
        dtype: npt.DTypeLike = "float32",
        compute: str | None = None,
        seed: int = 0,
        classes: Sequence[Any] | Array | None = None,
    ) -> None:
        hidden_init = initializers.get(init)
        last_init = (
            hidden_init if output_init is None else initializers.get(output_init, "output_init")
        )
        self.dims: list[int] = _checked_dims(dims)
        n_hidden = len(self.dims) - 2
        self.activation: list[str] = _validate.per_layer(
            "activation", activation, n_hidden, lambda name, a: one_of(name, a, HIDDEN_ACTIVATIONS)
        )
        self._dropout = DropoutOptions.checked(
            n_hidden, keep, dropout_mode, drop_connect, drop_connect_mask, drop_connect_inference
        )
        self.keep, self.drop_connect = self._dropout.keep, self._dropout.drop_connect
        self.norm: str | None = None if norm is None else one_of("norm", norm, _core.norms[1:])
        self.residual: bool = _validate.boolean("residual", residual)
        self.dtype: np.dtype[Any] = _validate.float_dtype("dtype", dtype)
        self.compute: str | None = (
            None if compute is None else one_of("compute", compute, _core.computes[1:])
        )
        self._refuse_conflicts()
        spec = LossSpec(loss, label_smoothing, temperature, huber_delta, quantiles)
        spec.n_values(self.dims[-1])
        self.loss_name: str = spec.name
        given = classes is not None
        self.targets: Targets = Targets(spec, self.dims[-1], self.dtype, classes_given=given)
        if classes is not None and self.targets.kind not in ("labels", "binary"):
            raise ValueError(f"classes: expected None with loss={loss!r}, got {classes!r}")
        self.take_classes(given_classes(classes, self.targets.n_classes))
        self.seed: int = _validate.whole("seed", seed, 0, 2**64 - 1)
        # A function's name is kept for the record: a saved network is never initialised again.
        self.init: str | Callable[..., Array] = getattr(init, "__name__", init)
        self.output_init: str | Callable[..., Array] | None = getattr(
            output_init, "__name__", output_init
        )
        self.metadata: dict[str, Any] = {}
        self.history: History | None = None
        self.stop_training = False
        self.stop_reason = ""
        self.inputs: Inputs = Inputs.plain(self.dims[0], self.dtype)
        self.engine: passes.Engine = self._new_engine()
        self.arena: Array = self.engine.parameters
        self._layout = self.engine.layout
        self.params: dict[str, Array] = Parameters(self._views(self.arena))
        self.statistics: dict[str, Array] = Parameters(self._views(self.arena, trained=False))
        for layer in range(n_hidden + 1):
            initialize = hidden_init if layer < n_hidden else last_init
            rng = package_generator(self.seed, "init", layer)
            weights = self.params[f"W{layer + 1}"]
            initialize(weights.shape, rng=rng, dtype=self.dtype, out=weights)

    def __setattr__(self, name: str, value: object) -> None:
        _validate.read_only(self, name, _FIXED, "make another network, or set_parameters")
        object.__setattr__(self, name, value)

    def _refuse_conflicts(self) -> None:
        """Refuses what does not go with bf16 or with DropConnect."""
        if self.compute == "bf16" and self.dtype != np.float32:
            raise ValueError(f"compute: expected None with dtype={self.dtype.name!r}, got 'bf16'")
        if min(self.drop_connect, default=1.0) == 1:
            return
        options = self._dropout
        if self.compute == "bf16":
            for name, plain in (("drop_connect_mask", "batch"), ("drop_connect_inference", "mean")):
                if (value := getattr(options, name)) != plain:
                    raise ValueError(
                        f"{name}: expected {plain!r} with compute='bf16', got {value!r}"
                    )
        if self.norm == "batch" and options.drop_connect_mask == "example":
            raise ValueError("drop_connect_mask: expected 'batch' with norm='batch', got 'example'")
        if options.drop_connect_inference == "moments":
            if self.norm is not None:
                raise ValueError(
                    f"drop_connect_inference: expected 'mean' with norm={self.norm!r}, "
                    "got 'moments'"
                )
            if "prelu" in self.activation:
                raise ValueError(
                    "drop_connect_inference: expected 'mean' with activation='prelu', got 'moments'"
                )

    def _new_engine(self) -> passes.Engine:
        """The compiled network, with all weights zero."""
        n_hidden = len(self.dims) - 2
        layers = [
            _core.Layer(
                d,
                h,
                activation,
                keep=keep,
                keep_weights=keep_weights,
                norm="none" if self.norm is None or layer == n_hidden else self.norm,
                skip=self.residual and layer < n_hidden and d == h,
            )
            for layer, (d, h, activation, keep, keep_weights) in enumerate(
                zip(
                    self.dims[:-1],
                    self.dims[1:],
                    [*self.activation, "identity"],
                    [*self.keep, 1.0],
                    [*self.drop_connect, 1.0],
                    strict=True,
                )
            )
        ]
        kind = _core.Engine32 if self.dtype == np.float32 else _core.Engine64
        vanilla, row_masks, moments = self._dropout.flags()
        return kind(
            layers,
            self.targets.loss.core,
            vanilla=vanilla,
            row_masks=row_masks,
            moments=moments,
            compute=self.compute or "full",
        )

    def _views(self, arena: Array, *, trained: bool = True) -> dict[str, Array]:
        """The arrays of an arena by name, those that are trained or the others."""
        views: dict[str, Array] = {}
        for p in self._layout:
            if p.trained == trained:
                role, cols = p.role, p.cols
                flat = arena[p.offset : p.offset + p.rows * cols]
                name = f"{PARAMETER_NAMES[role]}{p.layer + 1}"
                views[name] = flat.reshape(-1, cols) if role == "weights" else flat
        return views

    def __repr__(self) -> str:
        widths = "-".join(map(str, self.dims))
        return (
            f"MLP({widths}, loss={self.loss_name!r}, dtype={self.dtype.name!r}, seed={self.seed})"
        )

    def _repr_html_(self) -> str:
        """The layers as a table, in a notebook."""
        from fanin.network.notebook import describe  # it is rare

        return describe(self)

    @property
    def n_params(self) -> int:
        """Weights, biases and whatever else is trained."""
        return sum(p.size for p in self.params.values())

    @property
    def steps_done(self) -> int:
        """Steps of training so far, which the compiled step counts with its writes."""
        return self.engine.steps_done

    @steps_done.setter
    def steps_done(self, steps: int) -> None:
        self.engine.steps_done = steps

    @property
    def epochs_done(self) -> int:
        """Whole epochs of training so far."""
        return self.engine.epochs_done

    @epochs_done.setter
    def epochs_done(self, epochs: int) -> None:
        self.engine.epochs_done = epochs

    def get_parameters(self) -> Array:
        """A copy of the arena: all parameters in one flat array.

        Where another thread trains the network, they are those after one of its steps; so they
        are in `save`, `copy`, pickles and all passes over data.
        """
        return self.engine.state().parameters

    def set_parameters(self, parameters: Array) -> None:
        """Restores what `get_parameters` returned."""
        parameters = _validate.array_of("parameters", parameters, self.arena.shape, self.dtype)
        # Buffers that come with a pickle, such as Dask's, may lie anywhere.
        self.engine.set_parameters(np.require(parameters, requirements=["C", "A"]))

    def config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        classes = self.classes_ if self.targets.classes_given else self.targets.classes
        return {
            "dims": list(self.dims),
            "activation": list(self.activation),
            "init": self.init,
            "output_init": self.output_init,
            **self.targets.loss.config(),
            **self._dropout.config(),
            "norm": self.norm,
            "residual": self.residual,
            "dtype": self.dtype.name,
            # What is not given is left out: files are then as before there was the argument.
            **({} if self.compute is None else {"compute": self.compute}),
            "seed": self.seed,
            **({} if classes is None else {"classes": classes.tolist()}),
        }

    @property
    def classes_(self) -> Array | None:
        """The labels that the outputs stand for: 0 .. C-1, or those that were given or found."""
        targets = self.targets
        if targets.classes is not None or targets.kind not in ("labels", "binary"):
            return targets.classes
        return np.arange(targets.n_classes)

    # Data

    @property
    def preprocess(self) -> list[Transformer] | tuple[Array, Array] | None:
        """The fitted preprocessing: transformers, (mean, scale) or None; read-only."""
        inputs = self.inputs
        table = [] if inputs.table is None else [inputs.table]
        if inputs.steps or table:
            return [*table, *inputs.steps]
        return None if inputs.mean is None or inputs.scale is None else (inputs.mean, inputs.scale)

    def set_preprocess(self, preprocess: Preprocess | None, X: Array) -> None:
        """Sets and fits the preprocessing, as `fit` does with its argument of that name.

        Parameters
        ----------
        preprocess : transformer, list of transformers, "auto", "standardize", (mean, scale) or None
            Transformers of `fanin.preprocessing` are applied in order to the data as given (uint8:
            0 to 255); ``dims[0]`` is the width after them. Clones are fitted on X, as in
            scikit-learn's GridSearchCV, and yours are not changed; one that is already fitted
            is not fitted again. "standardize" takes mean and standard deviation of X's columns.
            (mean, scale), numbers or one value per column, gives ``(x - mean) * scale``. None
            lets the values enter as they are. "auto" keeps what was set or trained with before;
            else whole numbers from 0 to 255 get one mean and one deviation, those of X, and other
            numbers enter as they are, with a warning where they are badly scaled.
        X : ndarray of shape (N, D) or (N, ...)
            The training data.

        Notes
        -----
        `ZeroCenter` and `Normalize`, "standardize" and (mean, scale) are one subtraction and one
        product in the native loop, with the mean in the data's precision or, for uint8, the
        network's: no float copy of the data is made. What was set holds for all data from then
        on, by value: the same numbers of any dtype give the same result, bit for bit where float32
        holds them. `PCA` and `Whiten` make one, of the width
        after them, in each fit and evaluation; prediction works in blocks. After other steps,
        fitting them takes a copy of the data's width too. Their eigenvectors are LAPACK's and may
        differ between machines; a saved network carries them, and gives the same bits.

        Examples
        --------
        >>> import fanin
        >>> from fanin.preprocessing import PCA, Normalize
        >>> (X, y), _ = fanin.datasets.load("digits")
        >>> net = fanin.MLP([20, 32, 10])
        >>> net.set_preprocess([Normalize(), PCA(20)], X)
        >>> net.preprocess
        [Normalize(), PCA(n_components=20)]
        >>> net.scores(X).shape[1]
        10
        """
        inputs = self.inputs.requested(preprocess, X)
        X, names = inputs.read("X", X)
        inputs, rows = inputs.first_rows(X, names=names)
        self.inputs, _ = inputs.fit(self.with_targets(rows))

    def take_table(self, table: TableEncoder | None) -> None:
        """Takes frames from now on, whose features, as `table` makes them, it was trained on."""
        if table is not None and table.n_features_out_ != self.inputs.columns:
            got = f"one that makes {table.n_features_out_}"
            raise ValueError(
                f"table: expected an encoder of {self.inputs.columns} features, got {got}"
            )
        self.inputs = replace(self.inputs, table=table)

    def set_target_units(self, y: Array) -> None:
        """Records mean and deviation of the values y, as the first `fit` does.

        Where there is a record, or the targets are no values, it does nothing.

        Parameters
        ----------
        y : ndarray of shape (N,) or (N, M)

        Examples
        --------
        >>> net = fanin.MLP([2, 1], loss="mse")
        >>> net.set_target_units(np.array([1.0, 3.0]))
        >>> net.targets.mean, net.targets.scale
        (array([2.]), array([1.]))
        """
        targets = self.targets.requested(standardize=True)
        if targets.to_fit:
            y = _validate.plain_array("y", y)
            _, soft = targets.checked("y", y, len(y))
            self.targets = targets.fit(y, soft, None)

    def expected_initial_loss(self, y: Array) -> float | None:
        """The loss of scores 0, which small initial weights give, on these targets.

        With "softmax" log C, with "svm" C - 1, with "logistic" log 2; of values that of predicting
        their recorded mean.
        """
        soft = None
        if self.targets.loss.takes_values:
            y = some_rows("y", y)
            _, soft = self.targets.enter("y", y, len(y))
        return self.targets.expected_initial_loss(soft, None)

    def prepare(
        self,
        X: Array,
        y: Array | None = None,
        *,
        sample_weight: Array | None = None,
        n_threads: int | None = None,
    ) -> TrainingData:
        """Data in the form that the native loop takes: checked and transformed.

        Parameters
        ----------
        X : ndarray of shape (N, D) or (N, ...)
        y : ndarray, optional
            Labels (N,), or soft labels / values (N, C).
        sample_weight : ndarray of shape (N,), optional
        n_threads : int, optional

        Returns
        -------
        TrainingData
            ``X`` (N, dims[0]); ``mean`` and ``scale``: the first layer's input is
            ``(X - mean) * scale``; ``labels`` or ``soft``; ``weights``. Absent ones are None.

        Examples
        --------
        >>> net = fanin.MLP([2, 3])
        >>> data = net.prepare(np.zeros((4, 2), np.uint8), np.arange(4) % 3)
        >>> data.X.dtype, data.scale, data.labels
        (dtype('uint8'), None, array([0, 1, 2, 0], dtype=int32))
        """
        return self.inputs.transform(self.check_data(X, y, sample_weight), n_threads)

    def check_data(
        self,
        X: Array,
        y: Array | None = None,
        sample_weight: Array | None = None,
        *,
        names: tuple[str, str] = ("X", "y"),
    ) -> TrainingData:
        """The first half of `prepare`, before any transformer."""
        return self.with_targets(self.inputs.rows(X, names[0]), y, sample_weight, name=names[1])

    def with_targets(
        self,
        rows: Array,
        y: Array | None = None,
        sample_weight: Array | None = None,
        *,
        name: str = "y",
        weights_name: str = "sample_weight",
        targets: Targets | None = None,
    ) -> TrainingData:
        """Rows that `Inputs` has checked, beside targets and weights, which are checked here.

        `targets` are by default the network's.
        """
        labels = soft = None
        if y is not None:
            labels, soft = (targets or self.targets).enter(name, y, len(rows))
        weights = _validate.weights(sample_weight, len(rows), self.dtype, weights_name)
        return TrainingData(rows, None, None, labels, soft, weights)

    def targets_for(self, y: object, name: str = "y") -> Targets:
        """How y enters a training that begins: with the network's classes, else those of y."""
        return self.targets if self.steps_done else self.targets.of_labels(name, y)

    def take_classes(self, classes: Array | None) -> None:
        """Lets the outputs stand for these labels; None for 0 .. C-1."""
        self.targets = replace(self.targets, classes=classes)

    # Training

    @takes(FitOptions)
    def fit(
        self, X: Array | Chunks, y: Array | None = None, options: FitOptions = _DEFAULTS
    ) -> History:
        """Trains, starting from the current parameters.

        Parameters
        ----------
        X : array_like of shape (N, D) or (N, ...), of any real dtype
            An array of any strides, a memory map, a list, a tensor, a frame of pandas, polars or
            pyarrow (extra ``frames``; its columns' names are kept and checked from then on), or a
            sparse matrix of SciPy. Rows of uint8, float32 and float64 are gathered where they lie,
            converted and normalised inside the native loop: no float copy is made (except by PCA
            and Whiten). Others are copied to the smallest of these that holds the values. How X
            enters, its range and the shape of an image are recorded, and hold for all data from
            then on, whatever their dtype. A large memory map is read row by row, and little of it
            held in memory. What is larger than memory may also come as `fanin.datasets.Chunks`,
            which have the targets too, or as a Dask array, whose blocks are chunks.
        y : array_like
            Labels (N,) of C classes: 0 .. C-1, or else text, truth values or any whole numbers,
            which the network keeps as ``classes_``; or soft labels (N, C). With "logistic" and one
            output labels of two classes, or probabilities; with C outputs 0 and 1, bools or
            probabilities (N, C). Else values or counts (N, M), or (N,) where M is 1.
        {options}

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            Before anything is changed.
        KeyboardInterrupt
            On Ctrl-C, within 0.2 s; the network is as after its last completed step, or as in its
        best epoch with ``EarlyStopping(restore_best=True)``.

        Warns
        -----
        UnitsWarning
            If floats are badly scaled, or data far outside the range of those of an earlier fit.
        DivergenceWarning
            If the loss becomes non-finite: the parameters of the last good epoch are restored.
        """
        return type(self).trainer(self, X, y, options)

    # Passes

    def scores(self, X: Array, *, n_threads: int | None = None) -> Array:
        """Outputs of the last layer, (N, C). A row's bits do not depend on the other rows.

        Parameters
        ----------
        X : ndarray of shape (N, D) or (N, ...), or a frame, as in training
        n_threads : int, optional
            Does not change the result.

        Examples
        --------
        >>> fanin.MLP([2, 3]).scores(np.zeros((4, 2), np.float32)).shape
        (4, 3)
        """
        inputs = self.inputs
        rows = inputs.rows(X)
        if not inputs.before:  # one pass
            return self.engine.scores(inputs.entering(rows), _validate.threads(n_threads))
        with self.engine.reading():
            return passes.scores(self.engine, inputs.blocks(rows, n_threads), n_threads)

    def predict(
        self,
        X: Array,
        *,
        tta: Compose | Transform | Sequence[Compose | Transform] | None = None,
        n_threads: int | None = None,
    ) -> Array:
        """What the network says of each row, in the units of y.

        Labels (N,) as they were given in training, those of the highest scores; with "logistic" and
        C outputs bools (N, C), which labels a row has. Values (N, M); with "poisson" the means,
        ``exp(scores)``; with Q quantiles (N, Q) in ascending order, or (N, M, Q) of several values.

        With `tta`, of the mean of probabilities, of scores with "svm", or the mean of the values.

        Parameters
        ----------
        X : ndarray of shape (N, D) or (N, ...), or a frame, as in training
        tta : Compose, transform, or a list of these, optional
            Test-time augmentation, as in `predict_proba`.
        n_threads : int, optional
            Does not change the result.

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError, TypeError
            Naming X, what was expected and what was given.

        Examples
        --------
        >>> net = fanin.MLP([2, 2], classes=["no", "yes"])
        >>> net.predict(np.ones((3, 2), np.float32)).shape
        (3,)
        """
        targets = self.targets
        if tta is None:
            return targets.named(targets.predictions(self.scores(X, n_threads=n_threads)))
        if targets.loss.gives_probabilities:
            probabilities = self.predict_proba(X, tta=tta, n_threads=n_threads)
            return targets.named(targets.predictions_of_probabilities(probabilities))
        if targets.loss.takes_values:
            return self._over_views(X, tta, self.predict, n_threads)
        scores = self._over_views(X, tta, self.scores, n_threads)
        return targets.named(targets.predictions(scores))

    def predict_proba(
        self,
        X: Array,
        *,
        tta: Compose | Transform | Sequence[Compose | Transform] | None = None,
        n_threads: int | None = None,
    ) -> Array:
        """Probabilities (N, C) of the classes, or with "logistic" and C outputs of each label.

        Only with loss "softmax" or "logistic", which with one output gives (N, 2).

        Parameters
        ----------
        X : ndarray of shape (N, D) or (N, ...); with `tta` images (N, H, W[, C])
        tta : Compose, transform, or a list of these, optional
            Test-time augmentation: the mean of the probabilities over all views of each image, of
            which `fanin.augment.FiveCrop` makes 5, `TenCrop` 10, any other pipeline 1. Of a list,
            pipeline i draws as for sample (row of X) in epoch i: ``[aug] * 8`` gives eight draws.
            The original image counts only if ``Compose([])`` is in the list. Views have the
            network's size and X's units.
        n_threads : int, optional
            Does not change the result.

        Returns
        -------
        ndarray of shape (N, C), float32 or float64
            As the network is; rows sum to 1 but with several labels a row.

        Examples
        --------
        >>> from fanin.augment import Compose, HorizontalFlip
        >>> net, X = fanin.MLP([64, 10]), np.zeros((5, 8, 8), np.uint8)
        >>> net.predict_proba(X, tta=[Compose([]), HorizontalFlip(p=1)]).shape
        (5, 10)
        """
        if not self.targets.loss.gives_probabilities:
            raise ValueError(
                f"predict_proba: expected loss='softmax' or 'logistic', this is {self.loss_name!r}"
            )
        if tta is not None:
            return self._over_views(X, tta, self.predict_proba, n_threads)
        return self.targets.probabilities(self.scores(X, n_threads=n_threads), n_threads)

    def _over_views(
        self, X: Array, tta: Any, outputs: Callable[..., Array], n_threads: int | None
    ) -> Array:
        """The mean of outputs over the views of each image."""
        X = as_array("X", X)
        with self.engine.reading():
            return mean_over_views(
                test_time_pipelines(tta),
                X,
                self.inputs.columns,
                lambda rows: outputs(rows, n_threads=n_threads),
                n_threads,
            )

    def evaluate(
        self,
        X: Array,
        y: Array,
        *,
        sample_weight: Array | None = None,
        metrics: Sequence[str] = (),
        n_threads: int | None = None,
    ) -> dict[str, Any]:
        """``{"loss": ..., "accuracy": ...}`` without dropout and L2; accuracy for labels.

        The loss of values is in the units that `fit` has standardised them to, and metrics are in
        those of y.

        Parameters
        ----------
        X : ndarray of shape (N, D) or (N, ...)
        y : ndarray
            Labels (N,), or soft labels / values (N, C).
        sample_weight : ndarray of shape (N,), optional
            Of the loss and the metrics; the accuracy is unweighted unless it is among these.
        metrics : sequence of str
            Of `fanin.metrics.NAMES`, which come beside these two. For labels: "accuracy",
            "balanced_accuracy", "f1" (of class 1 where there are two, else the mean over the
            classes), "f1_macro", "roc_auc", "log_loss", "confusion_matrix" (an array). For several
            labels a row: "accuracy" (of whole rows), "hamming_loss", "f1_macro", "f1_micro",
            "roc_auc". For values: "mse", "rmse", "mae", "r2"; for quantiles "pinball_loss" and
            "coverage" (these are of the median, where it is one); for counts "poisson_deviance".
        n_threads : int, optional

        Warns
        -----
        RareClassWarning
            If a trained network never predicts a rare class: its accuracy is then that of never
            having looked for it.

        Examples
        --------
        >>> X, y = np.eye(4, dtype=np.float32), np.array([0, 0, 0, 1])
        >>> result = fanin.MLP([4, 2]).evaluate(X, y, metrics=["balanced_accuracy"])
        >>> list(result)
        ['loss', 'accuracy', 'balanced_accuracy']
        """
        data = self.prepare(X, y, sample_weight=sample_weight, n_threads=n_threads)
        names = passes.check_metrics(metrics, self.targets, data)
        with self.engine.reading():
            result: dict[str, Any] = passes.evaluate(self.engine, data, n_threads)
            result |= passes.evaluate_metrics(self.engine, data, self.targets, names, n_threads)
            if self.steps_done and data.labels is not None:
                passes.warn_of_rare_classes(
                    self.engine, data, self.targets, result["accuracy"], n_threads
                )
        return result

    def loss(self, X: Array, y: Array, *, reg: float = 0.0) -> float:
        """Mean loss over the rows, plus ``0.5 * reg * sum(W * W)`` over the weights.

        Parameters
        ----------
        X, y
            As in `fit`.
        reg : float
            Strength of L2, at least 0; biases are left out.

        Returns
        -------
        float
            Without dropout and DropConnect.

        Examples
        --------
        >>> net = fanin.MLP([2, 4])
        >>> for p in net.params.values():
        ...     p[...] = 0
        >>> round(net.loss(np.ones((3, 2)), np.array([0, 1, 2])), 4)  # log(4)
        1.3863
        """
        data = self.prepare(X, y)
        reg = _validate.real("reg", reg, 0)
        weights = [slice(p.offset, p.offset + p.rows * p.cols) for p in self._layout if p.decays]
        with self.engine.reading():
            loss = passes.evaluate(self.engine, data, None)["loss"]
            squares = [float(np.sum(np.square(self.arena[w], dtype=float))) for w in weights]
        return loss + 0.5 * reg * sum(squares)

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
        X, y
            As in `fit`. With batch norm two rows at least: the statistics are theirs, as in a step
            of training.
        reg : float
            Strength of L2: adds ``0.5 * reg * sum(W * W)`` to the loss.
        sample_weight : ndarray of shape (N,), optional
        dropout_step : int, optional
            Applies the masks (dropout's and DropConnect's) of that step of training; without it
            there are none, and `drop_connect_inference` is the mean.
        n_threads : int, optional
            Does not change the result.

        Returns
        -------
        loss : float
        grads : dict of str to ndarray
            Named and shaped as `params`.
        """
        y = as_labels("y", y)
        if dropout_step is not None:
            dropout_step = _validate.whole("dropout_step", dropout_step, 0)
        _validate.batch_rows(self.norm, len(y))
        loss, gradient = self.engine.gradient(
            self.prepare(X, y, sample_weight=sample_weight, n_threads=n_threads),
            l2=_validate.real("reg", reg, 0),
            seed=self.seed,
            dropout_step=dropout_step,
            n_threads=_validate.threads(n_threads),
        )
        return loss, self._views(gradient)

    def activation_report(
        self, X: Array, y: Array | None = None, *, bins: int = 30, n_threads: int | None = None
    ) -> ActivationReport:
        """Statistics of each layer's activations and, if y is given, gradients.

        See `fanin.diagnostics.activation_report`.

        Parameters
        ----------
        X, y
            As in `fit`; y is optional.
        bins : int
            Of each layer's histogram.
        n_threads : int, optional
            Does not change the result.

        Returns
        -------
        ActivationReport

        Examples
        --------
        >>> import fanin
        >>> (X, y), _ = fanin.datasets.load("digits")
        >>> net = fanin.MLP([64, 50, 50, 10], activation="tanh")
        >>> net.set_preprocess("auto", X)
        >>> net.activation_report(X, y).verdict
        'healthy'
        """
        from fanin import diagnostics

        with self.engine.reading():
            return diagnostics.activation_report(self, X, y, bins=bins, n_threads=n_threads)

    # Files and copies

    def __getstate__(self) -> dict[str, Any]:
        steps, arrays = inputs_to_state(self.inputs)
        now = self.engine.state()
        arrays |= {"parameters": now.parameters, **targets_to_arrays(self.targets)}
        counters = {"epochs_done": now.epochs_done, "steps_done": now.steps_done}
        header = {"config": self.config(), "counters": counters, "preprocess": steps}
        if self.metadata:
            header["metadata"] = checked_metadata(self.metadata)
        return header | {"arrays": arrays}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        parameters = _validate.plain_array("parameters", state["arrays"]["parameters"])
        self.restore_config(state, parameters.size)
        self.set_parameters(parameters)
        self.restore_state(state, state["arrays"])

    def restore_config(self, state: Mapping[str, Any], size: int) -> Array:
        """Makes the network of a state whose parameters are so many; returns its arena."""
        config = state["config"]
        if size < _n_parameters(_checked_dims(config["dims"])):
            raise ValueError(f"parameters: expected those of {config['dims']}, got {size} numbers")
        MLP.__init__(self, **(config | {"init": _no_init, "output_init": None}))
        vars(self).update(init=config["init"], output_init=config["output_init"])
        return self.arena

    def restore_state(self, state: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Takes all of a state but the parameters, which are in the arena already."""
        steps = state.get("preprocess", [])  # files from before there were any lack it
        self.metadata = checked_metadata(state.get("metadata", {}))
        counters = state["counters"]
        self.epochs_done = _validate.whole("epochs_done", counters["epochs_done"], 0, 2**62)
        self.steps_done = _validate.whole("steps_done", counters["steps_done"], 0, 2**62)
        trained = self.epochs_done > 0
        self.inputs = inputs_from_state(steps, arrays, self.dims[0], self.dtype, trained)
        self.targets = targets_from_arrays(self.targets, arrays)

    def refuse_non_finite(self) -> None:
        """Raises where a parameter is NaN or infinite: a file with it could not be trusted."""
        if math.isfinite(self.arena.min()) and math.isfinite(self.arena.max()):
            return
        every = self.params | self.statistics
        infinite = (name for name, values in every.items() if not np.isfinite(values).all())
        name = next(infinite, "what lies between them")
        raise ValueError(f"params: expected finite numbers, got NaN or infinity in {name}")

    def copy(self) -> Self:
        """An independent copy, at the same point of its training."""
        twin = type(self).__new__(type(self))
        twin.__setstate__(self.__getstate__())
        return twin

    def save(self, path: PathLike, *, optimizer: Optimizer | None = None) -> None:
        """Writes configuration, preprocessing, metadata and parameters to one file, atomically.

        The file is an ``.npz`` archive, whatever its extension, with a JSON header and a checksum
        of each array. It is written beside the target, synced and then renamed.

        Parameters
        ----------
        path : str or path
        optimizer : Optimizer, optional
            The one that has trained the network, with its state: ``load(path, optimizer=True)``
            gives it back, and a `fit` with it goes on as if nothing had happened. A run that is to
            survive a crash has ``fit(checkpoint=...)``, which keeps all the rest too.

        Raises
        ------
        ValueError
            Where a parameter is NaN or infinite.
        OSError
            With the path, where nothing was saved and the file from before is there; but
            `fanin.NotDurableError` where it is saved, and a loss of power may undo that.
        """
        with self.engine.reading():  # the network and its optimizer after the same step
            self.refuse_non_finite()
            state = self.__getstate__()
            arrays = state.pop("arrays")
            if optimizer is not None:
                state["optimizer"], own = optimizer_to_state(optimizer, self.arena)
                arrays |= own
        known = {} if self.saved_logs is None else {"logs": dict(self.saved_logs)}
        checkpoint.save_archive(path, state | {"kind": "network"} | known, arrays)

    @overload
    @classmethod
    def load(cls, path: PathLike, *, optimizer: Literal[False] = False) -> Self: ...

    @overload
    @classmethod
    def load(cls, path: PathLike, *, optimizer: Literal[True]) -> tuple[Self, Optimizer]: ...

    @classmethod
    def load(cls, path: PathLike, *, optimizer: bool = False) -> Self | tuple[Self, Optimizer]:
        """Reads what `save` wrote. It never runs code from the file.

        Parameters
        ----------
        path : str or path
        optimizer : bool
            Whether to return the optimizer too, as (network, optimizer).

        Raises
        ------
        FileError
            A ValueError for a file that is corrupt, of another program or a later format, or that
            has no optimizer where one is asked for, with path and reason.
        OSError
            Where there is no such file, or it cannot be read.

        Examples
        --------
        >>> net, adam = fanin.MLP([4, 2]), fanin.optim.Adam()
        >>> X, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
        >>> history = net.fit(X, y, epochs=3, optimizer=adam, progress=False)
        >>> net.save("net.fanin", optimizer=adam)
        >>> net, adam = fanin.MLP.load("net.fanin", optimizer=True)
        >>> adam.t, net.steps_done
        (3, 3)
        """
        optimizer = _validate.boolean("optimizer", optimizer)
        net = cls.__new__(cls)

        def place(header: Mapping[str, Any]) -> dict[str, Array]:
            size = math.prod(header["arrays"]["parameters"]["shape"])
            return {"parameters": net.restore_config(header, size)}

        header, arrays = checkpoint.load_archive(path, "network", place)
        with reading(path, "not a usable network"):
            net.restore_state(header, arrays)
            net.refuse_non_finite()
            if not optimizer:
                return net
            if "optimizer" not in header:
                raise FileError(path, "expected a network saved with its optimizer, got none")
            return net, optimizer_from_state(header["optimizer"], arrays, net.arena)


def _n_parameters(dims: Sequence[int]) -> int:
    """Weights and biases of layers of these widths."""
    return sum((d + 1) * h for d, h in pairwise(dims))


def _checked_dims(dims: Sequence[int]) -> list[int]:
    _validate.sequence("dims", dims, "a list of widths")
    if len(dims) < 2:
        raise ValueError(f"dims: expected at least an input and an output width, got {dims!r}")
    widths = [_validate.whole("dims", d, 1, 2**31 - 1) for d in dims]
    size = _n_parameters(widths)
    if size > 2**34:
        raise ValueError(f"dims: expected at most 2**34 parameters, got {size}")
    return _validate.FixedList(widths)


def _no_init(shape: object, *, rng: object, dtype: object, out: Array) -> Array:  # noqa: ARG001
    """No initialisation, for a network that is about to be restored."""
    return out
