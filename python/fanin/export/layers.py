"""A network as a list of layers with their arrays: what each format is written from and read to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from fanin import _core
from fanin._typing import Array
from fanin._validate import describe
from fanin.network import MLP

EPS = float(_core.norm_eps)  # added to the variance by every norm


@dataclass(frozen=True)
class Layer:
    """``y = activation(norm(x @ weights + bias)) * factor``, and with a skip x + that."""

    weights: Array  # (D, H)
    bias: Array | None  # (H,); none before a batch norm
    activation: str = "identity"
    norm: str | None = None
    gamma: Array | None = None  # (H,), of a norm, as beta
    beta: Array | None = None
    mean: Array | None = None  # (H,), of a batch norm, as variance
    variance: Array | None = None
    slopes: Array | None = None  # (H,), of "prelu"
    keep: float = 1.0
    vanilla: bool = False  # dropout: outputs are times keep in prediction
    skip: bool = False

    @property
    def factor(self) -> float:
        return self.keep if self.vanilla else 1.0

    def parameters(self, number: int) -> dict[str, Array]:
        """The arrays by their names in ``net.params``, of the layer of that number, from 1."""
        named = {
            "W": self.weights,
            "b": self.bias,
            "gamma": self.gamma,
            "beta": self.beta,
            "alpha": self.slopes,
        }
        return {f"{name}{number}": a for name, a in named.items() if a is not None}

    def statistics(self, number: int) -> dict[str, Array]:
        """Likewise of ``net.statistics``."""
        named = {"running_mean": self.mean, "running_var": self.variance}
        return {f"{name}{number}": a for name, a in named.items() if a is not None}


def checked_network(name: str, net: object) -> MLP:
    """The network, where it is one that can be written as layers."""
    if not isinstance(net, MLP):
        raise TypeError(f"{name}: expected an MLP, got {describe(net)}")
    options = net.config()
    if options["drop_connect_inference"] == "moments" and min(net.drop_connect, default=1.0) < 1:
        raise ValueError(
            f"{name}: expected drop_connect_inference='mean', a plain network in prediction, "
            "got 'moments', which no other library has"
        )
    return net


def layers_of(net: MLP) -> list[Layer]:
    """The layers, with copies of the arrays.

    The last one gives scores in the units of the targets, or divided by the loss's temperature.
    """
    vanilla = net.config()["dropout_mode"] == "vanilla"

    def array(views: Mapping[str, Array], name: str) -> Array | None:
        return views[name].copy() if name in views else None

    layers = []
    for number, activation in enumerate([*net.activation, "identity"], 1):
        hidden = number < len(net.dims) - 1
        d, h = net.dims[number - 1 : number + 1]
        layers.append(
            Layer(
                weights=net.params[f"W{number}"].copy(),
                bias=array(net.params, f"b{number}"),
                activation=activation,
                norm=net.norm if hidden else None,
                gamma=array(net.params, f"gamma{number}"),
                beta=array(net.params, f"beta{number}"),
                mean=array(net.statistics, f"running_mean{number}"),
                variance=array(net.statistics, f"running_var{number}"),
                slopes=array(net.params, f"alpha{number}"),
                keep=net.keep[number - 1] if hidden else 1.0,
                vanilla=vanilla,
                skip=net.residual and hidden and d == h,
            )
        )
    layers[-1] = _in_units(layers[-1], net)
    return layers


def _in_units(layer: Layer, net: MLP) -> Layer:
    factor, shift = net.targets.factor_and_shift()
    if (factor == 1).all() and not shift.any():
        return layer
    assert layer.bias is not None
    return replace(
        layer,
        weights=(layer.weights * factor).astype(net.dtype),
        bias=(layer.bias * factor + shift).astype(net.dtype),
    )


def network_of(name: str, layers: Sequence[Layer], loss: str, dtype: np.dtype[Any]) -> MLP:
    """A network with these layers; raises where MLP has no such network."""
    hidden = layers[:-1]
    norms = {layer.norm for layer in hidden}
    if len(norms) > 1:
        raise ValueError(
            f"{name}: expected one norm in all hidden layers, got {sorted(map(str, norms))}"
        )
    if layers[-1].norm or layers[-1].activation != "identity" or layers[-1].skip:
        raise ValueError(f"{name}: expected a last linear layer alone, got more after it")
    square = [layer.weights.shape[0] == layer.weights.shape[1] for layer in hidden]
    skips = [layer.skip for layer in hidden]
    if any(skips) and skips != square:
        raise ValueError(
            f"{name}: expected a skip round every hidden layer that is as wide as its input or "
            f"round none, got {skips}"
        )
    for before, after in pairwise(layers):
        if before.weights.shape[1] != after.weights.shape[0]:
            raise ValueError(
                f"{name}: expected {before.weights.shape[1]} inputs after a layer of so many "
                f"outputs, got weights {after.weights.shape}"
            )
    net = MLP(
        [layers[0].weights.shape[0], *(layer.weights.shape[1] for layer in layers)],
        activation=[layer.activation for layer in hidden],
        norm=next(iter(norms), None),
        residual=any(skips),
        keep=[layer.keep for layer in hidden],
        dropout_mode="vanilla" if any(layer.vanilla for layer in hidden) else "inverted",
        loss=loss,
        dtype=dtype,
    )
    for number, layer in enumerate(layers, 1):
        for views, arrays in (
            (net.params, layer.parameters(number)),
            (net.statistics, layer.statistics(number)),
        ):
            for key, array in arrays.items():
                good = (array.shape, array.dtype) == (views[key].shape, net.dtype)
                if not good or not np.isfinite(array).all():
                    expected = f"finite {key} {views[key].shape} {net.dtype}"
                    raise ValueError(f"{name}: expected {expected}, got {describe(array)}")
                views[key][...] = array
    return net
