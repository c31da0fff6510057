import math

import numpy as np
import pytest

from fanin import initializers, layers
from fanin.initializers import get, kaiming, small_random, xavier
from fanin.random import Generator

D, H = 784, 256


def test_every_activation_has_a_suited_initialiser():
    """Kaiming's for those that let go of what is far below 0, but for SELU, whose authors say."""
    x = np.full((1, 1), -1e3)
    one = np.ones((1, 1))
    for name in layers.ACTIVATIONS:
        kept = abs(float(layers.dense(x, one, activation=name)[0, 0])) < 20
        ends_below = kept and abs(float(layers.dense(-x, one, activation=name)[0, 0])) > 20
        expected = "kaiming" if ends_below and name != "selu" else "xavier"
        if name == "leaky_relu":
            expected = "kaiming"
        assert initializers.suited_to(name) == expected, name
    assert initializers.suited_to("prelu") == "kaiming"


KNOWN = {
    "small": 0.01,
    "small_random": 0.01,
    "xavier": math.sqrt(1 / D),
    "glorot": math.sqrt(2 / (D + H)),
    "kaiming": math.sqrt(2 / D),
    "he": math.sqrt(2 / D),
}


def check_moments(W, std, distribution):
    """Mean, variance and fourth moment within four standard errors; the shape of the tails."""
    x, n = W.astype(np.float64).ravel() / std, W.size
    fourth, eighth = (3, 105) if distribution == "normal" else (9 / 5, 81 / 9)
    assert abs(x.mean()) < 4 / math.sqrt(n)
    assert abs((x**2).mean() - 1) < 4 * math.sqrt((fourth - 1) / n)
    assert abs((x**4).mean() - fourth) < 4 * math.sqrt((eighth - fourth**2) / n)
    if distribution == "uniform":
        assert 1.73 < abs(x).max() <= math.sqrt(3) * (1 + 1e-6)
    else:
        assert abs(x).max() > 4  # no cut at two standard deviations


@pytest.mark.row("I1")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("name", KNOWN)
def test_weights_have_the_stated_moments(name, distribution, dtype):
    W = get(name)((D, H), distribution=distribution, rng=17, dtype=dtype)
    assert W.shape == (D, H)
    assert W.dtype == dtype
    check_moments(W, KNOWN[name], distribution)


@pytest.mark.row("I1")
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_gain_scales_the_standard_deviation(distribution):
    for gain in (0.5, 2.0):
        plain = kaiming((D, H), distribution=distribution, rng=1)
        scaled = kaiming((D, H), gain=gain, distribution=distribution, rng=1)
        np.testing.assert_allclose(scaled, gain * plain, rtol=1e-6, atol=1e-8)
    check_moments(small_random((500, 400), 0.3, rng=3), 0.3, "normal")


@pytest.mark.row("I1")
@pytest.mark.parametrize(
    ("initializer", "activation"),
    [(kaiming, lambda z: np.maximum(z, 0)), (xavier, lambda z: z)],
    ids=["kaiming-relu", "xavier-linear"],
)
def test_signals_keep_their_size_through_ten_layers(initializer, activation):
    g = Generator(0)
    x = g.standard_normal((200, 500), dtype="float64")
    first = (x @ initializer((500, 500), rng=g, dtype="float64")).std()
    for _ in range(10):
        z = x @ initializer((500, 500), rng=g, dtype="float64")
        x = activation(z)
    assert 0.6 < z.std() / first < 1.6


def test_small_random_fades_where_kaiming_does_not():
    g = Generator(0)
    x = g.standard_normal((200, 500))
    for _ in range(10):
        x = np.tanh(x @ small_random((500, 500), rng=g))
    assert x.std() < 1e-5


def test_weights_are_the_generators_draws():
    g, same = Generator(5, 2), Generator(5, 2)
    expected = same.normal(0.0, math.sqrt(2 / 30), (30, 7))
    assert np.array_equal(kaiming((30, 7), rng=g), expected)
    assert g.state == same.state
    bound = math.sqrt(3) * math.sqrt(1 / 30)
    expected = same.uniform(-bound, bound, (30, 7), dtype="float64")
    W = xavier((30, 7), distribution="uniform", rng=g, dtype="float64")
    assert np.array_equal(W, expected)
    assert np.array_equal(kaiming((30, 7), rng=4), kaiming((30, 7), rng=4))
    assert not np.array_equal(kaiming((30, 7)), kaiming((30, 7)))


def test_out_is_filled_and_returned():
    out = np.empty((30, 7), np.float64)
    assert xavier((30, 7), "avg", rng=1, out=out) is out
    assert np.array_equal(out, xavier((30, 7), "avg", rng=1, dtype="float64"))
    arena = np.zeros(300, np.float32)
    kaiming((30, 7), rng=1, out=arena[50:260].reshape(30, 7))
    assert np.array_equal(arena[50:260].reshape(30, 7), kaiming((30, 7), rng=1))
    assert not arena[:50].any()
    assert not arena[260:].any()


def test_zero_std_gives_zeros():
    for distribution in ("normal", "uniform"):
        assert not small_random((4, 5), 0.0, distribution=distribution).any()
        assert not kaiming((4, 5), gain=0.0, distribution=distribution).any()


def test_get():
    assert get("he") is kaiming
    assert get(xavier) is xavier
    assert np.array_equal(get("glorot")((9, 3), rng=1), xavier((9, 3), "avg", rng=1))
    message = "init: expected one of small, small_random, xavier, glorot, kaiming, he or a function"
    with pytest.raises(ValueError, match=f"{message}, got 'zavier'"):
        get("zavier")
    assert set(initializers.__all__) >= {"get", "kaiming", "small_random", "xavier"}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kaiming(5), ValueError, r"shape: expected \(D, H\), each at least 1, got 5"),
        (lambda: kaiming((5,)), ValueError, r"shape: .*got \(5,\)"),
        (lambda: xavier((0, 3)), ValueError, r"shape: .*got \(0, 3\)"),
        (lambda: small_random((-1, 3)), ValueError, "size: .*got -1"),
        (lambda: xavier((5, 3), "out"), ValueError, "fan: expected one of 'in', 'avg', got 'out'"),
        (lambda: kaiming((5, 3), gain=-1), ValueError, "gain: .*got -1"),
        (lambda: kaiming((5, 3), gain=math.nan), ValueError, "gain: .*got nan"),
        (lambda: small_random((5, 3), -0.1), ValueError, "std: .*got -0.1"),
        (lambda: kaiming((5, 3), distribution="cauchy"), ValueError,
         "distribution: expected one of 'normal', 'uniform', got 'cauchy'"),
        (lambda: kaiming((5, 3), dtype="int8"), TypeError, "dtype: .*got int8"),
        (lambda: kaiming((5, 3), out=np.zeros((3, 5))), ValueError, r"out: .*got \(3, 5\)"),
        (lambda: kaiming((5, 3), rng="x"), TypeError, "rng: .*got str"),
    ],
)  # fmt: skip
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
