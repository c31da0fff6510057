"""Softmax, SVM and squared error: values, gradients, promised bits, errors."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
from reference import central_difference

import fanin
from fanin import _core, losses

LOSSES = ["softmax", "svm", "mse"]
SHAPES = [(1, 1), (1, 2), (15, 3), (16, 10), (17, 15), (63, 16), (65, 17), (5, 63), (4, 333)]
TOLERANCE = {np.float64: 1e-13, np.float32: 3e-6}


def reference_rows(loss: str, s: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(row losses, their gradients) for soft targets q, all float64."""
    n, c = s.shape
    if loss == "softmax":
        z = s - s.max(axis=1, keepdims=True)
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        mass = q.sum(axis=1, keepdims=True)
        return -(q * (z - np.log(np.exp(z).sum(axis=1, keepdims=True)))).sum(axis=1), mass * p - q
    if loss == "mse":
        return ((s - q) ** 2).mean(axis=1), 2 * (s - q) / c
    row, gradient = np.zeros(n), np.zeros((n, c))
    for i, y in np.ndindex(n, c):
        for j in range(c):
            margin = s[i, j] - s[i, y] + 1
            if j != y and margin > 0:
                row[i] += q[i, y] * margin
                gradient[i, j] += q[i, y]
                gradient[i, y] -= q[i, y]
    return row, gradient


