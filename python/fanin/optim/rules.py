"""The optimizers, from SGD to Lion, `get` and `clip_grad_norm`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fanin import _core
from fanin._typing import Array
from fanin._validate import describe, float_array, real
from fanin.optim.base import Arrays, Optimizer, label, named_arrays

__all__ = [
    "SGD", "AMSGrad", "AdaDelta", "AdaGrad", "Adam", "AdamW", "Lion", "Momentum", "Nadam",
    "Nesterov", "RMSProp", "clip_grad_norm", "get",
]  # fmt: skip


class SGD(Optimizer, name="sgd"):
    """Stochastic gradient descent: ``x -= lr * g``.

    Parameters
    ----------
    lr : float, default 1e-2
        The course's default; PyTorch's is 1e-3, Keras's 1e-2. The formula is the same in all.

    Examples
    --------
    >>> x = np.array([1.0, -1.0])
    >>> rule = fanin.optim.SGD(lr=0.1)
    >>> for _ in range(2):
    ...     rule.step(x, 2 * x)
    >>> x.round(4)
    array([ 0.64, -0.64])
    """

    def __init__(self, lr: float = 1e-2) -> None:
        super().__init__(lr)


class Momentum(Optimizer, name="momentum"):
    """SGD with momentum: ``v = rho * v + g; x -= lr * v``.

    The lecture's form (Polyak 1964; Sutskever et al. 2013), and PyTorch's. Keras and the course's
    ``optim.py`` keep the learning rate in the velocity (``v = rho * v - lr * g; x += v``): the same
    path while lr is constant, another one after it changes.

    Parameters
    ----------
    lr : float, default 1e-2
    rho : float in [0, 1), default 0.9
        The lecture's friction: 0.9 or 0.99.

    Examples
    --------
    >>> x = np.array([1.0, -1.0])
    >>> rule = fanin.optim.Momentum(lr=0.1)
    >>> for _ in range(2):
    ...     rule.step(x, 2 * x)
    >>> x.round(4)
    array([ 0.46, -0.46])
    """

    def __init__(self, lr: float = 1e-2, *, rho: float = 0.9) -> None:
        super().__init__(lr, rho=rho)


class Nesterov(Momentum, name="nesterov"):
    """Nesterov's accelerated gradient: ``v = rho * v + g; x -= lr * (g + rho * v)``.

    PyTorch's ``nesterov=True`` (Sutskever et al. 2013, in the variables of Bengio et al. 2013: x is
    the point looked ahead to). Keras and the course's notes: as for `Momentum`.

    Parameters
    ----------
    lr, rho
        As in `Momentum`, 1e-2 and 0.9.

    Examples
    --------
    >>> x = np.array([1.0, -1.0])
    >>> rule = fanin.optim.Nesterov(lr=0.1)
    >>> for _ in range(2):
    ...     rule.step(x, 2 * x)
    >>> x.round(4)
    array([ 0.2224, -0.2224])
    """


class AdaGrad(Optimizer, name="adagrad"):
    """AdaGrad: ``h += g * g; x -= lr * g / (sqrt(h) + eps)``.

    Duchi, Hazan & Singer 2011, as in the lecture. PyTorch: the same with eps 1e-10. Keras: lr 1e-3,
    h begins at 0.1 and eps stands inside the root. The course's notes: eps 1e-8 to 1e-4.

    Parameters
    ----------
    lr : float, default 1e-2
    eps : float, default 1e-7
        The lecture's.

    Examples
    --------
    >>> x = np.array([1.0, -1.0])
    >>> rule = fanin.optim.AdaGrad(lr=0.1)
    >>> for _ in range(2):
    ...     rule.step(x, 2 * x)
    >>> x.round(4)
    array([ 0.8331, -0.8331])
    """

    def __init__(self, lr: float = 1e-2, *, eps: float = 1e-7) -> None:
        super().__init__(lr, eps=eps)


class RMSProp(Optimizer, name="rmsprop"):
    """RMSProp: ``h = alpha * h + (1 - alpha) * g * g; x -= lr * g / (sqrt(h) + eps)``.

    Tieleman & Hinton 2012. Formula and defaults are PyTorch's and the course's (which in 2015 had
    eps inside the root). Keras: lr 1e-3, alpha 0.9, eps 1e-7 inside.

    Parameters
    ----------
    lr : float, default 1e-2
    alpha : float in [0, 1), default 0.99
        The course's ``decay_rate``.
    eps : float, default 1e-8

    Examples
    --------
    >>> x = np.array([1.0, -1.0])
    >>> rule = fanin.optim.RMSProp(lr=0.1)
    >>> for _ in range(2):
    ...     rule.step(x, 2 * x)
    >>> x.round(4)
    array([-0.,  0.])
    """

    def __init__(self, lr: float = 1e-2, *, alpha: float = 0.99, eps: float = 1e-8) -> None:
        super().__init__(lr, alpha=alpha, eps=eps)


class AdaDelta(Optimizer, name="adadelta"):
    """AdaDelta: steps in the units of the parameters.

    ``h = rho * h + (1 - rho) * g * g; d = sqrt((u + eps) / (h + eps)) * g;
    u = rho * u + (1 - rho) * d * d; x -= lr * d``

    Zeiler 2012 (who used rho 0.95). Formula and defaults are PyTorch's. Keras: lr 1e-3, rho 0.95,
    eps 1e-7. The course's code has no AdaDelta.

    Parameters
    ----------
    lr : float, default 1.0
        1 is the paper's rule, which has no learning rate.
    rho : float in [0, 1), default 0.9
    eps : float, default 1e-6

    Examples
    --------
    >>> x = np.array([1.0, -1.0])
    >>> rule = fanin.optim.AdaDelta(lr=0.1)
    >>> for _ in range(2):
    ...     rule.step(x, 2 * x)
    >>> x.round(4)
    array([ 0.9994, -0.9994])
    """

    def __init__(self, lr: float = 1.0, *, rho: float = 0.9, eps: float = 1e-6) -> None:
        super().__init__(lr, rho=rho, eps=eps)


class Adam(Optimizer, name="adam"):
    """Adam: RMSProp with momentum, both corrected for starting at zero.

    ``m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g * g;
    x -= lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)``

    Kingma & Ba 2015, algorithm 1; the same in PyTorch and in the course's ``optim.py``. Keras adds
    eps (1e-7) to the uncorrected root, the paper's "epsilon hat", which differs while v is small.

    Parameters
    ----------
    lr : float, default 1e-3
    beta1, beta2 : float in [0, 1), default 0.9, 0.999
    eps : float, default 1e-8

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

    def __init__(
        self, lr: float = 1e-3, *, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
    ) -> None:
        super().__init__(lr, beta1=beta1, beta2=beta2, eps=eps)


