"""Optimizers: from the lecture's SGD to Adam, one pass over the parameters each.

``opt.step(params, grads)`` updates arrays, or dicts of arrays, in place; `fanin.MLP.fit` takes the
same objects. In the formulas x are the parameters, g their gradient, t the step from 1; states begin
at zero. Weight decay is decoupled where a rule has it; L2 belongs to the loss, as in the lecture
(``reg=`` of `fit`, or ``g + reg * x`` by hand).

>>> import numpy as np
>>> from fanin import optim
>>> params = {"W": np.ones((2, 2)), "b": np.zeros(2)}
>>> grads = {"W": np.full((2, 2), 0.5), "b": np.ones(2)}
>>> opt = optim.Momentum(lr=0.1)
>>> for _ in range(2):
...     opt.step(params, grads)
>>> params["W"][0], params["b"]
(array([0.855, 0.855]), array([-0.29, -0.29]))
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fanin import _core
from fanin._validate import describe, plain_array, real, threads

__all__ = [
    "SGD",
    "AMSGrad",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Lion",
    "Momentum",
    "Nadam",
    "Nesterov",
    "Optimizer",
    "RMSProp",
    "clip_grad_norm",
    "get",
]

Array = npt.NDArray[Any]
Arrays = Array | Mapping[str, Array]
Layout = tuple[tuple[int, ...], np.dtype[Any]]

_AVERAGES = ("rho", "alpha", "beta1", "beta2")


class Optimizer:
    """Base of all optimizers; not to be made itself.

    Attributes
    ----------
    lr : float
        The learning rate, at least 0. It may be set between steps.
    name : str
        As `get` knows it.
    t : int
        Steps taken.
    n_states : int
        Arrays of state kept for each array of parameters.
    hyperparameters : dict
        All but the learning rate; they are fixed when the object is made.
    """

    name: ClassVar[str]

    def __init__(self, lr: float, **hyperparameters: float | None) -> None:
        if type(self) is Optimizer:
            raise TypeError("Optimizer: expected one of its subclasses, such as optim.Adam")
        self.lr = lr
        self._hyperparameters = {k: _checked(k, v) for k, v in hyperparameters.items()}
        self._states: dict[str, list[Array]] = {}
        self._rule = self._new_rule()

    def _new_rule(self) -> _core.Rule:
        core_names = {"alpha": "rho"}
        values = {core_names.get(k, k): v for k, v in self._hyperparameters.items()}
        return _core.Rule(self.name, **values)

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = real("lr", value, 0)

    @property
    def t(self) -> int:
        """Steps taken."""
        return self._rule.t

    @property
    def n_states(self) -> int:
        """Arrays of state kept for each array of parameters."""
        return self._rule.n_states

    @property
    def hyperparameters(self) -> dict[str, float | None]:
        """All but the learning rate."""
        return dict(self._hyperparameters)

    def __repr__(self) -> str:
        values = {"lr": self.lr, **self._hyperparameters}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in values.items())})"

    def step(self, params: Arrays, grads: Arrays, *, n_threads: int | None = None) -> None:
        """Takes one step: changes `params` in place.

        Parameters
        ----------
        params : ndarray or dict of str to ndarray
            float32 or float64, C-contiguous, writable. All calls must give the same keys, shapes and
            dtypes, since the states belong to them.
        grads : ndarray or dict of str to ndarray
            The gradients, alike. They are not changed.
        n_threads : int, optional
            The result does not depend on it.

        Raises
        ------
        ValueError, TypeError
            Where the two do not fit each other or earlier steps. Nothing has been changed then.
        """
        p, g = _named("params", params), _named("grads", grads)
        if p.keys() != g.keys():
            raise ValueError(f"grads: expected the keys of params ({_keys(p)}), got {_keys(g)}")
        states = self._states_for({k: (a.shape, a.dtype) for k, a in p.items()}, "params")
        self._rule.step(
            [_label(k) for k in p],
            list(p.values()),
            [g[k] for k in p],
            [states[k] for k in p],
            self.lr,
            0.0,
            1.0,
            threads(n_threads),
        )
        self._states = states

    def _states_for(self, layouts: Mapping[str, Layout], name: str) -> dict[str, list[Array]]:
        """The states of arrays of these layouts: those held, or zeros where none are held yet."""
        if not self._states or self.n_states == 0:
            return {
                k: [np.zeros(shape, dtype) for _ in range(self.n_states)]
                for k, (shape, dtype) in layouts.items()
            }
        if layouts.keys() != self._states.keys():
            raise ValueError(
                f"{name}: expected the keys of earlier steps ({_keys(self._states)}), "
                f"got {_keys(layouts)}; another model needs an optimizer of its own"
            )
        for k, (shape, dtype) in layouts.items():
            held = self._states[k][0]
            if held.shape != shape or held.dtype != dtype:
                raise ValueError(
                    f"{name}{_label(k)}: expected {describe(held)} as in earlier steps, "
                    f"got {shape} {dtype}; another model needs an optimizer of its own"
                )
        return self._states

    def _arena_states(self, size: int, dtype: np.dtype[Any]) -> list[Array]:
        """The states of a network whose parameters are one flat array."""
        self._states = self._states_for({"": ((size,), np.dtype(dtype))}, "optimizer")
        return self._states[""]

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on: a copy, for `load_state_dict`.

        Keys: name, lr, hyperparameters, clock (the count of steps and running products, a dict of
        numbers), states (a list of arrays for each key of params; the key "" for a single array).
        """
        return {
            "name": self.name,
            "lr": self.lr,
            "hyperparameters": self.hyperparameters,
            "clock": self._rule.state,
            "states": {k: [s.copy() for s in held] for k, held in self._states.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Puts back what `state_dict` gave: all later steps are the same, bit for bit."""
        expected = ("name", "lr", "hyperparameters", "clock", "states")
        missing = [k for k in expected if k not in state]
        if missing:
            raise ValueError(
                f"state: expected the keys {', '.join(expected)}; {missing[0]} is missing"
            )
        if state["name"] != self.name:
            raise ValueError(f"state: expected that of {self.name!r}, got {state['name']!r}")
        if state["hyperparameters"].keys() != self._hyperparameters.keys():
            raise ValueError(
                f"state: expected the hyperparameters {_keys(self._hyperparameters)}, "
                f"got {_keys(state['hyperparameters'])}"
            )
        states = {
            k: [np.array(plain_array(f"state{_label(k)}", s), order="C") for s in held]
            for k, held in state["states"].items()
        }
        if any(len(held) != self.n_states for held in states.values()):
            raise ValueError(f"state: expected {self.n_states} arrays for each key of states")
        self.lr = state["lr"]
        self._hyperparameters = {k: _checked(k, v) for k, v in state["hyperparameters"].items()}
        self._rule = self._new_rule()
        self._rule.state = dict(state["clock"])
        self._states = states


class SGD(Optimizer):
    """Stochastic gradient descent: ``x -= lr * g``.

    Parameters
    ----------
    lr : float, default 1e-2
        The course's default; PyTorch's is 1e-3, Keras's 1e-2. The formula is the same in all.
    """

    name = "sgd"

    def __init__(self, lr: float = 1e-2) -> None:
        super().__init__(lr)


class Momentum(Optimizer):
    """SGD with momentum: ``v = rho * v + g; x -= lr * v``.

    Parameters
    ----------
    lr : float, default 1e-2
    rho : float in [0, 1), default 0.9
        The lecture's friction: 0.9 or 0.99.

    Notes
    -----
    The lecture's form (Polyak 1964; Sutskever et al. 2013), and PyTorch's. Keras and the course's
    ``optim.py`` keep the learning rate in the velocity (``v = rho * v - lr * g; x += v``): the same
    path while lr is constant, another one after it changes.
    """

    name = "momentum"

    def __init__(self, lr: float = 1e-2, *, rho: float = 0.9) -> None:
        super().__init__(lr, rho=rho)


class Nesterov(Optimizer):
    """Nesterov's accelerated gradient: ``v = rho * v + g; x -= lr * (g + rho * v)``.

    Parameters
    ----------
    lr : float, default 1e-2
    rho : float in [0, 1), default 0.9

    Notes
    -----
    PyTorch's ``nesterov=True`` (Sutskever et al. 2013, in the variables of Bengio et al. 2013: x is
    the point looked ahead to). Keras and the course's notes keep lr in the velocity, which is the
    same while lr is constant.
    """

    name = "nesterov"

    def __init__(self, lr: float = 1e-2, *, rho: float = 0.9) -> None:
        super().__init__(lr, rho=rho)


class AdaGrad(Optimizer):
    """AdaGrad: ``h += g * g; x -= lr * g / (sqrt(h) + eps)``.

    Parameters
    ----------
    lr : float, default 1e-2
    eps : float, default 1e-7
        The lecture's.

    Notes
    -----
    Duchi, Hazan & Singer 2011, as in the lecture. PyTorch: the same with eps 1e-10. Keras: lr 1e-3, h
    begins at 0.1 and eps stands inside the root.
    """

    name = "adagrad"

    def __init__(self, lr: float = 1e-2, *, eps: float = 1e-7) -> None:
        super().__init__(lr, eps=eps)


class RMSProp(Optimizer):
    """RMSProp: ``h = alpha * h + (1 - alpha) * g * g; x -= lr * g / (sqrt(h) + eps)``.

    Parameters
    ----------
    lr : float, default 1e-2
    alpha : float in [0, 1), default 0.99
        The course's ``decay_rate``.
    eps : float, default 1e-8

    Notes
    -----
    Tieleman & Hinton 2012. Formula and defaults are PyTorch's and those of the course's ``optim.py``
    since 2016 (in 2015 eps stood inside the root). Keras: lr 1e-3, alpha 0.9, eps 1e-7 inside.
    """

    name = "rmsprop"

    def __init__(self, lr: float = 1e-2, *, alpha: float = 0.99, eps: float = 1e-8) -> None:
        super().__init__(lr, alpha=alpha, eps=eps)


class AdaDelta(Optimizer):
    """AdaDelta, whose steps have the units of the parameters.

    ``h = rho * h + (1 - rho) * g * g; d = sqrt((u + eps) / (h + eps)) * g;
    u = rho * u + (1 - rho) * d * d; x -= lr * d``

    Parameters
    ----------
    lr : float, default 1.0
        1 is the paper's rule, which has no learning rate.
    rho : float in [0, 1), default 0.9
    eps : float, default 1e-6

    Notes
    -----
    Zeiler 2012 (who used rho 0.95). Formula and defaults are PyTorch's. Keras: lr 1e-3, rho 0.95, eps
    1e-7. The course's code has no AdaDelta.
    """

    name = "adadelta"

    def __init__(self, lr: float = 1.0, *, rho: float = 0.9, eps: float = 1e-6) -> None:
        super().__init__(lr, rho=rho, eps=eps)


class Adam(Optimizer):
    """Adam: RMSProp with momentum, both corrected for their beginning at zero.

    ``m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g * g;
    x -= lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)``

    Parameters
    ----------
    lr : float, default 1e-3
    beta1, beta2 : float in [0, 1), default 0.9, 0.999
    eps : float, default 1e-8

    Notes
    -----
    Kingma & Ba 2015, algorithm 1; the same in PyTorch and in the course's ``optim.py``. Keras adds
    eps (1e-7) to the uncorrected root, the paper's "epsilon hat", which differs while v is small.

    Examples
    --------
    The first step has the length lr in every coordinate, whatever the gradient's scale:

    >>> import numpy as np
    >>> from fanin import optim
    >>> x = np.zeros(2)
    >>> optim.Adam(lr=0.1).step(x, np.array([1e-3, -50.0]))
    >>> x.round(4)
    array([-0.1,  0.1])
    """

    name = "adam"

    def __init__(
        self, lr: float = 1e-3, *, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
    ) -> None:
        super().__init__(lr, beta1=beta1, beta2=beta2, eps=eps)


class AdamW(Optimizer):
    """Adam with decoupled weight decay: ``x *= 1 - lr * weight_decay``, then Adam's step.

    Parameters
    ----------
    lr : float, default 1e-3
    beta1, beta2 : float in [0, 1), default 0.9, 0.999
    eps : float, default 1e-8
    weight_decay : float, default 1e-2
        Of everything that is passed in, biases included.

    Notes
    -----
    Loshchilov & Hutter 2019 in PyTorch's form, where lr multiplies the decay. Keras's default is
    4e-3. The course's code has no AdamW.
    """

    name = "adamw"

    def __init__(
        self,
        lr: float = 1e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(lr, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)


class Nadam(Optimizer):
    """Adam with Nesterov's look ahead.

    With m, v as in `Adam` and ``mu_t = beta1 * (1 - 0.5 * 0.96**(t * momentum_decay))``:
    ``x -= lr * (mu_{t+1} * m / (1 - mu_1 ... mu_{t+1}) + (1 - mu_t) * g / (1 - mu_1 ... mu_t))
    / (sqrt(v / (1 - beta2**t)) + eps)``

    Parameters
    ----------
    lr : float, default 2e-3
    beta1, beta2 : float in [0, 1), default 0.9, 0.999
    eps : float, default 1e-8
    momentum_decay : float or None, default 4e-3
        None is the textbook form with a constant beta1:
        ``x -= lr * (beta1 * m + (1 - beta1) * g) / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)``

    Notes
    -----
    Dozat 2016; formula and defaults are PyTorch's NAdam. Keras has momentum_decay 1, lr 1e-3 and eps
    1e-7. The textbook form is that of Ruder 2016. The course's code has no Nadam.
    """

    name = "nadam"

    def __init__(
        self,
        lr: float = 2e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        momentum_decay: float | None = 4e-3,
    ) -> None:
        super().__init__(lr, beta1=beta1, beta2=beta2, eps=eps, momentum_decay=momentum_decay)


class AMSGrad(Optimizer):
    """Adam whose second moment never falls: v is replaced by the largest v so far.

    ``x -= lr * (m / (1 - beta1**t)) / (sqrt(max_v / (1 - beta2**t)) + eps)``

    Parameters
    ----------
    lr : float, default 1e-3
    beta1, beta2 : float in [0, 1), default 0.9, 0.999
    eps : float, default 1e-8

    Notes
    -----
    Reddi, Kale & Kumar 2018 with bias correction, as PyTorch's and Keras's ``amsgrad=True`` (Keras:
    eps 1e-7 beside the uncorrected root). The course's code has no AMSGrad.
    """

    name = "amsgrad"

    def __init__(
        self, lr: float = 1e-3, *, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
    ) -> None:
        super().__init__(lr, beta1=beta1, beta2=beta2, eps=eps)


class Lion(Optimizer):
    """Lion: the sign of a momentum.

    ``c = beta1 * m + (1 - beta1) * g; x *= 1 - lr * weight_decay; x -= lr * sign(c);
    m = beta2 * m + (1 - beta2) * g``

    Parameters
    ----------
    lr : float, default 1e-4
        3 to 10 times smaller than Adam's, says the paper.
    beta1, beta2 : float in [0, 1), default 0.9, 0.99
    weight_decay : float, default 0

    Notes
    -----
    Chen et al. 2023, algorithm 2. Keras: the same with lr 1e-3. PyTorch and the course's code have
    no Lion.
    """

    name = "lion"

    def __init__(
        self,
        lr: float = 1e-4,
        *,
        beta1: float = 0.9,
        beta2: float = 0.99,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)


_CLASSES: dict[str, type[Any]] = {
    c.name: c
    for c in (
        SGD,
        Momentum,
        Nesterov,
        AdaGrad,
        RMSProp,
        AdaDelta,
        Adam,
        AdamW,
        Nadam,
        AMSGrad,
        Lion,
    )  # fmt: skip
}
_ALIASES = {"nag": "nesterov"}


def get(optimizer: str | Optimizer, lr: float | None = None) -> Optimizer:
    """An optimizer by its name, in any case ("adam", "momentum", "nag", ...), or the one given.

    Parameters
    ----------
    optimizer : str or Optimizer
    lr : float, optional
        Learning rate of a new one, else its default. A given object gets it set.

    Examples
    --------
    >>> from fanin import optim
    >>> optim.get("rmsprop", lr=1e-3)
    RMSProp(lr=0.001, alpha=0.99, eps=1e-08)
    """
    if isinstance(optimizer, Optimizer):
        if lr is not None:
            optimizer.lr = lr
        return optimizer
    if not isinstance(optimizer, str):
        raise TypeError(
            f"optimizer: expected a name or an object of fanin.optim, got {describe(optimizer)}"
        )
    name = optimizer.lower()
    name = _ALIASES.get(name, name)
    if name not in _CLASSES:
        raise ValueError(f"optimizer: expected one of {', '.join(_CLASSES)}; got {optimizer!r}")
    made: Optimizer = _CLASSES[name]() if lr is None else _CLASSES[name](lr)
    return made


def clip_grad_norm(grads: Arrays | Sequence[Array], max_norm: float) -> float:
    """Scales gradients in place so that their common Euclidean norm is at most `max_norm`.

    As PyTorch's ``clip_grad_norm_``: all are multiplied by ``max_norm / (norm + 1e-6)`` where that is
    below 1. Gradients whose norm is not finite are left as they are.

    Parameters
    ----------
    grads : ndarray, or dict or sequence of ndarray
        float32 or float64, C-contiguous, writable.
    max_norm : float
        Above 0.

    Returns
    -------
    float
        The norm before.

    Examples
    --------
    >>> import numpy as np
    >>> from fanin import optim
    >>> g = np.array([3.0, 4.0])
    >>> optim.clip_grad_norm(g, 1.0)
    5.0
    >>> g.round(4)
    array([0.6, 0.8])
    """
    limit = real("max_norm", max_norm, 0, above=True)
    if isinstance(grads, Sequence):
        grads = {str(i): g for i, g in enumerate(grads)}
    arrays = _named("grads", grads)
    for key, g in arrays.items():
        if g.dtype.kind != "f" or not g.flags.c_contiguous or not g.flags.writeable:
            raise ValueError(
                f"grads{_label(key)}: expected a C-contiguous, writable float32 or float64 array, "
                f"got {describe(g)}"
            )
    norm = math.sqrt(sum(_core.sum_squares(g) for g in arrays.values()))
    factor = limit / (norm + 1e-6)
    if factor < 1 and math.isfinite(norm):
        for g in arrays.values():
            g *= g.dtype.type(factor)
    return norm


def _checked(name: str, value: float | None) -> float | None:
    if name == "momentum_decay" and value is None:
        return None
    number = real(name, value, 0, above=name == "eps")  # type: ignore[arg-type]
    if name in _AVERAGES and number >= 1:
        raise ValueError(f"{name}: expected a number in [0, 1), got {value!r}")
    return number


def _named(name: str, arrays: object) -> dict[str, Array]:
    """The arrays by key; a single one has the key ""."""
    if isinstance(arrays, Mapping):
        return {str(k): plain_array(f"{name}{_label(str(k))}", a) for k, a in arrays.items()}
    return {"": plain_array(name, arrays)}


def _label(key: str) -> str:
    return f"[{key!r}]" if key else ""


def _keys(arrays: Mapping[str, Any]) -> str:
    return ", ".join(arrays) or "a single array"
