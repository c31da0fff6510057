"""The lecture's own names: its trainer, its two-layer net, and its listings as they run here.

The random search: a few epochs at each of many rates and strengths, drawn in the exponent (at
ranges that suit the digits).

>>> from numpy.random import seed, uniform
>>> from fanin import ClassifierTrainer, init_two_layer_model, two_layer_net
>>> (X_train, y_train), (X_val, y_val) = fanin.datasets.load("digits")
>>> X_train, X_val = X_train / 16, X_val / 16
>>> seed(0)
>>> max_count = 3
>>> for count in range(max_count):
...     reg = 10**uniform(-5, 0)
...     lr = 10**uniform(-2, 0)
...     model = init_two_layer_model(64, 50, 10, std=0.1, seed=count)
...     best_model_local, stats = ClassifierTrainer().train(
...         X_train, y_train, X_val, y_val, model, two_layer_net, num_epochs=5, reg=reg,
...         update="momentum", learning_rate_decay=0.9, learning_rate=lr, seed=count)
...     val_acc = stats["best_val_acc"]
...     print("val_acc: %f, lr: %e, reg: %e, (%d / %d)"
...           % (val_acc, lr, reg, count + 1, max_count))
val_acc: 0.955556, lr: 2.693883e-01, reg: 5.547119e-03, (1 / 3)
val_acc: 0.963889, lr: 1.229607e-01, reg: 1.032326e-02, (2 / 3)
val_acc: 0.944444, lr: 1.957890e-01, reg: 1.313028e-03, (3 / 3)

Dropout, inverted: what is kept is divided by p in training, and the test is left as it is. X is
(N, D) here, its rows the examples, where the lecture's listing has ``W1 @ X``.

>>> from fanin import layers
>>> p = 0.5  # probability of keeping a unit
>>> rng = fanin.random.Generator(seed=0)
>>> def normal(*shape):
...     return rng.standard_normal(shape, dtype="float64")
>>> W1, W2, W3 = normal(8, 1000) / 2, normal(1000, 100) / 30, normal(100, 3) / 10
>>> b1, b2, b3 = np.zeros(1000), np.zeros(100), np.zeros(3)
>>> def train_step(X):
...     H1, U1 = layers.dropout_forward(layers.dense(X, W1, b1), keep=p, rng=rng)
...     H2, U2 = layers.dropout_forward(layers.dense(H1, W2, b2), keep=p, rng=rng)
...     out = layers.dense(H2, W3, b3, activation="identity")
...     # layers.dropout_backward(dH2, U2), ... lead the gradient back
...     return out, H1
>>> def predict(X):
...     H1 = layers.dense(X, W1, b1)  # no scaling necessary
...     H2 = layers.dense(H1, W2, b2)
...     return layers.dense(H2, W3, b3, activation="identity"), H1
>>> X = normal(500, 8)
>>> (out, H1), (tested, H1_tested) = train_step(X), predict(X)
>>> bool(abs(H1.mean() - H1_tested.mean()) < 0.01 * H1_tested.mean())
True

Vanilla dropout leaves what is kept as it is, and the test scales it by p. The mask is ``uniform <
p``: the listing's ``randn < p`` keeps 69 % of the units at p = 0.5, not the half that its test then
counts on, since a normal deviate lies below 0.5 that often.

>>> def train_step(X):
...     H1 = layers.dense(X, W1, b1)
...     H1 *= rng.random(H1.shape) < p  # drop!
...     H2 = layers.dense(H1, W2, b2)
...     H2 *= rng.random(H2.shape) < p  # drop!
...     return layers.dense(H2, W3, b3, activation="identity"), H1
>>> def predict(X):
...     H1 = layers.dense(X, W1, b1) * p  # scale the activations
...     H2 = layers.dense(H1, W2, b2) * p
...     return layers.dense(H2, W3, b3, activation="identity"), H1
>>> (out, H1), (tested, H1_tested) = train_step(X), predict(X)
>>> bool(abs(H1.mean() - H1_tested.mean()) < 0.01 * H1_tested.mean())
True
>>> draws = normal(1000000)
>>> round(float((draws < 0.5).mean()), 2), round(float((rng.random(1000000) < 0.5).mean()), 2)
(0.69, 0.5)

Optimizers: the listings' loops, each followed by the same path with `fanin.optim`, on a bowl that
is a hundred times as steep in one direction as in the other.

>>> from fanin import optim
>>> def compute_gradient(x):
...     return np.array([0.1, 10.0]) * x
>>> learning_rate, rho = 0.05, 0.9
>>> def descend(optimizer):
...     x = np.array([1.0, 1.0])
...     for _ in range(100):
...         optimizer.step(x, compute_gradient(x))
...     return x

>>> x = np.array([1.0, 1.0])  # SGD
>>> for _ in range(100):
...     dx = compute_gradient(x)
...     x -= learning_rate * dx
>>> bool(np.allclose(x, descend(optim.SGD(learning_rate)), rtol=1e-12)), x.round(3)
(True, array([0.606, 0.   ]))

>>> x, vx = np.array([1.0, 1.0]), 0  # SGD + Momentum
>>> for _ in range(100):
...     dx = compute_gradient(x)
...     vx = rho * vx + dx
...     x -= learning_rate * vx
>>> bool(np.allclose(x, descend(optim.Momentum(learning_rate, rho=rho)), rtol=1e-12)), x.round(3)
(True, array([-0.004,  0.003]))

>>> x, grad_squared = np.array([1.0, 1.0]), 0  # AdaGrad
>>> for _ in range(100):
...     dx = compute_gradient(x)
...     grad_squared += dx * dx
...     x -= learning_rate * dx / (np.sqrt(grad_squared) + 1e-7)
>>> bool(np.allclose(x, descend(optim.AdaGrad(learning_rate)), rtol=1e-12)), x.round(3)
(True, array([0.276, 0.276]))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from fanin import _core, _validate, initializers, optim
from fanin.layers import dense_backward, dense_forward, softmax_loss
from fanin.lecture.loops import Model, two_layers
from fanin.lecture.trainer import ClassifierRun, Stats, seed_of
from fanin.random import package_generator

__all__ = ["ClassifierTrainer", "Stats", "init_two_layer_model", "two_layer_net"]

Array = npt.NDArray[Any]


def init_two_layer_model(
    input_size: int,
    hidden_size: int,
    output_size: int,
    *,
    std: float = 1e-4,
    dtype: npt.DTypeLike = "float32",
    seed: int | None = None,
) -> Model:
    """Small random weights and zero biases for `two_layer_net`.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        D, H and the number of classes C.
    std : float, default 1e-4
        Of the weights: with it the lecture's initial losses come out, 2.3026 at reg 0 and 3.07 at
        reg 1e3 for 3072-50-10.
    dtype : {"float32", "float64"}
    seed : int, optional
        The weights are a pure function of it, those of an `MLP` with this seed and this std; None
        takes fresh entropy, as the course's code does.

    Returns
    -------
    dict of str to ndarray
        W1 (D, H), b1 (H,), W2 (H, C), b2 (C,).

    Examples
    --------
    >>> model = fanin.init_two_layer_model(32*32*3, 50, 10)  # input, hidden size, classes
    >>> {name: p.shape for name, p in model.items()}
    {'W1': (3072, 50), 'b1': (50,), 'W2': (50, 10), 'b2': (10,)}
    """
    names = ("input_size", "hidden_size", "output_size")
    values = (input_size, hidden_size, output_size)
    sizes = [_validate.whole(n, v, 1, 2**31 - 1) for n, v in zip(names, values, strict=True)]
    std = _validate.real("std", std, 0)
    dtype = _validate.float_dtype("dtype", dtype)
    key = seed_of(seed)
    model = {}
    for layer in range(2):
        rng = package_generator(key, "init", layer)
        shape = sizes[layer], sizes[layer + 1]
        model[f"W{layer + 1}"] = initializers.small_random(shape, std, rng=rng, dtype=dtype)
        model[f"b{layer + 1}"] = np.zeros(shape[1], dtype)
    return model


@overload
def two_layer_net(
    X: Array, model: Model, y: None = None, reg: float = 0.0, *, n_threads: int | None = None
) -> Array: ...
@overload
def two_layer_net(
    X: Array, model: Model, y: Array, reg: float = 0.0, *, n_threads: int | None = None
) -> tuple[float, Model]: ...
def two_layer_net(
    X: Array,
    model: Model,
    y: Array | None = None,
    reg: float = 0.0,
    *,
    n_threads: int | None = None,
) -> Array | tuple[float, Model]:
    """Scores, or loss and gradients, of ``affine - ReLU - affine - softmax``.

    Parameters
    ----------
    X : ndarray of shape (N, D) or (N, ...), uint8, float32 or float64
        uint8 enters as X / 255, as in `MLP`; floats are converted to the model's dtype.
    model : dict of str to ndarray
        As from `init_two_layer_model`.
    y : ndarray, optional
        Labels (N,) in 0 .. C-1, or soft ones (N, C).
    reg : float
        L2: adds ``0.5 * reg * sum(W * W)`` over W1 and W2, not the biases.
    n_threads : int, optional
        The result does not depend on it.

    Returns
    -------
    scores : ndarray of shape (N, C)
        Where y is None.
    loss, grads : float, dict of str to ndarray
        Otherwise; the gradients are named and shaped as the model.

    Examples
    --------
    The loss to expect of small weights is log C:

    >>> X, y = np.ones((4, 6)), np.array([0, 1, 2, 0])
    >>> model = fanin.init_two_layer_model(6, 5, 3, dtype="float64", seed=0)
    >>> loss, grads = fanin.two_layer_net(X, model, y)
    >>> round(loss, 4), fanin.two_layer_net(X, model).shape
    (1.0986, (4, 3))
    """
    W1, b1, W2, b2 = two_layers(model)
    reg = _validate.real("reg", reg, 0)
    x = _validate.data_rows("X", X, len(W1), W1.dtype)
    if x.dtype != W1.dtype:
        byte = x.dtype == np.uint8
        mean, scale = (np.zeros(1), np.full(1, 1 / 255)) if byte else (None, None)
        x = _core.gather_rows(x, None, mean, scale, W1.dtype, _validate.threads(n_threads))
    hidden, below = dense_forward(x, W1, b1, n_threads=n_threads)
    scores, above = dense_forward(hidden, W2, b2, activation="identity", n_threads=n_threads)
    if y is None:
        return scores
    loss, dscores = softmax_loss(scores, y, n_threads=n_threads)
    dhidden, dW2, db2 = dense_backward(dscores, above, n_threads=n_threads)
    assert dhidden is not None
    _, dW1, db1 = dense_backward(dhidden, below, need_dx=False, n_threads=n_threads)
    if reg:
        for W, dW in ((W1, dW1), (W2, dW2)):
            loss += 0.5 * reg * float(np.sum(np.square(W, dtype=np.float64)))
            # dW + reg * W in one rounding, as the native loop has it.
            optim.SGD(lr=reg).step(dW, -W, n_threads=n_threads)
    return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


class ClassifierTrainer:
    """The lecture's trainer: minibatch steps on any loss function of a dict of arrays.

    Attributes
    ----------
    best_model, stats
        What the last call of `train` returned or, after Ctrl-C or an error, had come to.
    """

    best_model: Model | None = None
    stats: Stats | None = None

    def train(
        self,
        X: Array,
        y: Array,
        X_val: Array,
        y_val: Array,
        model: Model,
        loss_function: Callable[..., Any],
        reg: float = 0.0,
        learning_rate: float = 1e-2,
        momentum: float = 0.9,
        learning_rate_decay: float = 0.95,
        update: str | optim.Optimizer = "momentum",
        sample_batches: bool = True,
        num_epochs: int = 30,
        batch_size: int | None = 100,
        acc_frequency: int | None = None,
        augment_fn: Callable[[Array], Array] | None = None,
        predict_fn: Callable[[Array], Array] | None = None,
        verbose: bool = False,
        seed: int | None = None,
        *,
        sampling: str = "replacement",
        stop_ratio: float | None = 3.0,
        sample_batchs: bool | None = None,
        n_threads: int | None = None,
    ) -> tuple[Model, Stats]:
        """Trains `model` in place; returns the model of the best validation accuracy.

        `two_layer_net` runs in the compiled loop of `MLP.fit`, everything else through Python, to
        the same parameters bit for bit.

        Parameters
        ----------
        X, X_val : ndarray of shape (N, ...)
            One row for each example.
        y, y_val : ndarray of shape (N,)
            Whole numbers as labels.
        model : dict of str to ndarray
            float32 or float64, C-contiguous; changed in place.
        loss_function : callable
            ``loss_function(X, model)`` gives scores (N, C), ``loss_function(X, model, y, reg)``
            gives (loss, grads), grads a dict with the keys of the model.
        reg : float
            Handed to `loss_function`.
        learning_rate : float
        momentum : float in [0, 1), default 0.9
            rho of "momentum" and "nesterov". The course's code of 2015 had 0, which is plain SGD.
        learning_rate_decay : float
            Multiplies the rate at the end of each epoch.
        update : str or Optimizer
            "sgd", "momentum", "rmsprop" or another name of `fanin.optim`. An object keeps its state
            from call to call and gets `learning_rate`.
        sample_batches : bool
            False takes all rows in each step, one step an epoch, as does ``batch_size=None``.
        num_epochs : int
        batch_size : int or None
            Rows of a step; an epoch has ``N // batch_size`` of them, at least one.
        acc_frequency : int, optional
            Evaluates also after iterations 0, acc_frequency, 2 * acc_frequency, ...
        augment_fn, predict_fn : callable, optional
            ``X -> X`` on the rows of each step, and on those of each evaluation. With `augment_fn`
            the steps go through Python. A `fanin.augment.Compose` draws anew for each row in each
            epoch; X is then (N, H, W, C). Where it keeps their size, `two_layer_net` stays native.
        verbose : bool
            Prints a line at each evaluation and at the end.
        seed : int, optional
            Of the minibatches; None takes fresh entropy.
        sampling : {"replacement", "epoch"}
            Draws with replacement, the course's, or a permutation in each epoch, `MLP.fit`'s, whose
            last step takes what is left.
        stop_ratio : float or None
            A cost over this many times the first ends the run; None lets it go on.
        sample_batchs : bool, optional
            `sample_batches` as the lecture's listing spells it.
        n_threads : int, optional
            The result does not depend on it.

        Returns
        -------
        best_model : dict of str to ndarray
            A copy; of the model as it was given, where validation never got one row right.
        stats : dict
            loss_history: the cost of each iteration. train_acc_history (on at most 1000 drawn
            rows), val_acc_history, lr_history (after decay), acc_iterations: one value for each
            evaluation, which come after the first iteration and at the end of each epoch.
            iterations_per_epoch, best_val_acc. stop_reason: "all epochs done", or "diverged: ..."
            where the cost was not finite or over `stop_ratio` times the first; the model is then
            put back to the last evaluation's.

        Notes
        -----
        After CS231n's ``classifier_trainer.py`` (2015), with these differences. Momentum keeps the
        rate outside the velocity, see `fanin.optim.Momentum`. The state of the update rule belongs
        to the call, so that one trainer trains models of any shapes. The only iteration of an epoch
        ends it, the first one too. Fewer rows than `batch_size` still make one iteration.

        Examples
        --------
        >>> (X, y), (X_val, y_val) = fanin.datasets.load("digits")
        >>> X, X_val = X / 16, X_val / 16
        >>> model = fanin.init_two_layer_model(64, 50, 10, std=0.1, seed=0)
        >>> best_model, stats = fanin.ClassifierTrainer().train(
        ...     X, y, X_val, y_val, model, fanin.two_layer_net, num_epochs=10, learning_rate=0.1,
        ...     seed=0)
        >>> stats["iterations_per_epoch"] == len(X) // 100, len(stats["val_acc_history"])
        (True, 11)
        >>> stats["best_val_acc"] > 0.9, stats["stop_reason"]
        (True, 'all epochs done')
        """
        if not (sample_batches if sample_batchs is None else sample_batchs):
            batch_size = None
        run = ClassifierRun(
            X,
            y,
            X_val,
            y_val,
            model,
            loss_function,
            native=loss_function is two_layer_net,
            reg=reg,
            learning_rate=learning_rate,
            momentum=momentum,
            learning_rate_decay=learning_rate_decay,
            update=update,
            num_epochs=num_epochs,
            batch_size=batch_size,
            acc_frequency=acc_frequency,
            augment_fn=augment_fn,
            predict_fn=predict_fn,
            verbose=verbose,
            seed=seed,
            sampling=sampling,
            stop_ratio=stop_ratio,
            n_threads=n_threads,
        )
        try:
            run.run()
        finally:
            self.best_model, self.stats = run.best_model, run.stats
        return run.best_model, run.stats
