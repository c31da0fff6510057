"""`from_torch`: modules of PyTorch, and their state dicts, as networks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fanin import _validate
from fanin._typing import Array
from fanin.export.activations import ACTIVATIONS
from fanin.export.layers import EPS, Layer, network_of
from fanin.export.packages import required
from fanin.network import MLP
from fanin.network.inputs import Inputs

SOFTPLUS_THRESHOLD = 20.0  # PyTorch's default; a lower one is another function


@dataclass
class _Found:
    """A layer of another library in the making."""

    linear: str  # its name, for errors
    layer: Layer
    done: str = ""  # the last thing after the product


@dataclass
class _Reading:
    """Layers in order, and the preprocessing before them."""

    layers: list[_Found] = field(default_factory=list)
    inputs: tuple[Array, Array] | None = None  # mean, scale

    def last(self, name: str, kind: str, before: Sequence[str]) -> _Found:
        """The layer that a norm, activation or dropout of that name belongs to."""
        if not self.layers or self.layers[-1].done not in ("", *before):
            after = self.layers[-1].done if self.layers else "nothing"
            raise ValueError(
                "model: expected linear, norm, activation and dropout in this order, "
                f"got {kind} {name!r} after {after}"
            )
        self.layers[-1].done = kind
        return self.layers[-1]


def from_torch(
    model: Any,
    *,
    loss: str = "softmax",
    activation: str | Sequence[str] | None = None,
    residual: bool = False,
) -> MLP:
    """A network with the parameters of a module of PyTorch, or of its state dict.

    Parameters
    ----------
    model : torch.nn.Module or mapping of str to tensors or arrays
        A ``Sequential``, of others too, whose layers are ``Linear``, then perhaps a norm
        (``LayerNorm``, ``BatchNorm1d``), an activation that fanin has, and ``Dropout``; the last is
        ``Linear`` alone, perhaps with a ``Softmax``, which the loss stands for. Or what `to_torch`
        gives, but for PCA and whitening. A state dict has its arrays in the order of such layers.
    loss : str
        Of the network, since a module has none.
    activation : str or sequence of str, optional
        Of the hidden layers, for a state dict, which does not tell; "prelu" is known by its slopes.
    residual : bool
        Of a state dict likewise: a skip round every hidden layer that is as wide as its input.

    Returns
    -------
    MLP
        Its parameters are copies, in the dtype that they had.

    Raises
    ------
    ValueError
        For modules that MLP does not know, by name; options of norms and activations that differ
        from fanin's; a norm or skips in some of the layers only; dtypes but float32 and float64.
    TypeError
        For what is neither a module nor a state dict.

    Examples
    --------
    >>> from torch import nn
    >>> module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> fanin.export.from_torch(module)
    MLP(4-8-3, loss='softmax', dtype='float32', seed=0)
    >>> fanin.export.from_torch(module.state_dict(), activation="relu").activation
    ['relu']
    """
    reading = _Reading()
    if isinstance(model, Mapping):
        _read_state(reading, model)
        layers = [found.layer for found in reading.layers]
        layers = _with_arguments(layers, activation, _validate.boolean("residual", residual))
    elif hasattr(model, "named_children") and hasattr(model, "state_dict"):
        if activation is not None or residual:
            raise ValueError("activation, residual: expected none beside a module, which has them")
        _read_module(reading, "model", model)
        layers = [found.layer for found in reading.layers]
    else:
        got = _validate.describe(model)
        raise TypeError(f"model: expected a torch.nn.Module or a state dict, got {got}")
    if not layers:
        raise ValueError("model: expected a Linear layer at least, got none")
    dtypes = {layer.weights.dtype for layer in layers}
    if len(dtypes) > 1 or dtypes.isdisjoint({np.dtype("float32"), np.dtype("float64")}):
        raise ValueError(f"model: expected float32 or float64, got {sorted(map(str, dtypes))}")
    net = network_of("model", layers, loss, dtypes.pop())
    if reading.inputs is not None:
        mean, scale = reading.inputs
        if any(a.shape not in ((1,), (net.dims[0],)) for a in (mean, scale)):
            raise ValueError(f"model: expected a mean and scale of 1 or {net.dims[0]} values")
        range_ = (-math.inf, math.inf)
        net.inputs = Inputs(net.dims[0], net.dtype, net.dims[0], (), mean, scale, range=range_)
    return net


def _with_arguments(
    layers: list[Layer], activation: str | Sequence[str] | None, residual: bool
) -> list[Layer]:
    """Layers of a state dict, with what it does not tell."""
    hidden = layers[:-1]
    unknown = [layer for layer in hidden if layer.slopes is None]
    if unknown and activation is None:
        raise ValueError(
            "activation: expected that of the hidden layers, which a state dict does not tell"
        )
    names = _validate.per_layer(
        "activation",
        "prelu" if activation is None else activation,
        len(hidden),
        lambda name, value: _validate.one_of(name, value, ACTIVATIONS),
    )
    result = []
    for layer, name in zip(hidden, names, strict=True):
        if (name == "prelu") != (layer.slopes is not None):
            kind = "none" if layer.slopes is None else "slopes of a PReLU"
            raise ValueError(f"activation: expected what the state dict has, {kind}, got {name!r}")
        d, h = layer.weights.shape
        result.append(replace(layer, activation=name, skip=residual and d == h))
    return result + layers[-1:]


def _array(name: str, value: Any) -> Array:
    """A tensor or array as an array of our own."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) not in ("torch.float32", "torch.float64"):
            raise ValueError(f"model: expected float32 or float64, got {value.dtype} in {name!r}")
        value = value.numpy()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"model: expected tensors or arrays, got {type(value).__name__} in {name}")
    return value.copy()


