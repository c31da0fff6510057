"""Losses of labels, values and counts, label smoothing and temperature: formulas, bits, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference_losses as reference
from reference import central_difference
from reference_losses import CASES, Case

import fanin
from fanin import losses

SHAPES = [(1, 1), (15, 3), (17, 15), (63, 16), (5, 63), (4, 333)]
TOLERANCE = {np.float64: 1e-13, np.float32: 5e-6}

every_case = pytest.mark.parametrize("case", CASES, ids=str)


def drawn(case: Case, n: int, c: int, dtype: Any = np.float64) -> tuple[np.ndarray, ...]:
    """(scores, targets, weights)."""
    rng = np.random.default_rng([n, c])
    y = reference.targets(case, n, c).astype(dtype)
    return (2 * rng.normal(size=(n, c))).astype(dtype), y, rng.random(n).astype(dtype) + dtype(0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "c"), SHAPES)
@every_case
def test_agrees_with_the_formula(case: Case, n: int, c: int, dtype: Any) -> None:
    s, y, w = drawn(case, n, c, dtype)
    row, gradient = reference.loss_rows(case, s.astype(np.float64), y.astype(np.float64))
    for weights in (None, w):
        ww = np.ones(n) if weights is None else weights.astype(np.float64)
        value, dscores = losses.get(case.name)(s, y, sample_weight=weights, **case.options)
        assert dscores.dtype == dtype
        scale = TOLERANCE[dtype] * max(1.0, float(row.max()))
        assert value == pytest.approx((ww * row).sum() / ww.sum(), abs=scale)
        expected = gradient * (ww / ww.sum())[:, None]
        np.testing.assert_allclose(dscores, expected, rtol=0, atol=scale)


@pytest.mark.parametrize("c", [1, 3, 17])
@every_case
def test_gradient_by_central_differences(case: Case, c: int) -> None:
    s, y, w = drawn(case, 7, c)
    f = losses.get(case.name)
    _, dscores = f(s, y, sample_weight=w, **case.options)
    slopes = central_difference(lambda x: f(x, y, sample_weight=w, **case.options)[0], s)
    np.testing.assert_allclose(dscores, slopes, rtol=0, atol=1e-7)


@pytest.mark.parametrize("case", [c for c in CASES if c.torch], ids=str)
def test_agrees_with_pytorch(case: Case) -> None:
    torch = pytest.importorskip("torch")
    s, y, _ = drawn(case, 65, 33)
    scores = torch.tensor(s, requires_grad=True)
    theirs = getattr(torch.nn, case.torch or "")(**case.torch_options)(scores, torch.tensor(y))
    theirs.backward()
    loss, dscores = losses.get(case.name)(s, y, **case.options)
    assert loss == pytest.approx(theirs.item(), abs=1e-13)
    np.testing.assert_allclose(dscores, scores.grad.numpy(), rtol=0, atol=1e-15)


def test_poisson_agrees_with_pytorch_but_for_terms_of_y() -> None:
    torch = pytest.importorskip("torch")
    s, y, _ = drawn(Case("poisson", {}), 65, 7)
    scores = torch.tensor(s, requires_grad=True)
    theirs = torch.nn.PoissonNLLLoss(log_input=True)(scores, torch.tensor(y))
    theirs.backward()
    loss, dscores = losses.poisson_loss(s, y)
    of_y = np.where(y > 0, y * np.log(np.maximum(y, 1)), 0) - y
    assert loss == pytest.approx(theirs.item() + of_y.mean(), abs=1e-12)
    np.testing.assert_allclose(dscores, scores.grad.numpy(), rtol=0, atol=1e-15)


def test_positive_weights_agree_with_pytorch() -> None:
    torch = pytest.importorskip("torch")
    s, y, _ = drawn(Case("logistic", {}), 65, 5)
    weight = np.array([1.0, 2.0, 0.0, 0.5, 30.0])
    scores = torch.tensor(s, requires_grad=True)
    rule = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weight))
    theirs = rule(scores, torch.tensor(y))
    theirs.backward()
    loss, dscores = losses.logistic_loss(s, y, positive_weight=weight)
    assert loss == pytest.approx(theirs.item(), abs=1e-13)
    np.testing.assert_allclose(dscores, scores.grad.numpy(), rtol=0, atol=1e-14)


def test_several_quantiles_of_several_values() -> None:
    s, y = np.random.default_rng(0).normal(size=(2, 40, 6))
    levels = [0.05, 0.5, 0.95]
    together, dscores = losses.quantile_loss(s, y[:, :2], quantiles=levels)
    each = [
        losses.quantile_loss(s[:, [3 * m + q]], y[:, m], quantiles=level)
        for m in range(2)
        for q, level in enumerate(levels)
    ]
    assert together == pytest.approx(np.mean([loss for loss, _ in each]), rel=1e-14)
    np.testing.assert_allclose(dscores, np.hstack([d for _, d in each]) / 6, rtol=1e-14)


def test_hard_labels_are_smoothed_as_one_hot_ones() -> None:
    s, y = np.random.default_rng(0).normal(size=(30, 5)), np.arange(30) % 5
    for options in ({"label_smoothing": 0.2}, {"temperature": 3.0}):
        hard = losses.softmax_loss(s, y, **options)
        soft = losses.softmax_loss(s, np.eye(5)[y], **options)
        assert hard[0] == soft[0]
        np.testing.assert_array_equal(hard[1], soft[1])


def test_one_logistic_score_takes_labels_and_bools() -> None:
    s, y = np.random.default_rng(0).normal(size=(30, 1)), np.arange(30) % 2
    soft = losses.logistic_loss(s, y.reshape(-1, 1) * 1.0)
    for targets in (y, y == 1, y.astype(np.uint8), y.reshape(-1, 1)):
        loss, dscores = losses.logistic_loss(s, targets)
        assert loss == soft[0]
        np.testing.assert_array_equal(dscores, soft[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logistic_is_exact_far_out(dtype: Any) -> None:
    s = np.array([[80.0], [80.0], [-80.0], [-80.0]], dtype)
    loss, dscores = losses.logistic_loss(s[:1], np.array([1]))
    assert loss == pytest.approx(np.exp(-80.0), rel=1e-5)
    assert dscores[0, 0] == pytest.approx(-np.exp(-80.0), rel=1e-5)
    assert losses.logistic_loss(s, np.array([1, 0, 0, 1]))[0] == pytest.approx(40)


@every_case
def test_nan_and_infinity_are_not_hidden(case: Case) -> None:
    from fanin import _core
    from fanin.losses.spec import LossSpec

    spec = LossSpec(case.name, **case.options).core
    for c in (1, 3, 17):
        for bad in (np.nan, np.inf):
            s, y, _ = drawn(case, 17, c)
            y = np.maximum(y, 1e-3)
            s[3, c // 2] = bad
            row, _, _ = _core.loss_rows(spec, s, None, y, None, 1.0, True, 1)
            assert not np.isfinite(row[3])
            assert np.isfinite(np.delete(row, 3)).all()


GOLDEN = "44273534dd58bccae7f2a931f7065f1f52a298f3502f663e2ff1c4caceb194ed"
BITS = """
    import hashlib
    import numpy as np
    from fanin import _core
    from fanin.losses.spec import LossSpec

    cases = [
        ("softmax", {"label_smoothing": 0.1}), ("softmax", {"temperature": 2.5}), ("logistic", {}),
        ("logistic", {"label_smoothing": 0.2}), ("half_squared_error", {}), ("mae", {}),
        ("huber", {"huber_delta": 0.75}), ("quantile", {"quantiles": (0.1,)}), ("poisson", {}),
    ]
    digest = hashlib.sha256()
    for dtype in (np.float32, np.float64):
        for n, c in ((1, 1), (33, 10), (17, 16), (65, 17), (9, 333)):
            grid = np.arange(n * c).reshape(n, c)
            s = ((grid * 37 % 101 - 50) / 16).astype(dtype)
            y = (grid * 53 % 17 / 16).astype(dtype)
            w = (1 + np.arange(n) % 5 / 4).astype(dtype)
            p = (0.5 + np.arange(c) % 3).astype(dtype)
            labels = (np.arange(n) * 5 % max(c, 2)).astype(np.int32)
            for name, options in cases:
                spec = LossSpec(name, **options).core
                every = [(None, y, None)] + [(None, y, p)] * (name == "logistic")
                if name == "softmax" and c > 1 or name == "logistic" and c == 1:
                    every.append((labels, None, None))
                for hard, soft, positive in every:
                    for threads in (1, 2, 3):
                        arguments = s, hard, soft, w, 0.3, True, threads, positive
                        for out in _core.loss_rows(spec, *arguments):
                            digest.update(out.tobytes())
    print(digest.hexdigest())
