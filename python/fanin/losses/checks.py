"""Targets as a loss takes them: labels, probabilities or values, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from fanin import _core
from fanin._typing import Array, Labels
from fanin._validate import describe, labels, plain_array
from fanin.losses.spec import LossSpec

Targets = tuple[Labels | None, Array | None]  # labels (N,), or soft targets (N, C): never both


def targets(
    name: str, y: object, n_rows: int, n_outputs: int, loss: LossSpec | str, dtype: np.dtype[Any]
) -> Targets:
    """Targets as the core takes them: (labels, None) or (None, soft (N, C) in dtype).

    With several quantiles each of the C values has as many outputs.
    """
    spec, y = LossSpec.of(loss), plain_array(name, y)
    if y.dtype.kind == "b" and spec.name == "logistic":
        y = y.view(np.uint8)
    columns = spec.n_values(n_outputs)
    if spec.is_binary(n_outputs) and y.shape in ((n_rows,), (n_rows, 1)) and _is_whole(y):
        return labels(name, y.reshape(-1).astype(np.int64), n_rows, 2), None
    if y.ndim == 1 and y.dtype.kind in "iu" and _takes_labels(spec, n_outputs):
        return labels(name, y, n_rows, n_outputs), None
    if y.ndim == 1 and columns == 1:
        y = y.reshape(-1, 1)
    if y.shape != (n_rows, columns) or y.dtype.kind not in "fiu":
        raise ValueError(
            f"{name}: expected {_expected(spec, n_rows, n_outputs)}, got {describe(y)}"
        )
    with np.errstate(over="ignore"):  # check_soft names the row
        soft = np.ascontiguousarray(y, dtype=dtype)
    check_soft(name, soft, spec)
    return None, soft


def _is_whole(y: Array) -> bool:
    """Whether y are whole numbers: of floats 0 and 1, since others may be probabilities."""
    return y.dtype.kind in "iu" or (y.dtype.kind == "f" and bool(np.isin(y, (0, 1)).all()))


def _takes_labels(spec: LossSpec, n_outputs: int) -> bool:
    """Whether whole numbers (N,) are labels."""
    return spec.name in ("softmax", "svm") or (spec.name == "mse" and n_outputs > 1)


def _expected(spec: LossSpec, n_rows: int, n_outputs: int) -> str:
    shape = f"({n_rows}, {spec.n_values(n_outputs)})"
    if spec.is_binary(n_outputs):
        return f"({n_rows},) of 0 and 1, or ({n_rows}, 1) probabilities"
    if spec.name == "logistic":
        return f"{shape} of 0 and 1, or probabilities"
    if spec.takes_values and spec.name != "mse":
        return f"{shape} {'counts' if spec.name == 'poisson' else 'values'}"
    values = "values" if spec.name == "mse" else "probabilities"
    return f"({n_rows},) whole-number labels or {shape} {values}"


def check_soft(name: str, soft: Array, loss: LossSpec | str) -> None:
    """Refuses soft targets (N, C) that the loss cannot take, naming the first bad row."""
    spec = LossSpec.of(loss)
    finite = np.isfinite(soft).all(axis=1)
    if not finite.all():
        raise ValueError(f"{name}: expected finite values, got others in row {np.argmin(finite)}")
    if spec.takes_values and spec.name != "poisson":
        return
    most = _core.most_soft_svm_classes
    if spec.name == "svm" and soft.shape[1] > most:
        expected = f"at most {most} classes for svm with soft targets"
        raise ValueError(f"{name}: expected {expected}, got {soft.shape[1]}")
    negative = (soft < 0).any(axis=1)
    if negative.any():
        row = np.argmax(negative)
        got = f"{soft[row].min()} in row {row}"
        what = "counts" if spec.name == "poisson" else "probabilities"
        raise ValueError(f"{name}: expected {what}, at least 0; got {got}")
    if spec.name == "poisson":
        return
    if spec.name == "logistic":
        _check_at_most_one(name, soft)
        return
    total = soft.sum(axis=1, dtype=np.float64)
    off = np.abs(total - 1) > 1e-3
    if off.any():
        row = np.argmax(off)
        got = f"a sum of {total[row]:g} in row {row}"
        raise ValueError(f"{name}: expected rows that sum to 1, got {got}")


def _check_at_most_one(name: str, soft: Array) -> None:
    above = (soft > 1).any(axis=1)
    if above.any():
        row = np.argmax(above)
        got = f"{soft[row].max()} in row {row}"
        raise ValueError(f"{name}: expected 0, 1 or probabilities between, got {got}")