def _linear(reading: _Reading, name: str, weight: Array, bias: Array | None) -> None:
    if weight.ndim != 2:
        raise ValueError(f"model: expected weights (H, D), got {weight.shape} in {name!r}")
    if bias is None:
        bias = np.zeros(len(weight), weight.dtype)
    reading.layers.append(_Found(name, Layer(np.ascontiguousarray(weight.T), bias)))


def _norm(
    reading: _Reading,
    name: str,
    gamma: Array | None,
    beta: Array | None,
    statistics: tuple[Array, Array] | None,
) -> None:
    """A norm after the last product; a bias before a batch norm goes into its mean."""
    found = reading.last(name, "norm", [])
    layer = found.layer
    width = layer.weights.shape[1]
    dtype = layer.weights.dtype
    gamma = np.ones(width, dtype) if gamma is None else gamma
    beta = np.zeros(width, dtype) if beta is None else beta
    if statistics is None:
        found.layer = replace(layer, norm="layer", gamma=gamma, beta=beta)
        return
    mean, variance = statistics
    assert layer.bias is not None
    if mean.shape != layer.bias.shape:
        raise ValueError(f"model: expected a batch norm of {width} units, got {mean.shape}")
    found.layer = replace(
        layer,
        bias=None,
        norm="batch",
        gamma=gamma,
        beta=beta,
        mean=mean - layer.bias,
        variance=variance,
    )


def _slopes(reading: _Reading, name: str, weight: Array) -> None:
    found = reading.last(name, "activation", ["norm"])
    slopes = np.broadcast_to(weight, found.layer.weights.shape[1]).copy()
    found.layer = replace(found.layer, activation="prelu", slopes=slopes)


def _dropout(reading: _Reading, name: str, keep: float, *, vanilla: bool) -> None:
    found = reading.last(name, "dropout", ["norm", "activation"])
    found.layer = replace(found.layer, keep=keep, vanilla=vanilla)


# Modules


def _kind(module: Any) -> str:
    """The name of a class of ``torch.nn`` or our own; of any other with its module's."""
    kind = type(module)
    for place in ("torch.nn", "fanin.export.torch_modules"):
        if getattr(required(place, "from_torch", "torch"), kind.__name__, None) is kind:
            return str(kind.__name__)
    return f"{kind.__module__}.{kind.__qualname__}"