"""


def test_same_bits_on_every_instruction_set(run_isa: Any, isa: str) -> None:
    assert run_isa(BITS, isa=isa).strip() == GOLDEN


@pytest.mark.parametrize(
    ("loss", "scores", "y", "options", "message"),
    [
        ("poisson", (3, 1), [1, -2, 0], {}, "y: expected counts, at least 0; got -2.0 in row 1"),
        ("logistic", (3, 1), [0, 2, 1], {}, r"y: expected labels in 0 \.\. 1, got 2 in row 1"),
        ("logistic", (3, 1), [0, 1.5, 1], {}, "y: expected 0, 1 or .*, got 1.5 in row 1"),
        ("logistic", (3, 2), [0, 1, 1], {}, r"y: expected \(3, 2\) of 0 and 1, or probabilities"),
        ("logistic", (2, 2), [[0, 1], [3, 0]], {}, "y: expected 0, 1 or .*, got 3.0 in row 1"),
        ("logistic", (2, 1), [[0], [-1.0]], {}, "y: expected probabilities, at least 0; got -1.0"),
        ("mae", (3, 1), [0, np.nan, 1], {}, "y: expected finite values, got others in row 1"),
        ("huber", (3, 2), [0.0, 1, 1], {}, r"y: expected \(3, 2\) values, got \(3,\) float64"),
        ("huber", (3, 1), [0, 1, 1], {"huber_delta": 0}, "huber_delta: .*got 0"),
        ("quantile", (3, 1), [0, 1, 1], {"quantiles": [0.1, 0.9]}, "quantiles: .*1 outputs, got 2"),
        ("quantile", (3, 1), [0, 1, 1], {"quantiles": 1.0}, "quantiles: .*below 1.*got 1.0"),
        ("quantile", (3, 1), [0, 1, 1], {"quantiles": 0}, "quantiles: .*got 0"),
        ("quantile", (3, 2), [0, 1, 1], {"quantiles": [0.9, 0.1]}, "quantiles: .*above the one"),
        ("softmax", (3, 2), [0, 1, 1], {"label_smoothing": 1.0}, "label_smoothing: .*got 1"),
        ("softmax", (3, 2), [0, 1, 1], {"temperature": 0}, "temperature: .*got 0"),
        ("logistic", (3, 1), [0, 1, 1], {"positive_weight": [-1.0]}, "positive_weight: expected"),
    ],
)
def test_errors_name_what_is_wrong(
    loss: str, scores: tuple[int, int], y: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        losses.get(loss)(np.zeros(scores), np.array(y), **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "mse", "huber_delta": 2}, "huber_delta: expected loss='huber' with it"),
        ({"loss": "huber", "quantiles": 0.5}, "quantiles: expected loss='quantile' with it"),
        ({"temperature": 2, "loss": "svm"}, "temperature: expected loss='softmax' with it"),
        ({"label_smoothing": 0.1, "loss": "mae"}, "label_smoothing: expected loss='softmax' or"),
        ({"loss": "quantile", "quantiles": [0.1, 0.9]}, "quantiles: .*3 outputs, got 2"),
        ({"loss": "hinge"}, "loss: expected one of softmax, svm, logistic, mse"),
    ],
)
def test_options_of_other_losses_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fanin.MLP([4, 3], **arguments)
