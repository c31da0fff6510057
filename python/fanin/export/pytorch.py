"""`to_torch` and `to_state_dict`: networks as modules of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

from fanin import _validate
from fanin._typing import Array
from fanin.export.activations import ACTIVATIONS
from fanin.export.layers import EPS, Layer, checked_network, layers_of
from fanin.export.nodes import TRANSFORMERS, nearest_mean
from fanin.export.packages import required
from fanin.network import MLP
from fanin.network.inputs import Inputs


def to_torch(net: MLP, *, probabilities: bool = False) -> Any:
    """The network as a ``torch.nn.Sequential`` in eval mode, with its preprocessing.

    Parameters
    ----------
    net : MLP
    probabilities : bool
        End in a softmax, as `predict_proba`, or with loss "logistic" in a sigmoid of each score;
        without, outputs are the scores, as ``torch.nn.CrossEntropyLoss`` or ``BCEWithLogitsLoss``
        takes them. Values are in the units of y, counts logarithms of their means.

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
    loss = net.targets.loss
    if _validate.boolean("probabilities", probabilities) and not loss.gives_probabilities:
        raise ValueError(
            f"probabilities: expected loss='softmax' or 'logistic', this is {net.loss_name!r}"
        )
    own = required("fanin.export.torch_modules", "to_torch", "torch")
    module = torch.nn.Sequential()
    module.add_module("inputs", _inputs_module(torch, own, net.inputs))
    for number, layer in enumerate(layers_of(net), 1):
        module.add_module(f"layer{number}", _layer_module(torch, own, layer))
    if probabilities:
        last = torch.nn.Softmax(dim=1) if loss.name == "softmax" else torch.nn.Sigmoid()
        module.add_module("probabilities", last)
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
        return None if array is None else torch.from_numpy(np.array(array, order="C"))

    if inputs.table is not None:
        raise ValueError(
            "preprocess: expected none that takes frames, which no module of PyTorch does, got "
            f"{inputs.table!r}"
        )
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
    if layer.keep < 1 and layer.vanilla:
        module.add_module("dropout", own.Scale(layer.keep))
    elif layer.keep < 1:
        module.add_module("dropout", nn.Dropout(1 - layer.keep))
    return module
