"""Our own exp, log, tanh, ... against NumPy in more digits, and their bits on every machine."""

import math

import numpy as np
import pytest

from fanin import _core

LONG = np.longdouble
DTYPES = [np.float32, np.float64]
FUNCTIONS = ["exp", "log", "tanh", "sigmoid", "erf", "gelu", "expm1", "sinpi", "cospi"]
FUNCTIONS += ["silu", "mish", "softplus"]

# Largest error allowed, in units of the last place.
ULP = {
    "exp": 1.1,
    "log": 1.0,
    "tanh": 3.0,
    "sigmoid": 3.0,
    "erf": 3.0,
    "gelu": 10.0,
    "expm1": 2.0,
    "sinpi": 2.0,
    "cospi": 2.0,
    "silu": 4.0,
    "mish": 5.0,
    "softplus": 3.0,
}

vector_erf = np.vectorize(math.erf, otypes=[float])
vector_erfc = np.vectorize(math.erfc, otypes=[float])


def gelu_reference(x):
    """x Phi(x); erfc is corrected for what rounding takes from its argument."""
    exact = -x.astype(LONG) / np.sqrt(LONG(2))
    t = exact.astype(float)
    slope = -2 / math.sqrt(math.pi) * np.exp(-np.minimum(t * t, 745.0))
    return x * (vector_erfc(t) + slope * (exact - t)) / 2


def sincospi_reference(x, quarter):
    """sin(pi x) moved on by `quarter` right angles, exact at multiples of 1/2."""
    q = np.rint(2 * x)
    r = (x - q / 2) * (4 * np.arctan(LONG(1)))
    turns = (q.astype(int) + quarter) % 4
    return np.choose(turns, [np.sin(r), np.cos(r), -np.sin(r), -np.cos(r)])


REFERENCE = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": lambda x: vector_erf(x.astype(float)),
    "gelu": gelu_reference,
    "expm1": np.expm1,
    "sinpi": lambda x: sincospi_reference(x, 0),
    "cospi": lambda x: sincospi_reference(x, 1),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.logaddexp(LONG(0), x)),
    "softplus": lambda x: np.logaddexp(LONG(0), x),
}


def grid(name, dtype, n=20_000):
    """Arguments over the whole range of a function, thick around 0 and 1 and at both ends."""
    info = np.finfo(dtype)
    rng = np.random.default_rng(0)
    if name in ("sinpi", "cospi"):
        small = np.logspace(-8, 0, n)
        return np.concatenate([np.linspace(-2, 2, n), small, -small]).astype(dtype)
    magnitude = np.exp2(rng.uniform(info.minexp, info.maxexp, n))
    if name == "log":
        return np.concatenate([magnitude, np.linspace(0.5, 2, n), rng.random(n)]).astype(dtype)
    end = 89 if dtype == np.float32 else 710
    if name == "gelu":  # from where Phi(x) is a normal number
        low, high = (-12.9, 20) if dtype == np.float32 else (-37.4, 50)
        values = [np.linspace(low, high, n), np.linspace(-2, 2, n)]
    elif name in ("silu", "mish"):  # from where e^x is one
        low = -87.3 if dtype == np.float32 else -708.3
        values = [np.linspace(low, end, n), np.linspace(-20, 20, n), np.linspace(-1, 1, n)]
        values += [-magnitude[magnitude < -low]]
    else:
        values = [np.linspace(-end, end, n), np.linspace(-20, 20, n), np.linspace(-1, 1, n)]
        values += [-magnitude]
    return np.concatenate([*values, magnitude]).astype(dtype)


def errors_in_ulp(name, x):
    y = _core.map(name, x)
    assert y.dtype == x.dtype
    assert y.shape == x.shape
    info = np.finfo(x.dtype)
    with np.errstate(all="ignore"):
        exact = REFERENCE[name](x.astype(LONG))
        rounded = exact.astype(x.dtype)
        finite = np.isfinite(rounded) & (np.abs(rounded) >= info.tiny)
        ulp = np.spacing(np.abs(rounded))
        error = np.abs(y - exact) / ulp
    overflow = np.isinf(rounded)
    np.testing.assert_array_equal(y[overflow], rounded[overflow])
    tiny = ~overflow & ~finite
    assert np.all(np.abs(y[tiny]) <= info.tiny)
    return error[finite]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_accuracy(name, dtype):
    if dtype == np.float64 and np.finfo(LONG).nmant <= np.finfo(dtype).nmant:
        pytest.skip("long double has no more digits than double here")
    errors = errors_in_ulp(name, grid(name, dtype))
    assert errors.size > 10_000
    assert errors.max() <= ULP[name]


