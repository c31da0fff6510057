"""Layer norm, batch norm, PReLU and sums, forward and back: formulas, order of sums, bits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference_norm
from reference import ACTIVATIONS, SLOPES, central_difference, dropout_mask

from fanin import _core, layers

DTYPES = [np.float32, np.float64]
# Rows and columns: none, one, around a Vec, around a block of draws, beyond a block of rows.
SHAPES = [(0, 5), (1, 1), (2, 15), (3, 16), (5, 17), (9, 63), (13, 65), (97, 64), (193, 333)]
PLAIN = (0, 1.0, 0, 0, 0)
GARBAGE = np.nan


def numbers(*shape: int, dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    """In [-2, 2), of 24 bits: the same on every machine and in both dtypes."""
    low = 0xFFFFFFFF
    x = np.arange(int(np.prod(shape)), dtype=np.uint64) * 2654435761 + seed * 40503 & low
    x = (x ^ x >> 15) * 2246822519 & low
    x = (x ^ x >> 13) * 3266489917 & low
    return ((x >> 8) / 2**22 - 2).reshape(shape).astype(dtype)


def case(shape: tuple[int, int], dtype: Any = np.float64) -> tuple[np.ndarray, ...]:
    """(x, dout, gamma, beta)."""
    x = 3 * numbers(*shape) + numbers(shape[1], seed=1)
    vectors = (numbers(shape[1], dtype=dtype, seed=seed) for seed in (3, 4))
    return (x.astype(dtype), numbers(*shape, dtype=dtype, seed=2), *vectors)


def padded(x: np.ndarray, extra: int = 7) -> np.ndarray:
    """The same rows with garbage after each."""
    return np.pad(x, ((0, 0), (0, extra)), constant_values=GARBAGE)


def in_rows(name: str, dtype: Any, shape: tuple[int, int], pad: int, epilogue: Any = PLAIN) -> Any:
    """What a kernel makes of a case whose rows are that much longer than they say: its results,
    and what it left in the padding."""
    x, dout, gamma, beta = case(shape, dtype)
    cols = shape[1]
    wide, dout = padded(x, pad), padded(dout, pad)
    out = np.full_like(wide, 123)
    moments = [numbers(shape[0], dtype=dtype, seed=7), numbers(shape[0], dtype=dtype, seed=8)]
    columns = [beta, gamma * gamma + 1]
    sums = [numbers(cols, dtype=dtype, seed=seed) for seed in (5, 6)]
    match name:
        case "layer_norm":
            got = _core.layer_norm_forward(wide, gamma, beta, epilogue, out, True, 0)
        case "layer_norm_backward":
            got = [_core.layer_norm_backward(dout, wide, gamma, *moments, out, 0)]
        case "batch_norm":
            got = _core.batch_norm_forward(wide, gamma, beta, *columns, epilogue, out, True, 0)
        case "batch_norm_backward":
            got = [_core.batch_norm_backward(dout, wide, gamma, *columns, *sums, out, 0)]
        case "norm_gradient":
            _core.norm_gradient(dout, wide, *moments, False, *sums, True, 0)
            got = sums
        case "norm_gradient_per_column":
            _core.norm_gradient(dout, wide, *columns, True, *sums, False, 0)
            got = sums
        case "batch_moments":
            got = _core.batch_moments(wide, cols, 0)
        case "batch_gradients":
            got = _core.batch_gradients(dout, wide, *columns, 0)
        case "prelu":
            got = _core.prelu_forward(wide, gamma, epilogue, out, True, 0)
        case "prelu_backward":
            got = [_core.prelu_backward(dout, wide, gamma, out, 0)]
        case "prelu_gradient":
            _core.prelu_gradient(dout, wide, sums[0], True, 0)
            got = sums[:1]
        case _:
            got = [_core.add(wide, dout, cols, out, 0)]
    used = [a[:, :cols].copy() if a.ndim == 2 else a for a in got]
    return used, out[:, cols:]


KERNELS = [
    "layer_norm", "layer_norm_backward", "batch_norm", "batch_norm_backward", "norm_gradient",
    "norm_gradient_per_column", "batch_moments", "batch_gradients", "prelu", "prelu_backward",
    "prelu_gradient", "add",
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("name", KERNELS)
def test_what_lies_beyond_a_row_is_not_touched(
    name: str, shape: tuple[int, int], dtype: Any
) -> None:
    expected, _ = in_rows(name, dtype, shape, 0)
    got, beyond = in_rows(name, dtype, shape, 7)
    assert all(map(np.array_equal, got, expected))
    assert (beyond == 123).all()


GRID = """
    import hashlib, sys
    sys.path[:0] = {folders}
    import numpy as np
    from test_norm import DTYPES, KERNELS, SHAPES, in_rows

    epilogue = (6, 0.7, 5, 9, 3)  # tanh and dropout
    for name in KERNELS:
        digest = hashlib.sha256()
        for dtype in DTYPES:
            for shape in [*SHAPES[1:], (700, 520)]:
                for a in in_rows(name, dtype, shape, 3, epilogue)[0]:
                    digest.update(a.tobytes())
        print(name, digest.hexdigest())
