"""What the kernels and the engine promise, once more, slowly and plainly, in NumPy and float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fanin import _core

Array = np.ndarray

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _cdf(z: Array) -> Array:
    return 0.5 * (1 + _erf(z / math.sqrt(2)))


def _pdf(z: Array) -> Array:
    return np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _sigmoid(z: Array) -> Array:
    return np.where(z > 0, 1, np.exp(-np.abs(z))) / (1 + np.exp(-np.abs(z)))


def _tanh_softplus(z: Array) -> Array:
    return np.tanh(np.logaddexp(0, z))


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "gelu": lambda z: z * _cdf(z),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "silu": lambda z: z * _sigmoid(z),
    "mish": lambda z: z * _tanh_softplus(z),
    "softplus": lambda z: np.logaddexp(0, z),
    "selu": lambda z: SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0))),
}
SLOPES = {
    "identity": np.ones_like,
    "relu": lambda z: (z > 0) * 1.0,
    "leaky_relu": lambda z: np.where(z > 0, 1, 0.01),
    "elu": lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0))),
    "gelu": lambda z: _cdf(z) + z * _pdf(z),
    "sigmoid": lambda z: _sigmoid(z) * _sigmoid(-z),
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "silu": lambda z: _sigmoid(z) * (1 + z * _sigmoid(-z)),
    "mish": lambda z: _tanh_softplus(z) + z * _sigmoid(z) / np.cosh(np.logaddexp(0, z)) ** 2,
    "softplus": _sigmoid,
    "selu": lambda z: SELU_SCALE * np.where(z > 0, 1, SELU_ALPHA * np.exp(np.minimum(z, 0))),
}


def philox(seed: int, stream: int, blocks: Array) -> Array:
    """Philox4x32-10 of blocks (n,): words (n, 4), after Salmon et al., SC'11."""
    blocks = np.asarray(blocks, np.uint64)
    low = np.uint64(0xFFFFFFFF)
    c = [blocks & low, blocks >> np.uint64(32)]
    c += [np.full_like(blocks, stream & 0xFFFFFFFF), np.full_like(blocks, stream >> 32)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        high_a, high_b = a >> np.uint64(32), b >> np.uint64(32)
        c = [high_b ^ c[1] ^ np.uint64(k0), b & low, high_a ^ c[3] ^ np.uint64(k1), a & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=-1).astype(np.uint32)


def dropout_mask(
    seed: int, stream: int, rows: int, cols: int, keep: float, first_row: int = 0
) -> Array:
    """True where a unit stays: the definition of kernels/dropout.hpp, element by element."""
    if keep == 1:
        return np.ones((rows, cols), bool)
    i, j = np.indices((rows, cols))
    group = (first_row + i) * -(-cols // 64) + j // 64
    words = philox(seed, stream, (group * 16 + j % 16).ravel()).reshape(rows, cols, 4)
    draws = np.take_along_axis(words, (j % 64 // 16)[..., None], axis=2)[..., 0]
    return draws < np.uint32(int(keep * 2**32 + 0.5))


def fma_product(x: Array, W: Array, b: Array | None) -> Array:
    """x @ W + b as one chain of fused multiply-adds over k, in order, that begins at the bias.

    For float32 the product is exact in the wider type, and the sum is rounded to 64 bits and then
    to 24: twice, which matters once in 2**40. For float64 only where products need no rounding.
    """
    dtype = x.dtype
    wide = np.longdouble if dtype == np.float32 else np.float64
    acc = np.zeros((len(x), W.shape[1]), dtype)
    if b is not None:
        acc += b
    x, W = x.astype(wide), W.astype(wide)
    for k in range(len(W)):
        acc = (x[:, k, None] * W[k] + acc).astype(dtype)
    return acc


def weighted_sum(row_losses: Array, weights: Array | None) -> float:
    w = np.ones(len(row_losses)) if weights is None else weights.astype(np.float64)
    return float((w * row_losses).sum() / w.sum())


def loss_rows(name: str, scores: Array, y: Array) -> tuple[Array, Array]:
    """Each row's loss (N,) and its gradient over the scores (N, C); y are labels or (N, C)."""
    classes = scores.shape[1]
    t = np.eye(classes)[y] if y.ndim == 1 else y.astype(np.float64)
    if name == "mse":
        return ((scores - t) ** 2).mean(axis=1), 2 * (scores - t) / classes
    if name == "softmax":
        shifted = scores - scores.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        total = t.sum(axis=1, keepdims=True)
        return -(t * log_p).sum(axis=1), np.exp(log_p) * total - t
    margins = scores[:, None, :] - scores[:, :, None] + 1  # [n, label, other]
    margins[:, np.arange(classes), np.arange(classes)] = 0
    active = (margins > 0) * t[:, :, None]
    return (active * margins).sum(axis=(1, 2)), active.sum(axis=1) - active.sum(axis=2)


@dataclass
class ReferenceMLP:
    """The network in float64 over NumPy's own matrix product."""

    params: dict[str, Array]
    activation: Sequence[str]
    keep: Sequence[float]
    loss: str
    seed: int
    dropout_mode: str = "inverted"
    drop_connect: Sequence[float] = ()
    drop_connect_mask: str = "batch"

    @classmethod
    def of(cls, net: Any) -> ReferenceMLP:
        params = {name: p.astype(np.float64) for name, p in net.params.items()}
        options = {k: v for k, v in net.config().items() if k in cls.__dataclass_fields__}
        return cls(**options | {"params": params})

    def weight_masks(self, layer: int, rows: int, step: int | None) -> Array:
        """The factors of a layer's weights: (1, D, H), or (N, D, H) by example."""
        shape = self.params[f"W{layer + 1}"].shape
        if step is None or layer >= len(self.drop_connect):
            return np.ones((1, *shape))
        n = rows if self.drop_connect_mask == "example" else 1
        keep = self.drop_connect[layer]
        stream = _core.stream_of("drop_connect", layer, step)
        mask = dropout_mask(self.seed, stream, n * shape[0], shape[1], keep)
        return mask.reshape(n, *shape) / keep

    def unit_masks(self, layer: int, shape: tuple[int, ...], step: int | None) -> Array:
        """The factors of a hidden layer's outputs."""
        keep, inverted = self.keep[layer], self.dropout_mode == "inverted"
        if step is None:
            return np.full(shape, 1 if inverted else keep)
        stream = _core.stream_of("dropout", layer, step)
        return dropout_mask(self.seed, stream, *shape, keep) / (keep if inverted else 1)

    def forward(self, X: Array, step: int | None = None) -> list[tuple[Array, Array]]:
        """(output, slope) of each layer; masks as in that step of training."""
        layers = []
        h = X.astype(np.float64)
        n_layers = len(self.params) // 2
        for layer in range(n_layers):
            W = self.weight_masks(layer, len(X), step) * self.params[f"W{layer + 1}"]
            z = (h[:, None] @ W)[:, 0] + self.params[f"b{layer + 1}"]
            name = self.activation[layer] if layer < n_layers - 1 else "identity"
            h, slope = ACTIVATIONS[name](z), SLOPES[name](z)
            if layer < n_layers - 1:
                mask = self.unit_masks(layer, h.shape, step)
                h, slope = h * mask, slope * mask
            layers.append((h, slope))
        return layers

    def loss_and_grads(
        self,
        X: Array,
        y: Array,
        reg: float = 0.0,
        weights: Array | None = None,
        step: int | None = None,
    ) -> tuple[float, dict[str, Array]]:
        layers = self.forward(X, step)
        rows, dz = loss_rows(self.loss, layers[-1][0], y)
        w = np.ones(len(X)) if weights is None else weights.astype(np.float64)
        dz = dz * (w / w.sum())[:, None]
        grads = {}
        loss = weighted_sum(rows, weights)
        for layer in range(len(layers), 0, -1):
            below = layers[layer - 2][0] if layer > 1 else X.astype(np.float64)
            W = self.params[f"W{layer}"]
            masks = self.weight_masks(layer - 1, len(X), step)
            products = below[:, :, None] * dz[:, None] if len(masks) > 1 else below.T @ dz
            grads[f"W{layer}"] = (masks * products).sum(axis=0) + reg * W
            grads[f"b{layer}"] = dz.sum(axis=0)
            loss += 0.5 * reg * float((W * W).sum())
            if layer > 1:
                dz = (masks * W @ dz[:, :, None])[:, :, 0] * layers[layer - 2][1]
        return loss, grads


@dataclass
class Adam:
    lr: float = 1e-3
    t: int = 0
    m: dict[str, Array] = field(default_factory=dict)
    v: dict[str, Array] = field(default_factory=dict)

    def step(self, params: dict[str, Array], grads: dict[str, Array], lr: float) -> None:
        self.t += 1
        for name, p in params.items():
            g = grads[name]
            m = self.m[name] = 0.9 * self.m.get(name, 0) + 0.1 * g
            v = self.v[name] = 0.999 * self.v.get(name, 0) + 0.001 * g * g
            m_hat, v_hat = m / (1 - 0.9**self.t), v / (1 - 0.999**self.t)
            p -= lr * m_hat / (np.sqrt(v_hat) + 1e-8)


@dataclass
class Momentum:
    lr: float = 1e-2
    v: dict[str, Array] = field(default_factory=dict)

    def step(self, params: dict[str, Array], grads: dict[str, Array], lr: float) -> None:
        for name, p in params.items():
            self.v[name] = 0.9 * self.v.get(name, 0) + grads[name]
            p -= lr * self.v[name]


def epoch_order(seed: int, epoch: int, n: int, sampling: str = "epoch") -> Array:
    order = np.empty(n, np.int64)
    if sampling == "epoch":
        _core.random_permutation(order, seed, _core.stream_of("shuffle", 0, epoch))
    else:
        _core.random_integers(order, seed, _core.stream_of("replacement", 0, epoch), 0, 0, n)
    return order


def fit(
    net: ReferenceMLP,
    X: Array,
    y: Array,
    optimizer: Adam | Momentum,
    epochs: int,
    batch_size: int,
    reg: float = 0.0,
    weights: Array | None = None,
    clip_norm: float | None = None,
    sampling: str = "epoch",
    rates: Sequence[float] | None = None,
) -> list[float]:
    """The loop of MLP.fit; returns the loss of each step, L2 included."""
    losses: list[float] = []
    n = len(X)
    for epoch in range(epochs):
        order = epoch_order(net.seed, epoch, n, sampling)
        for begin in range(0, n, batch_size):
            rows = order[begin : begin + batch_size]
            w = None if weights is None else weights[rows]
            step = len(losses)
            data_loss, grads = net.loss_and_grads(X[rows], y[rows], 0.0, w, step)
            norm = math.sqrt(sum(float((g * g).sum()) for g in grads.values()))
            factor = 1.0 if clip_norm is None else min(1.0, clip_norm / (norm + 1e-6))
            penalty = 0.0
            for name in grads:
                grads[name] *= factor
                if name.startswith("W"):
                    grads[name] += reg * net.params[name]
                    penalty += float((net.params[name] ** 2).sum())
            optimizer.step(net.params, grads, optimizer.lr if rates is None else rates[step])
            losses.append(data_loss + 0.5 * reg * penalty)
    return losses


def central_difference(f: Callable[[Array], float], x: Array, eps: float = 1e-6) -> Array:
    """The gradient of f at x (float64, changed in place and put back) by central differences."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        middle = x[i]
        x[i] = middle + eps
        above = f(x)
        x[i] = middle - eps
        below = f(x)
        x[i] = middle
        gradient[i] = (above - below) / (2 * eps)
    return gradient
