"""`to_torch`, `to_state_dict`, `from_torch`: networks as modules of PyTorch, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fanin import _validate
from fanin._typing import Array
from fanin.export.activations import ACTIVATIONS
from fanin.export.layers import EPS, Layer, checked_network, layers_of, network_of
from fanin.export.nodes import TRANSFORMERS, nearest_mean
from fanin.export.packages import required
from fanin.network import MLP
from fanin.network.inputs import Inputs

SOFTPLUS_THRESHOLD = 20.0  # PyTorch's default; a lower one is another function


def to_torch(net: MLP, *, probabilities: bool = False) -> Any:
    """The network as a ``torch.nn.Sequential`` in eval mode, with its preprocessing.

    Parameters
    ----------
    net : MLP
    probabilities : bool
        End in a softmax, as `predict_proba`; without, outputs are the scores, as
        ``torch.nn.CrossEntropyLoss`` takes them. Only with loss "softmax".

    Returns
    -------
    torch.nn.Sequential
        Takes (N, D) or (N, ...) of any dtype, and gives (N, C) in the network's. Members are named
        "inputs" (the preprocessing, where there is one), "layer1", "layer2", ..., each of "linear",
        "norm", "activation" and "dropout"; so are the parameters in its ``state_dict``.

    Raises
    ------
    ImportError
        Without PyTorch.

    Examples
    --------
    >>> import torch
    >>> net, X = fanin.MLP([4, 8, 3], activation="gelu"), np.ones((2, 4), np.float32)
    >>> module = fanin.export.to_torch(net)
    >>> bool(np.abs(module(torch.from_numpy(X)).detach().numpy() - net.scores(X)).max() < 1e-6)
    True
    """
    torch = required("torch", "to_torch", "torch")
    checked_network("net", net)
    if _validate.boolean("probabilities", probabilities) and net.loss_name != "softmax":
        raise ValueError(f"probabilities: expected loss='softmax', this is {net.loss_name!r}")
    own = required("fanin.export.torch_modules", "to_torch", "torch")
    module = torch.nn.Sequential()
    module.add_module("inputs", _inputs_module(torch, own, net.inputs))
    for number, layer in enumerate(layers_of(net), 1):
        module.add_module(f"layer{number}", _layer_module(torch, own, layer))
    if probabilities:
        module.add_module("probabilities", torch.nn.Softmax(dim=1))
    return module.eval()


def to_state_dict(net: MLP) -> dict[str, Any]:
    """The tensors of `to_torch`'s module by name.

    Parameters
    ----------
    net : MLP

    Returns
    -------
    dict of str to tensor
        "layer1.linear.weight" (H, D), "layer1.linear.bias" (H,), ..., "inputs.standardize.mean".

    Examples
    --------
    >>> list(fanin.export.to_state_dict(fanin.MLP([4, 3])))
    ['layer1.linear.weight', 'layer1.linear.bias']
    """
    return dict(to_torch(net).state_dict())


def _inputs_module(torch: Any, own: Any, inputs: Inputs) -> Any:
    dtype = getattr(torch, inputs.dtype.name)

    def tensor(array: Array | None) -> Any:
        return None if array is None else torch.from_numpy(np.ascontiguousarray(array))

    module = torch.nn.Sequential()
    module.add_module("flatten", torch.nn.Flatten())
    for i, step in enumerate(inputs.before):
        kind = type(step).__name__
        if kind not in TRANSFORMERS:
            known = ", ".join(TRANSFORMERS)
            raise ValueError(f"preprocess: expected one of {known}, got {kind}")
        mean, matrix, scale = step.linear_map()  # type: ignore[attr-defined]
        arrays = tensor(mean), tensor(matrix), tensor(scale)
        module.add_module(f"{kind.lower()}{i}", own.LinearMap(*arrays, dtype))
    if inputs.mean is None or inputs.scale is None:
        module.add_module("cast", own.Cast(dtype))
    else:
        near = nearest_mean(inputs.mean, inputs.scale, inputs.dtype)
        arrays = tensor(inputs.mean), tensor(near), tensor(inputs.scale)
        module.add_module("standardize", own.Standardize(*arrays, dtype))
    return module


def _layer_module(torch: Any, own: Any, layer: Layer) -> Any:
    nn, (d, h) = torch.nn, layer.weights.shape
    options = {"dtype": getattr(torch, layer.weights.dtype.name)}
    module = own.Residual() if layer.skip else nn.Sequential()
    module.add_module("linear", nn.Linear(d, h, bias=layer.bias is not None, **options))
    if layer.norm is not None:
        norm = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d}[layer.norm]
        module.add_module("norm", norm(h, eps=EPS, **options))
    rule = ACTIVATIONS[layer.activation]
    if layer.slopes is not None:
        module.add_module("activation", nn.PReLU(h, **options))
    elif layer.activation != "identity":
        module.add_module("activation", getattr(nn, rule.torch)(**rule.options))
    if layer.keep < 1 and layer.vanilla:
        module.add_module("dropout", own.Scale(layer.keep))
    elif layer.keep < 1:
        module.add_module("dropout", nn.Dropout(1 - layer.keep))
    arrays = {
        "linear.weight": np.ascontiguousarray(layer.weights.T),
        "linear.bias": layer.bias,
        "norm.weight": layer.gamma,
        "norm.bias": layer.beta,
        "norm.running_mean": layer.mean,
        "norm.running_var": layer.variance,
        "activation.weight": layer.slopes,
    }
    tensors = {name: torch.from_numpy(a) for name, a in arrays.items() if a is not None}
    if layer.norm == "batch":
        tensors["norm.num_batches_tracked"] = module.norm.num_batches_tracked
    module.load_state_dict(tensors)
    return module


# From PyTorch


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
    loss : {"softmax", "svm", "mse"}
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


# Modules


def _read_module(reading: _Reading, name: str, module: Any) -> None:
    """Adds what a module is to the reading, or refuses it by name."""
    kind = type(module).__name__
    if kind == "Residual":
        return _read_residual(reading, name, module)
    if kind in ("Sequential", "Flatten", "Identity", "Cast"):
        for child, inner in module.named_children():
            _read_module(reading, f"{name}.{child}", inner)
        return None
    arrays = {k: _array(f"{name}.{k}", v) for k, v in _tensors(module)}
    if kind == "Linear":
        return _linear(reading, name, arrays["weight"], arrays.get("bias"))
    if kind in ("LayerNorm", "BatchNorm1d"):
        return _read_norm(reading, name, module, arrays)
    if kind in ("Dropout", "Scale"):
        found = reading.last(name, "dropout", ["norm", "activation"])
        keep = module.factor if kind == "Scale" else 1 - module.p
        found.layer = replace(found.layer, keep=keep, vanilla=kind == "Scale")
        return None
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
    if type(module).__name__ == "BatchNorm1d":
        if "running_mean" not in arrays:
            raise ValueError(f"model: expected running statistics of a batch norm, {name!r} has none")
        statistics = arrays["running_mean"], arrays["running_var"]
    _norm(reading, name, arrays.get("weight"), arrays.get("bias"), statistics)


def _read_activation(reading: _Reading, name: str, module: Any) -> None:
    kind = type(module).__name__
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
        else:
            raise ValueError(
                "model: expected arrays of linear layers, norms and PReLU, got "
                f"{', '.join(sorted(names))} of {module!r}"
            )