def _read_module(reading: _Reading, name: str, module: Any) -> None:
    """Adds what a module is to the reading, or refuses it by name."""
    kind = _kind(module)
    if kind == "Residual":
        return _read_residual(reading, name, module)
    if kind in ("Sequential", "Flatten", "Identity", "Cast"):
        if kind == "Flatten" and (module.start_dim, module.end_dim) != (1, -1):
            raise ValueError(f"model: expected Flatten() of all but the rows as {name!r}")
        for child, inner in module.named_children():
            _read_module(reading, f"{name}.{child}", inner)
        return None
    arrays = {k: _array(f"{name}.{k}", v) for k, v in _tensors(module)}
    if kind == "Linear":
        return _linear(reading, name, arrays["weight"], arrays.get("bias"))
    if kind in ("LayerNorm", "BatchNorm1d"):
        return _read_norm(reading, name, module, arrays)
    if kind in ("Dropout", "Scale"):
        keep = float(module.factor) if kind == "Scale" else 1 - module.p
        return _dropout(reading, name, keep, vanilla=kind == "Scale")
    if kind in ("Softmax", "LogSoftmax"):
        reading.last(name, "softmax", [])
        return None
    if kind == "PReLU":
        return _slopes(reading, name, arrays["weight"])
    if kind == "Standardize" and not reading.layers and reading.inputs is None:
        reading.inputs = arrays["mean"], arrays["scale"]
        return None
    return _read_activation(reading, name, module)


def _tensors(module: Any) -> Iterator[tuple[str, Any]]:
    for name, tensor in module.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            yield name, tensor


def _read_residual(reading: _Reading, name: str, module: Any) -> None:
    before = len(reading.layers)
    for child, inner in module.named_children():
        _read_module(reading, f"{name}.{child}", inner)
    added = reading.layers[before:]
    if len(added) != 1 or added[0].layer.weights.shape[0] != added[0].layer.weights.shape[1]:
        raise ValueError(f"model: expected a skip round one square layer, got {name!r}")
    added[0].layer = replace(added[0].layer, skip=True)
    added[0].done = "skip"


def _read_norm(reading: _Reading, name: str, module: Any, arrays: dict[str, Array]) -> None:
    if not math.isclose(module.eps, EPS):
        raise ValueError(f"model: expected eps={EPS:g} of a norm, got {module.eps:g} in {name!r}")
    statistics = None
    if _kind(module) == "BatchNorm1d":
        if "running_mean" not in arrays:
            raise ValueError(f"model: expected running statistics in {name!r}, got none")
        statistics = arrays["running_mean"], arrays["running_var"]
    _norm(reading, name, arrays.get("weight"), arrays.get("bias"), statistics)


def _read_activation(reading: _Reading, name: str, module: Any) -> None:
    kind = _kind(module)
    rules = {rule.torch: (own, rule.options) for own, rule in ACTIVATIONS.items()}
    if kind not in rules:
        known = ", ".join(["Linear", "LayerNorm", "BatchNorm1d", "Dropout", *rules])
        raise ValueError(f"model: expected modules among {known}; got {kind} as {name!r}")
    own, options = rules[kind]
    for option, expected in options.items():
        value = getattr(module, option)
        good = value >= SOFTPLUS_THRESHOLD if option == "threshold" else value == expected
        if not good:
            raise ValueError(
                f"model: expected {option}={expected!r} of {kind}, got {value!r} in {name!r}"
            )
    found = reading.last(name, "activation", ["norm"])
    found.layer = replace(found.layer, activation=own)


# State dicts


def _read_state(reading: _Reading, state: Mapping[str, Any]) -> None:
    """Adds what the arrays of a state dict are, told by their names and shapes."""
    groups: dict[str, dict[str, Array]] = {}
    for key, value in state.items():
        module, _, name = str(key).rpartition(".")
        if name != "num_batches_tracked":
            groups.setdefault(module, {})[name] = _array(str(key), value)
    for module, arrays in groups.items():
        names, weight = set(arrays), arrays.get("weight", np.empty(0))
        if names == {"mean", "near", "scale"} and not reading.layers:
            reading.inputs = arrays["mean"], arrays["scale"]
        elif names <= {"weight", "bias"} and weight.ndim == 2:
            _linear(reading, module, weight, arrays.get("bias"))
        elif {"running_mean", "running_var"} <= names:
            statistics = arrays["running_mean"], arrays["running_var"]
            _norm(reading, module, arrays.get("weight"), arrays.get("bias"), statistics)
        elif names == {"weight", "bias"} and weight.ndim == 1:
            _norm(reading, module, weight, arrays["bias"], None)
        elif names == {"weight"} and weight.ndim == 1:
            _slopes(reading, module, weight)
        elif names == {"factor"}:
            _dropout(reading, module, float(arrays["factor"]), vanilla=True)
        else:
            raise ValueError(
                "model: expected arrays of linear layers, norms and PReLU, got "
                f"{', '.join(sorted(names))} of {module!r}"
            )