class AdamW(Optimizer, name="adamw"):
    """Adam with decoupled weight decay: ``x *= 1 - lr * weight_decay``, then Adam's step.

    Loshchilov & Hutter 2019 in PyTorch's form, where lr multiplies the decay. Keras's default is
    4e-3. The course's code has no AdamW.

    Parameters
    ----------
    lr, beta1, beta2, eps
        As in `Adam`, with its defaults.
    weight_decay : float, default 1e-2
        Of all parameters, biases included.

    Examples
    --------
    >>> x = np.array([1.0, -1.0])
    >>> rule = fanin.optim.AdamW(lr=0.1)
    >>> for _ in range(2):
    ...     rule.step(x, 2 * x)
    >>> x.round(4)
    array([ 0.7985, -0.7985])
    """

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


class Nadam(Optimizer, name="nadam"):
    """Adam with Nesterov momentum.

    With m, v as in `Adam` and ``mu_t = beta1 * (1 - 0.5 * 0.96**(t * momentum_decay))``:
    ``x -= lr * (mu_{t+1} * m / (1 - mu_1 ... mu_{t+1}) + (1 - mu_t) * g / (1 - mu_1 ... mu_t))
    / (sqrt(v / (1 - beta2**t)) + eps)``

    Dozat 2016; formula and defaults are PyTorch's NAdam. Keras has momentum_decay 1, lr 1e-3 and
    eps 1e-7. The textbook form is that of Ruder 2016. The course's code has no Nadam.

    Parameters
    ----------
    lr : float, default 2e-3
    beta1, beta2, eps
        As in `Adam`, with its defaults.
    momentum_decay : float or None, default 4e-3
        None is the textbook form with a constant beta1: ``x -= lr * (beta1 * m + (1 - beta1) * g)
        / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)``

    Examples
    --------
    >>> x = np.array([1.0, -1.0])
    >>> rule = fanin.optim.Nadam(lr=0.1)
    >>> for _ in range(2):
    ...     rule.step(x, 2 * x)
    >>> x.round(4)
    array([ 0.82, -0.82])
    """

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


