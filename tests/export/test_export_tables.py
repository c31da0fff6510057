"""The tables of export have an entry for whatever the engine and the packages have."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import fanin
from fanin import _core
from fanin.export import activations, nodes
from fanin.network.inputs import KINDS
from fanin.network.mlp import HIDDEN_ACTIVATIONS

pytestmark = pytest.mark.row("B8")


def test_every_activation_norm_loss_and_transformer_has_an_entry() -> None:
    assert set(activations.ACTIVATIONS) == {*_core.activations, *HIDDEN_ACTIVATIONS}
    assert {None, *nodes.NORMS} == {None, *_core.norms[1:]}
    assert set(nodes.LOSSES) == set(fanin.losses.NAMES)
    assert {*nodes.TRANSFORMERS, "TableEncoder"} == set(KINDS)  # which has a graph of its own


def test_what_a_transformer_does_as_arrays() -> None:
    X = np.random.default_rng(0).normal(size=(50, 6)) * 3 + 7
    for kind in (KINDS[name] for name in nodes.TRANSFORMERS):
        step = kind().fit(X)
        mean, matrix, scale = step.linear_map()
        y = X - mean
        y = y if matrix is None else y @ matrix
        y = y if scale is None else y * scale
        assert np.allclose(y, step.transform(X), rtol=0, atol=1e-12)
        with pytest.raises(ValueError, match="expected fit before"):
            kind().linear_map()


@pytest.mark.parametrize(
    ("package", "call", "install"),
    [
        ("onnx", lambda: fanin.export.to_onnx(fanin.MLP([2, 2])), r"fanin\[onnx\]"),
        ("torch", lambda: fanin.export.to_torch(fanin.MLP([2, 2])), "torch"),
        ("skl2onnx", fanin.export.register_skl2onnx, "skl2onnx"),
        ("sklearn.neural_network", lambda: fanin.export.from_sklearn(None), "scikit-learn"),
    ],
)
def test_a_missing_package_is_named(
    package: str, call: object, install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"needs {package}: pip install {install}"):
        call()  # type: ignore[operator]
