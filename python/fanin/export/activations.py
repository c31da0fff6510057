"""The engine's activations as ONNX nodes and as PyTorch's modules: one table.

ONNX's own operators are what other programs optimise, but onnxruntime has several of them in
float32 only, and their attributes are float32: float64 is written in elementary operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fanin.export.graph import Graph
from fanin.export.layers import Layer

Formula = Callable[[Graph, str, Layer], str]  # adds nodes, and returns their output's name

SELU_ABOVE, SELU_BELOW = 1.0507009873554805, 1.7580993408473768
TAIL = 9.0  # beyond, the normal distribution has less than 1e-18
TAIL_K = (
    5.0  # of the change of variable (a - k) / (a + k), in which the tail is nearly a polynomial
)
TAIL_DEGREE = 24


@dataclass(frozen=True)
class Rule:
    """What an activation is elsewhere.

    Attributes
    ----------
    single, double : function
        Add its nodes for float32 and float64.
    torch : str
        PyTorch's module of that name in ``torch.nn``.
    options : dict
        Its arguments.
    """

    single: Formula
    double: Formula
    torch: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def nodes(self, g: Graph, x: str, layer: Layer) -> str:
        return (self.single if g.single else self.double)(g, x, layer)


def operator(kind: str, **attributes: Any) -> Formula:
    """ONNX's operator of that name."""
    return lambda g, x, _: g.op(kind, x, **attributes)


def _parts(g: Graph, x: str) -> tuple[str, str]:
    """max(x, 0) and min(x, 0)."""
    return g.op("Max", x, 0.0), g.op("Min", x, 0.0)


def _bent(g: Graph, x: str, layer: Layer) -> str:
    """The same above 0, and below times a slope: 0.01, or one for each unit."""
    above, below = _parts(g, x)
    slope = 0.01 if layer.slopes is None else layer.slopes
    return g.op("Add", above, g.op("Mul", below, slope))


def _prelu(g: Graph, x: str, layer: Layer) -> str:
    assert layer.slopes is not None
    return g.op("PRelu", x, layer.slopes)


def _elu(g: Graph, x: str, _: Layer) -> str:
    above, below = _parts(g, x)
    return g.op("Add", above, g.op("Sub", g.op("Exp", below), 1.0))


def _selu(g: Graph, x: str, _: Layer) -> str:
    above, below = _parts(g, x)
    curve = g.op("Mul", g.op("Sub", g.op("Exp", below), 1.0), SELU_BELOW)
    return g.op("Add", g.op("Mul", above, SELU_ABOVE), curve)


def _silu(g: Graph, x: str, _: Layer) -> str:
    return g.op("Mul", x, g.op("Sigmoid", x))


def _softplus(g: Graph, x: str, _: Layer) -> str:
    small = g.op("Exp", g.op("Neg", g.op("Abs", x)))
    return g.op("Add", g.op("Max", x, 0.0), g.op("Log", g.op("Add", small, 1.0)))


def _mish(g: Graph, x: str, layer: Layer) -> str:
    return g.op("Mul", x, g.op("Tanh", _softplus(g, x, layer)))


def _gelu(g: Graph, x: str, _: Layer) -> str:
    """``x Phi(x)``; the upper tail of the distribution is a polynomial times exp(-a^2 / 2)."""
    a = g.op("Min", g.op("Abs", x), TAIL)
    inverse = g.op("Reciprocal", g.op("Add", a, TAIL_K))
    t = g.op("Sub", 1.0, g.op("Mul", inverse, 2 * TAIL_K))
    first, *rest = tail_polynomial()[::-1]
    y: str | float = first
    for coefficient in rest:
        y = g.op("Add", g.op("Mul", t, y), coefficient)
    bell = g.op("Exp", g.op("Mul", g.op("Mul", a, a), -0.5))
    tail = g.op("Mul", g.op("Mul", bell, y), inverse)
    above = g.op("Greater", x, 0.0)
    return g.op("Mul", x, g.op("Where", above, g.op("Sub", 1.0, tail), tail))


def tail_polynomial() -> list[float]:
    """Coefficients of (a + k) e^(a^2 / 2) Phi(-a) in t = (a - k) / (a + k), 0 <= a <= `TAIL`."""

    def tail(t: Any) -> Any:
        a = TAIL_K * (1 + t) / (1 - t)
        upper = np.array([math.erfc(v / math.sqrt(2)) / 2 for v in a])
        return (a + TAIL_K) * np.exp(a * a / 2) * upper

    ends = [-1.0, (TAIL - TAIL_K) / (TAIL + TAIL_K)]
    fit = np.polynomial.Chebyshev.interpolate(tail, TAIL_DEGREE, domain=ends)
    return [float(c) for c in fit.convert(kind=np.polynomial.Polynomial, domain=[-1, 1]).coef]


def _same(_g: Graph, x: str, _: Layer) -> str:
    return x


ACTIVATIONS: dict[str, Rule] = {
    "identity": Rule(_same, _same, "Identity"),
    "relu": Rule(operator("Relu"), operator("Relu"), "ReLU"),
    "leaky_relu": Rule(
        operator("LeakyRelu", alpha=0.01), _bent, "LeakyReLU", {"negative_slope": 0.01}
    ),
    "elu": Rule(operator("Elu", alpha=1.0), _elu, "ELU", {"alpha": 1.0}),
    "gelu": Rule(operator("Gelu"), _gelu, "GELU", {"approximate": "none"}),
    "sigmoid": Rule(operator("Sigmoid"), operator("Sigmoid"), "Sigmoid"),
    "tanh": Rule(operator("Tanh"), operator("Tanh"), "Tanh"),
    "silu": Rule(_silu, _silu, "SiLU"),
    "mish": Rule(operator("Mish"), _mish, "Mish"),
    # PyTorch is linear beyond the threshold: at 40 that is exact in float64.
    "softplus": Rule(operator("Softplus"), _softplus, "Softplus", {"beta": 1.0, "threshold": 40.0}),
    "selu": Rule(operator("Selu"), _selu, "SELU"),
    "prelu": Rule(_prelu, _bent, "PReLU"),
}