"""

# A change of these breaks a promise: it is for a new version.
GOLDEN = {
    "layer_norm": "bf43ed2b55ba7d38",
    "layer_norm_backward": "ecd4c9e55bedcc06",
    "batch_norm": "6102940af7935080",
    "batch_norm_backward": "b0ba9e9b00a66338",
    "norm_gradient": "d1e6c35332eac56b",
    "norm_gradient_per_column": "3cb785ff0631533e",
    "batch_moments": "92daff3fa6d4ab6f",
    "batch_gradients": "d006da6deaaf8cd4",
    "prelu": "4f7c3a6cba75ddb9",
    "prelu_backward": "0a980f01fc972f36",
    "prelu_gradient": "9c42ae39874bfd7f",
    "add": "4a5c23b9157400e2",
}


def test_same_bits_on_every_instruction_set_and_any_threads(run_isa: Any) -> None:
    folders = [p for p in sys.path if p.endswith(("layers", "support"))]
    code = GRID.format(folders=folders)
    grid = [(isa, n) for isa in _core.supported_isas() for n in (1, 3)]
    found = {point: run_isa(code, point[0], threads=point[1]) for point in grid}
    assert len(set(found.values())) == 1, found
    digests = dict(line.split() for line in found[grid[0]].splitlines())
    assert {name: digest[:16] for name, digest in digests.items()} == GOLDEN


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["layer", "batch"])
def test_norms_against_float64(kind: str, shape: tuple[int, int], dtype: Any) -> None:
    if kind == "batch" and shape[0] < 2:
        pytest.skip("no batch to normalise over")
    axis = {"layer": 1, "batch": 0}[kind]
    x, dout, gamma, beta = case(shape, dtype)
    y, cache = getattr(layers, f"{kind}_norm_forward")(x, gamma, beta)
    got = [y, *getattr(layers, f"{kind}_norm_backward")(dout, cache)]
    wide = [a.astype(np.float64) for a in (x, dout, gamma, beta)]
    expected = [
        reference_norm.norm(wide[0], wide[2], wide[3], axis),
        *reference_norm.norm_backward(wide[1], wide[0], wide[2], axis),
    ]
    # An error of the mean, eps times |x|, is divided by the deviation, also a small one.
    steep = 1 + 10 * float(reference_norm.moments(wide[0], axis)[1].max(initial=0))
    limit = steep * float(np.finfo(dtype).eps)
    for a, e in zip(got, expected, strict=True):
        assert (a.dtype, a.shape) == (dtype, e.shape)
        np.testing.assert_allclose(a, e, rtol=32 * limit, atol=(16 + 2 * shape[0] ** 0.5) * limit)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_prelu_against_float64(shape: tuple[int, int], dtype: Any) -> None:
    x, dout, slopes, _ = case(shape, dtype)
    y, cache = layers.prelu_forward(x, slopes)
    dx, dslopes = layers.prelu_backward(dout, cache)
    assert np.array_equal(y, reference_norm.prelu(x, slopes))
    wide = [a.astype(np.float64) for a in (dout, x, slopes)]
    expected, sums = reference_norm.prelu_backward(*wide)
    assert np.array_equal(dx, expected.astype(dtype))
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(dslopes, sums, rtol=8 * eps, atol=(4 + 4 * shape[0]) * eps)


@pytest.mark.parametrize("kind", ["layer", "batch", "prelu"])
def test_against_central_differences(kind: str) -> None:
    x, weights, gamma, beta = case((7, 19))
    name = kind if kind == "prelu" else f"{kind}_norm"
    inputs = [x, gamma] if kind == "prelu" else [x, gamma, beta]
    forward: Callable[..., Any] = getattr(layers, f"{name}_forward")
    _, cache = forward(*inputs)
    got = getattr(layers, f"{name}_backward")(weights, cache)
    for given, gradient in zip(inputs, got, strict=True):
        expected = central_difference(lambda _: float((forward(*inputs)[0] * weights).sum()), given)
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", ["layer", "batch", "prelu"])
@pytest.mark.parametrize("shape", [(2, 3), (33, 70), (200, 129)])
def test_against_pytorch(kind: str, shape: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    x, dout, gamma, beta = case(shape)
    name = kind if kind == "prelu" else f"{kind}_norm"
    inputs = [x, gamma] if kind == "prelu" else [x, gamma, beta]
    y, cache = getattr(layers, f"{name}_forward")(*inputs)
    tensors = [torch.tensor(a, requires_grad=True) for a in inputs]
    outputs = {
        "layer": lambda x, g, b: F.layer_norm(x, (shape[1],), g, b, 1e-5),
        "batch": lambda x, g, b: F.batch_norm(x, None, None, g, b, training=True, eps=1e-5),
        "prelu": F.prelu,
    }[kind](*tensors)
    outputs.backward(torch.tensor(dout))
    np.testing.assert_allclose(y, outputs.detach().numpy(), rtol=1e-12, atol=1e-12)
    gradients = getattr(layers, f"{name}_backward")(dout, cache)
    for got, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["identity", "relu", "gelu"])
@pytest.mark.parametrize("keep", [1.0, 0.6])
@pytest.mark.parametrize("kind", ["layer_norm", "batch_norm", "prelu"])
def test_the_epilogue_follows(kind: str, keep: float, activation: str, dtype: Any) -> None:
    """As if activation and dropout were applied to the plain result."""
    shape = (21, 150)
    (z, *_), _ = in_rows(kind, dtype, shape, 0)
    code = layers.ACTIVATIONS.index(activation)
    epilogue = (code, keep, 5, 9, 3)
    (y, *_, slope), _ = in_rows(kind, dtype, shape, 5, epilogue)
    expected, slopes = _core.activation_forward(z, code, keep, 1 / keep, 5, 9, 3, None, True, 0)
    assert np.array_equal(y, expected)
    assert np.array_equal(slope, slopes)
    mask = dropout_mask(5, 9, *shape, keep, first_row=3)
    eps = float(np.finfo(dtype).eps)
    for got, formula in ((y, ACTIVATIONS), (slope, SLOPES)):
        exact = formula[activation](z.astype(np.float64)) * mask / keep
        np.testing.assert_allclose(got, exact, rtol=16 * eps, atol=8 * eps)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_comes_out_as_nan(dtype: Any, bad: float) -> None:
    x, _, gamma, beta = case((12, 70), dtype)
    x[5, 69] = bad
    for activation in range(len(layers.ACTIVATIONS)):
        y, *_ = _core.layer_norm_forward(x, gamma, beta, (activation, 1.0, 0, 0, 0), None, True, 0)
        assert np.isnan(y[5]).all()
        assert np.isfinite(np.delete(y, 5, axis=0)).all()
    y, _ = layers.batch_norm_forward(x, gamma, beta)
    assert np.isnan(y[:, 69]).all()
    assert np.isfinite(y[:, :69]).all()
    y, cache = layers.prelu_forward(x, gamma)
    dx, dslopes = layers.prelu_backward(np.ones_like(x), cache)
    if np.isnan(bad):
        assert np.isnan([y[5, 69], dslopes[69]]).all()
    assert np.isfinite(np.delete(y, 69, axis=1)).all()
    assert np.isfinite(dx).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_variance_survives_a_large_mean(dtype: Any) -> None:
    """The difference of E[x^2] and E[x]^2 would have no digit left."""
    x = (numbers(8, 200) + 4096).astype(dtype)
    one, zero = np.ones(200, dtype), np.zeros(200, dtype)
    exact = reference_norm.norm(x.astype(np.float64), one, zero, 1)
    y, _ = layers.layer_norm_forward(x, one, zero)
    np.testing.assert_allclose(y, exact, atol=8192 * float(np.finfo(dtype).eps))
    _, cache = layers.batch_norm_forward(x, one, zero)
    np.testing.assert_allclose(cache.variance, x.astype(np.float64).var(axis=0), rtol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_batch_statistics_are_summed_in_blocks(dtype: Any) -> None:
    """Down the rows of a block in their dtype, the blocks in float64."""
    x = case((250, 130), dtype)[0]

    def summed(a: np.ndarray) -> np.ndarray:
        blocks = [a[i : i + 96].cumsum(axis=0, dtype=dtype)[-1] for i in (0, 96, 192)]
        return np.sum(np.stack(blocks).astype(np.float64), axis=0)

    mean, variance = _core.batch_moments(x, 130, 2)
    assert np.array_equal(mean, (summed(x) / 250).astype(dtype))
    np.testing.assert_allclose(variance, summed((x - mean) ** 2) / 250, rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_results_may_stand_where_the_gradients_did(dtype: Any) -> None:
    x, dout, gamma, beta = case((9, 70), dtype)
    y, cache = layers.layer_norm_forward(x, gamma, beta)
    expected = layers.layer_norm_backward(dout, cache)[0]
    here = dout.copy()
    _core.layer_norm_backward(here, x, gamma, cache.mean, cache.inverse, here, 0)
    assert np.array_equal(here, expected)
    columns = [beta, gamma * gamma, beta, gamma]
    expected = _core.batch_norm_backward(dout, x, gamma, *columns, None, 0)
    here = dout.copy()
    _core.batch_norm_backward(here, x, gamma, *columns, here, 0)
    assert np.array_equal(here, expected)
    expected = _core.batch_norm_forward(x, gamma, beta, *columns[:2], PLAIN, None, False, 0)[0]
    here = x.copy()
    _core.batch_norm_forward(here, gamma, beta, *columns[:2], PLAIN, here, False, 0)
    assert np.array_equal(here, expected)
    expected = _core.add(x, y, 70, None, 0)
    assert np.array_equal(expected, x + y)
    assert np.array_equal(_core.add(x, y, 70, x, 0), expected)


def test_gradients_accumulate_as_one_chain() -> None:
    """The same bits as all rows at once."""
    x, dout, *_ = case((50, 70), np.float32)
    mean, inverse = (a.ravel() for a in reference_norm.moments(x, 1))
    whole, parts = ([np.empty(70, np.float32) for _ in range(3)] for _ in range(2))
    for sums, cuts in ((whole, [0, 50]), (parts, [0, 13, 50])):
        for begin, end in pairwise(cuts):
            rows, more = slice(begin, end), begin > 0
            given = (dout[rows], x[rows])
            _core.norm_gradient(*given, mean[rows], inverse[rows], False, *sums[:2], more, 0)
            _core.prelu_gradient(*given, sums[2], more, 0)
    assert all(map(np.array_equal, whole, parts))


BAD: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "x: one axis": (
        lambda: layers.layer_norm_forward(np.ones(3), np.ones(3), np.ones(3)),
        ValueError,
        r"x: expected shape \(N, 3\), got \(3,\) float64",
    ),
    "x: width": (
        lambda: layers.batch_norm_forward(np.ones((4, 5)), np.ones(3), np.ones(3)),
        ValueError,
        r"x: expected shape \(N, 3\), got \(4, 5\) float64",
    ),
    "x: list": (
        lambda: layers.prelu_forward([[1.0]], np.ones(1)),
        TypeError,
        "x: expected a NumPy array, got list",
    ),
    "x: strided": (
        lambda: layers.layer_norm_forward(np.ones((4, 3))[::2], np.ones(3), np.ones(3)),
        ValueError,
        "x: expected .* C-contiguous",
    ),
    "x: whole numbers": (
        lambda: layers.layer_norm_forward(np.ones((4, 3), int), np.ones(3), np.ones(3)),
        TypeError,
        r"x: expected float32 or float64, got \(4, 3\) int64",
    ),
    "x: one row": (
        lambda: layers.batch_norm_forward(np.ones((1, 3)), np.ones(3), np.ones(3)),
        ValueError,
        "x: expected at least two rows to normalise over, got 1",
    ),
    "gamma: dtype": (
        lambda: layers.layer_norm_forward(np.ones((4, 3)), np.ones(3, np.float32), np.ones(3)),
        TypeError,
        r"gamma: expected shape \(N,\) float64, got \(3,\) float32",
    ),
    "gamma: axes": (
        lambda: layers.layer_norm_forward(np.ones((4, 3)), np.ones((1, 3)), np.ones(3)),
        ValueError,
        r"gamma: expected shape \(N,\) float64, got \(1, 3\)",
    ),
    "beta: length": (
        lambda: layers.layer_norm_forward(np.ones((4, 3)), np.ones(3), np.ones(4)),
        ValueError,
        r"beta: expected shape \(3,\) float64, got \(4,\) float64",
    ),
    "variance: length": (
        lambda: layers.batch_norm(np.ones((4, 3)), *[np.ones(3)] * 3, np.ones(2)),
        ValueError,
        r"variance: expected shape \(3,\) float64, got \(2,\) float64",
    ),
    "slopes: length": (
        lambda: layers.prelu_forward(np.ones((4, 3)), np.ones(2)),
        ValueError,
        r"x: expected shape \(N, 2\), got \(4, 3\) float64",
    ),
    "dout: shape": (
        lambda: layers.layer_norm_backward(
            np.ones((4, 2)), layers.layer_norm_forward(np.ones((4, 3)), np.ones(3), np.ones(3))[1]
        ),
        ValueError,
        r"dout: expected shape \(4, 3\) float64, got \(4, 2\) float64",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()