LIMITS = {
    "exp": [(-np.inf, 0), (-1e4, 0), (0, 1), (-0.0, 1), (1e4, np.inf), (np.inf, np.inf)],
    "log": [(np.inf, np.inf), (1, 0), (0, -np.inf), (-0.0, -np.inf), (-1, np.nan)],
    "tanh": [(-np.inf, -1), (-30, -1), (-0.0, -0.0), (0, 0), (30, 1), (np.inf, 1)],
    "sigmoid": [(-np.inf, 0), (-1e4, 0), (0, 0.5), (60, 1), (np.inf, 1)],
    "erf": [(-np.inf, -1), (-10, -1), (-0.0, -0.0), (0, 0), (10, 1), (np.inf, 1)],
    "gelu": [(-np.inf, -0.0), (-1e4, -0.0), (-0.0, -0.0), (0, 0), (1e4, 1e4), (np.inf, np.inf)],
    "expm1": [(-np.inf, -1), (-1e4, -1), (-0.0, -0.0), (0, 0), (1e4, np.inf), (np.inf, np.inf)],
    "sinpi": [(-1, 0), (-0.5, -1), (0, 0), (0.5, 1), (1, 0), (1.5, -1), (2, 0)],
    "cospi": [(-1, -1), (-0.5, 0), (0, 1), (0.5, 0), (1, -1), (1.5, 0), (2, 1)],
    "silu": [(-np.inf, -0.0), (-1e4, -0.0), (-0.0, -0.0), (0, 0), (1e4, 1e4), (np.inf, np.inf)],
    "mish": [(-np.inf, -0.0), (-1e4, -0.0), (-0.0, -0.0), (0, 0), (1e4, 1e4), (np.inf, np.inf)],
    "softplus": [(-np.inf, 0), (-1e4, 0), (60, 60), (1e4, 1e4), (np.inf, np.inf)],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_limits(name, dtype):
    x, expected = np.array(LIMITS[name], dtype).T
    y = _core.map(name, np.ascontiguousarray(x))
    np.testing.assert_array_equal(y, expected)
    if name not in ("sinpi", "cospi"):  # the sign of a zero
        known = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(y[known]), np.signbit(expected[known]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_comes_through(name, dtype):
    x = np.full(37, 0.5, dtype)
    x[[3, 17, 36]] = np.nan
    np.testing.assert_array_equal(np.isnan(_core.map(name, x)), np.isnan(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 15, 16, 17, 63, 65, 333])
def test_tail_has_the_bits_of_the_body(name, dtype, n):
    x = np.linspace(0.01, 1.99, 400).astype(dtype)
    whole = _core.map(name, x)
    assert np.array_equal(_core.map(name, x[:n].copy()), whole[:n])
    assert np.array_equal(_core.map(name, x[400 - n :].copy()), whole[400 - n :])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_odd_and_within_one(name, dtype):
    x = np.linspace(0, 20, 100_000).astype(dtype)
    y = _core.map(name, x)
    assert y.max() == 1
    assert np.array_equal(_core.map(name, -x), -y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_activation_leaves_denormals(dtype):
    """What would be a denormal result is 0, whatever the floating-point mode."""
    tiny = np.finfo(dtype).tiny
    x = np.linspace(-110 if dtype == np.float32 else -750, -80, 50_000).astype(dtype)
    for name in ("exp", "sigmoid", "silu", "mish", "softplus"):
        y = abs(_core.map(name, x))
        assert np.all((y == 0) | (y >= tiny * 0.999_999))


DIGESTS = """
import hashlib
import numpy as np
from fanin import _core

rng = np.random.default_rng(1)
bits = rng.integers(0, 2**64, 5000, np.uint64)
digest = hashlib.sha256()
for dtype in (np.float32, np.float64):
    info = np.finfo(dtype)
    edges = [0, -0.0, 1, -1, 0.5, np.inf, -np.inf, np.nan, info.tiny, info.max, -info.max]
    x = np.concatenate(
        [bits.view(dtype), np.asarray(edges, dtype), rng.normal(0, 30, 3001).astype(dtype)]
    )
    for name in names:
        y = _core.map(name, x)
        y[np.isnan(y)] = np.nan
        digest.update(y.tobytes())
print(_core.isa(), digest.hexdigest())
"""


def test_same_bits_on_every_instruction_set(run_isa):
    code = f"names = {FUNCTIONS}\n{DIGESTS}"
    isas = _core.supported_isas()
    found = [run_isa(code, isa=isa).split() for isa in isas]
    assert [isa for isa, _ in found] == isas
    assert len({digest for _, digest in found}) == 1


def test_unknown_function():
    with pytest.raises(ValueError, match="cosh"):
        _core.map("cosh", np.zeros(3, np.float32))
