"""What the tests of dropout and DropConnect share: a network, its data, and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from reference import central_difference

import fanin


def problem(n: int = 250) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 13)), rng.integers(0, 4, n)


def network(**options: Any) -> fanin.MLP:
    defaults = {"dtype": "float64", "seed": 5, "output_init": None}
    return fanin.MLP([13, 70, 9, 4], **defaults | options)


def assert_gradient(net: fanin.MLP, step: int | None) -> None:
    X, y = problem(20)
    y = y.astype(np.int64)
    loss, grads = net.loss_and_grads(X, y, reg=0.02, dropout_step=step)
    for name, got in grads.items():
        p = net.params[name]
        part = p[:3, :4] if p.ndim == 2 else p[:5]  # a view: changing it changes the network

        def f(_: np.ndarray) -> float:
            return net.loss_and_grads(X, y, reg=0.02, dropout_step=step)[0]

        expected = central_difference(f, part)
        np.testing.assert_allclose(got[tuple(map(slice, part.shape))], expected, atol=1e-8)
    assert loss > 0