class AMSGrad(Adam, name="amsgrad"):
    """Adam whose second moment never falls: v is replaced by the largest v so far.

    ``x -= lr * (m / (1 - beta1**t)) / (sqrt(max_v / (1 - beta2**t)) + eps)``

    Reddi, Kale & Kumar 2018 with bias correction, as PyTorch's and Keras's ``amsgrad=True`` (Keras:
    eps 1e-7 beside the uncorrected root). The course's code has no AMSGrad.

    Parameters
    ----------
    lr, beta1, beta2, eps
        As in `Adam`, with its defaults.

    Examples
    --------
    >>> x = np.array([1.0, -1.0])
    >>> rule = fanin.optim.AMSGrad(lr=0.1)
    >>> for _ in range(2):
    ...     rule.step(x, 2 * x)
    >>> x.round(4)
    array([ 0.8004, -0.8004])
    """


class Lion(Optimizer, name="lion"):
    """Lion: the sign of a momentum.

    ``c = beta1 * m + (1 - beta1) * g; x *= 1 - lr * weight_decay; x -= lr * sign(c);
    m = beta2 * m + (1 - beta2) * g``

    Chen et al. 2023, algorithm 2. Keras: lr 1e-3. PyTorch and the course's code have no Lion.

    Parameters
    ----------
    lr : float, default 1e-4
        3 to 10 times smaller than Adam's, says the paper.
    beta1, beta2 : float in [0, 1), default 0.9, 0.99
    weight_decay : float, default 0

    Examples
    --------
    >>> x = np.array([1.0, -1.0])
    >>> rule = fanin.optim.Lion(lr=0.1)
    >>> for _ in range(2):
    ...     rule.step(x, 2 * x)
    >>> x.round(4)
    array([ 0.8, -0.8])
    """

    def __init__(
        self, lr: float = 1e-4, *, beta1: float = 0.9, beta2: float = 0.99, weight_decay: float = 0
    ) -> None:
        super().__init__(lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay)


_RULES = (SGD, Momentum, Nesterov, AdaGrad, RMSProp, AdaDelta, Adam, AdamW, Nadam, AMSGrad, Lion)
_CLASSES = {rule.name: rule for rule in _RULES}
_ALIASES = {"nag": "nesterov"}


def get(
    optimizer: str | Optimizer, lr: float | None = None, *, argument: str = "optimizer"
) -> Optimizer:
    """The optimizer of that name ("adam", "nag", ...; case-insensitive), or the one given.

    Parameters
    ----------
    optimizer : str or Optimizer
    lr : float, optional
        The learning rate, in place of the class's default or the given optimizer's own.
    argument : str
        Its name in error messages.

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
        raise TypeError(f"{argument}: expected a name or an object, got {describe(optimizer)}")
    name = _ALIASES.get(optimizer.lower(), optimizer.lower())
    if name not in _CLASSES:
        raise ValueError(f"{argument}: expected one of {', '.join(_CLASSES)}; got {optimizer!r}")
    return _CLASSES[name]() if lr is None else _CLASSES[name](lr)


def clip_grad_norm(grads: Arrays | Sequence[Array], max_norm: float) -> float:
    """Scales gradients in place so that their common Euclidean norm is at most `max_norm`.

    As PyTorch's ``clip_grad_norm_``: all are multiplied by ``max_norm / (norm + 1e-6)`` where that
    is below 1. Gradients whose norm is not finite are left as they are. Returns the norm before.

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
    by_name = {str(i): g for i, g in enumerate(grads)} if isinstance(grads, Sequence) else grads
    arrays = named_arrays("grads", by_name)
    for key, g in arrays.items():
        float_array(f"grads{label(key)}", g)
        if not g.flags.writeable:
            raise ValueError(f"grads{label(key)}: expected a writable array, got a read-only one")
    norm = math.sqrt(sum(_core.sum_squares(g) for g in arrays.values()))
    factor = limit / (norm + 1e-6)
    if factor < 1 and math.isfinite(norm):
        for g in arrays.values():
            g *= g.dtype.type(factor)
    return norm