def case(n: int, c: int, dtype: Any, seed: int = 0) -> tuple[np.ndarray, ...]:
    """(scores, labels, soft targets, weights)."""
    rng = np.random.default_rng(seed)
    s = (3 * rng.normal(size=(n, c))).astype(dtype)
    soft = rng.random((n, c)) * (rng.random((n, c)) < 0.5) + np.eye(c)[rng.integers(c, size=n)]
    soft = (soft / soft.sum(axis=1, keepdims=True)).astype(dtype)
    return s, rng.integers(c, size=n), soft, rng.random(n).astype(dtype) + dtype(0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "c"), SHAPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_agrees_with_the_formula(loss: str, n: int, c: int, dtype: Any) -> None:
    s, y, soft, w = case(n, c, dtype)
    hard = () if loss == "mse" and c == 1 else ((y, np.eye(c)[y]),)  # there y holds values
    for targets, q in (*hard, (soft, soft.astype(np.float64))):
        for weights in (None, w):
            ww = np.ones(n) if weights is None else weights.astype(np.float64)
            row, gradient = reference_rows(loss, s.astype(np.float64), q)
            scale = max(1.0, float(row.max()))
            value, dscores = losses.get(loss)(s, targets, sample_weight=weights)
            assert dscores.dtype == dtype
            assert value == pytest.approx((ww * row).sum() / ww.sum(), abs=TOLERANCE[dtype] * scale)
            expected = gradient * (ww / ww.sum())[:, None]
            np.testing.assert_allclose(dscores, expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("c", [1, 3, 10, 17, 40])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_by_central_differences(loss: str, c: int, soft: bool) -> None:
    s, y, q, w = case(7, c, np.float64, seed=1)
    targets = q if soft else y
    f = losses.get(loss)
    _, dscores = f(s, targets, sample_weight=w)
    slopes = central_difference(lambda x: f(x, targets, sample_weight=w)[0], s)
    np.testing.assert_allclose(dscores, slopes, rtol=0, atol=1e-7)


@pytest.mark.parametrize("soft", [False, True])
def test_softmax_agrees_with_pytorch(soft: bool) -> None:
    torch = pytest.importorskip("torch")
    s, y, q, _ = case(65, 33, np.float64)
    scores = torch.tensor(s, requires_grad=True)
    theirs = torch.nn.functional.cross_entropy(scores, torch.tensor(q if soft else y))
    theirs.backward()
    loss, dscores = losses.softmax_loss(s, q if soft else y)
    assert loss == pytest.approx(theirs.item(), abs=1e-13)
    np.testing.assert_allclose(dscores, scores.grad.numpy(), rtol=0, atol=1e-15)


def test_svm_agrees_with_pytorch() -> None:
    torch = pytest.importorskip("torch")
    s, y, _, _ = case(65, 33, np.float64)
    theirs = torch.nn.functional.multi_margin_loss(torch.tensor(s), torch.tensor(y)) * 33
    assert losses.svm_loss(s, y)[0] == pytest.approx(theirs.item(), rel=1e-13)


def test_svm_margin_of_exactly_zero_has_no_gradient() -> None:
    loss, dscores = losses.svm_loss(np.array([[2.0, 1.0, 1.5]]), np.array([0]))
    assert loss == 0.5
    np.testing.assert_array_equal(dscores, [[-1.0, 0.0, 1.0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_scores_do_not_overflow(dtype: Any) -> None:
    big = dtype(np.finfo(dtype).max / 4)
    s = np.array([[big, 0, -big], [-big, -big, -big]], dtype)
    loss, dscores = losses.softmax_loss(s, np.array([0, 1]))
    assert loss == pytest.approx(math.log(3) / 2, rel=1e-6)
    third = 1 / 6
    np.testing.assert_allclose(dscores, [[0, 0, 0], [third, third - 0.5, third]], atol=1e-7)
    np.testing.assert_array_equal(losses.softmax(s)[0], [1, 0, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("c", [1, 2, 10, 16, 40])
@pytest.mark.parametrize("loss", LOSSES)
def test_nan_and_infinity_make_the_row_nan(loss: str, c: int, dtype: Any) -> None:
    for position in {0, c // 2, c - 1}:
        for bad in (np.nan, np.inf):
            s, y, soft, _ = case(17, c, dtype)
            s[3, position] = bad
            hard, q = y.astype(np.int32), np.maximum(soft, dtype(1e-3))
            for args in ((hard, None), (None, q)):
                row, _, _ = _core.loss_rows(LOSSES.index(loss), s, *args, None, 1.0, True, 1)
                assert np.isfinite(row[:3]).all()
                assert np.isfinite(row[4:]).all()
                # An infinite error of one output is infinite; all else loses its meaning.
                assert np.isnan(row[3]) or (loss != "softmax" and np.isposinf(row[3]) and bad > 0)
                assert not np.isfinite(row[3])


@pytest.mark.parametrize("loss", range(3))
@pytest.mark.parametrize(("n", "c"), SHAPES)
def test_prediction_is_the_first_largest(loss: int, n: int, c: int) -> None:
    rng = np.random.default_rng(0)
    s = rng.integers(-2, 3, (n, c)).astype(np.float32)  # many ties
    s[s == 0] *= rng.choice([-1, 1], (s == 0).sum())  # zeros of both signs are equal
    y = np.zeros(n, np.int32)
    _, dscores, predicted = _core.loss_rows(loss, s, y, None, None, 1.0, False, 1)
    assert dscores is None
    np.testing.assert_array_equal(predicted, s.argmax(axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "c"), SHAPES)
def test_softmax_probabilities(n: int, c: int, dtype: Any) -> None:
    s, _, _, _ = case(n, c, dtype)
    z = s.astype(np.float64)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    expected = e / e.sum(axis=1, keepdims=True)
    p = losses.softmax(s)
    np.testing.assert_allclose(p, expected, rtol=40 * np.finfo(dtype).eps, atol=1e-37)
    in_place = s.copy()
    assert losses.softmax(in_place, out=in_place) is in_place
    np.testing.assert_array_equal(in_place, p)


def test_no_rows_give_no_probabilities() -> None:
    assert losses.softmax(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("loss", range(3))
@pytest.mark.parametrize("c", [10, 17, 100])
def test_a_rows_bits_do_not_depend_on_the_others(loss: int, c: int) -> None:
    s, y, soft, w = case(333, c, np.float32)
    hard = y.astype(np.int32)
    for args in ((hard, None), (None, soft)):
        whole = _core.loss_rows(loss, s, *args, w, 0.25, True, 1)
        for begin, end in ((0, 1), (1, 18), (18, 333)):
            cut = [None if a is None else a[begin:end] for a in args]
            part = _core.loss_rows(loss, s[begin:end], *cut, w[begin:end], 0.25, True, 1)
            for a, b in zip(part, whole, strict=True):
                np.testing.assert_array_equal(a, b[begin:end])
        for threads in (2, 3):
            again = _core.loss_rows(loss, s, *args, w, 0.25, True, threads)
            for a, b in zip(again, whole, strict=True):
                np.testing.assert_array_equal(a, b)


BITS = """
    import hashlib
    import numpy as np
    from fanin import _core, losses

    digest = hashlib.sha256()
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for n, c in ((1, 1), (33, 10), (17, 16), (65, 17), (9, 333)):
            s = (4 * rng.normal(size=(n, c))).astype(dtype)
            y = rng.integers(c, size=n).astype(np.int32)
            q = rng.dirichlet(np.ones(c), n).astype(dtype)
            w = rng.random(n).astype(dtype)
            digest.update(losses.softmax(s).tobytes())
            for loss in range(3):
                for args in ((y, None), (None, q)):
                    for out in _core.loss_rows(loss, s, *args, w, 0.3, True, 1):
                        digest.update(out.tobytes())
    print(digest.hexdigest())
"""


def test_same_bits_on_every_instruction_set(run_isa: Any, isa: str) -> None:
    assert run_isa(BITS, isa=isa) == run_isa(BITS)
    assert len(run_isa(BITS).strip()) == hashlib.sha256().digest_size * 2


def test_expected_initial_loss_is_that_of_equal_scores() -> None:
    s, y = np.zeros((20, 10)), np.arange(20) % 10
    for loss in ("softmax", "svm"):
        expected = losses.expected_initial_loss(loss, 10)
        assert losses.get(loss)(s, y)[0] == pytest.approx(expected, rel=1e-14)
    assert losses.expected_initial_loss("mse", 10) is None


def test_targets_of_one_output() -> None:
    s = np.array([[1.0], [2.0], [4.0]])
    flat, column = np.array([1.0, 1.0, 1.0]), np.ones((3, 1))
    assert losses.mse_loss(s, flat)[0] == losses.mse_loss(s, column)[0] == pytest.approx(10 / 3)
    assert losses.mse_loss(s, np.array([1, 1, 1]))[0] == pytest.approx(10 / 3)  # values, not labels


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_labels_of_any_whole_type(kind: Any) -> None:
    s, y, _, _ = case(17, 10, np.float64)
    assert losses.softmax_loss(s, y.astype(kind))[0] == losses.softmax_loss(s, y)[0]


S = np.zeros((3, 4))
Y = np.array([0, 1, 2])


@pytest.mark.parametrize(
    ("scores", "y", "weight", "message"),
    [
        (S, np.array([0, 4, 2]), None, r"y: expected labels in 0 \.\. 3, got 4 in row 1"),
        (S, np.array([0, 1, -1]), None, r"y: expected labels in 0 \.\. 3, got -1 in row 2"),
        (S, np.array([0, 1]), None, r"y: .*\(3,\).*got \(2,\) int64"),
        (S, np.zeros((3, 5)), None, r"y: .*\(3, 4\) probabilities, got \(3, 5\) float64"),
        (
            S,
            np.full((3, 4), 0.3),
            None,
            r"y: expected rows that sum to 1, got a sum of 1.2 in row 0",
        ),
        (
            S,
            np.array([[1, 0, 0, 0], [1.5, -0.5, 0, 0], [1, 0, 0, 0]]),
            None,
            r"y: expected probabilities, at least 0; got -0.5 in row 1",
        ),
        (
            S,
            np.array([[1, 0, 0, 0], [1, 0, 0, 0], [np.nan, 0, 0, 0]]),
            None,
            r"y: expected finite values, got others in row 2",
        ),
        (S, Y, np.array([1.0, -1.0, 1.0]), "sample_weight: expected finite weights, at least 0"),
        (S, Y, np.zeros(3), "sample_weight: .*not all 0"),
        (S, Y, np.ones(2), r"sample_weight: expected shape \(3,\) of numbers, got \(2,\)"),
        (np.zeros((0, 4)), np.zeros(0, int), None, "scores: expected at least one row"),
        (np.zeros(4), Y, None, r"scores: expected shape \(N, C\).*got \(4,\)"),
        (np.zeros((3, 4), int), Y, None, r"scores: .*got \(3, 4\) int64"),
        (np.zeros((4, 3)).T, Y, None, "scores: .*C-contiguous"),
    ],
)
def test_errors_name_what_is_wrong(scores: Any, y: Any, weight: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        losses.softmax_loss(scores, y, sample_weight=weight)


def test_wrong_kinds_of_argument() -> None:
    with pytest.raises(TypeError, match="scores: expected a plain array, got a masked array"):
        losses.softmax_loss(np.ma.zeros((3, 4)), Y)
    with pytest.raises(TypeError, match="scores: expected a NumPy array, got list"):
        losses.softmax([[1.0]])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"loss: expected one of softmax, svm, .*; got 'hinge'"):
        losses.get("hinge")
    most = _core.most_soft_svm_classes
    with pytest.raises(ValueError, match=f"at most {most} classes for svm with soft"):
        losses.svm_loss(np.zeros((1, most + 1)), np.eye(1, most + 1))
    both = np.zeros((4, 4))
    with pytest.raises(ValueError, match=r"out: .*apart from scores"):
        losses.softmax(both[:3], out=both[1:])


def test_weights_of_zero_leave_rows_out() -> None:
    s, y, _, _ = case(10, 5, np.float64)
    w = np.ones(10)
    w[5:] = 0
    for loss in LOSSES:
        value, dscores = losses.get(loss)(s, y, sample_weight=w)
        half, dhalf = losses.get(loss)(s[:5], y[:5])
        assert value == pytest.approx(half, rel=1e-15)
        np.testing.assert_array_equal(dscores[:5], dhalf)
        assert not dscores[5:].any()


def test_loss_does_not_depend_on_threads(threads: int) -> None:
    assert fanin.get_num_threads() == threads
    s, y, _, _ = case(20000, 10, np.float32)
    one, d_one = losses.softmax_loss(s, y, n_threads=1)
    many, d_many = losses.softmax_loss(s, y)
    assert one == many
    np.testing.assert_array_equal(d_one, d_many)
