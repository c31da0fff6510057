"""Activation statistics: the lecture's cases, the weights of a network, verdicts and errors."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time

import numpy as np
import pytest

import fanin
from fanin import initializers, layers
from fanin.diagnostics import activation_statistics
from fanin.random import Generator, package_generator

# std of each layer in the lecture's experiment, four digits from NumPy runs of its listing
LECTURE = {
    "small-tanh": (
        {"init": "small_random", "activation": "tanh"},
        (0.494, 0.291, 0.179, 0.113, 0.072, 0.046),
        "vanishing",
    ),
    "large-tanh": (
        {"std": 0.05, "activation": "tanh"},
        (0.872, 0.854, 0.850, 0.851, 0.851, 0.851),
        "saturated",
    ),
    "xavier-tanh": (
        {"init": "xavier", "activation": "tanh"},
        (0.630, 0.488, 0.408, 0.358, 0.322, 0.296),
        "healthy",
    ),
    "small-relu": (
        {"std": 0.01, "activation": "relu"},
        (0.376, 0.171, 0.078, 0.035, 0.016, 0.007),
        "vanishing",
    ),
    "xavier-relu": (
        {"init": "xavier", "activation": "relu"},
        (0.588, 0.417, 0.297, 0.209, 0.147, 0.102),
        "vanishing",
    ),
    "kaiming-relu": (
        {"init": "kaiming", "activation": "relu"},
        (0.832, 0.835, 0.841, 0.835, 0.830, 0.816),
        "healthy",
    ),
}


@pytest.mark.row("I1")
@pytest.mark.parametrize("case", LECTURE)
def test_the_lectures_six_layers(case):
    options, expected, verdict = LECTURE[case]
    report = activation_statistics([4096] * 7, n=256, **options)  # fewer rows spread more
    found = [layer.std for layer in report.layers]
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.0006)
    assert report.verdict == verdict


@pytest.mark.parametrize("case", LECTURE)
def test_verdicts_hold_for_sixteen_rows_and_any_seed(case):
    options, _, verdict = LECTURE[case]
    scale = 2.0 if "std" in options or options["init"] == "small_random" else 1.0  # sqrt(4096/1024)
    for seed in range(5):
        report = activation_statistics([1024] * 7, seed=seed, gain=scale, **options)
        assert report.verdict == verdict, report.reason


def test_the_lectures_lines_to_the_letter():
    report = activation_statistics([256] * 12)
    lines = str(report).splitlines()
    assert len(lines) == 11
    for number, (line, layer) in enumerate(zip(lines, report.layers, strict=True), 1):
        assert line == f"[ {number} layers]  mean:{layer.mean:.2f} std:{layer.std:.2f}"
    assert re.fullmatch(r"\[ 1 layers\]  mean:-?0\.0\d std:0\.6\d", lines[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("init", ["small", "xavier", "glorot", "kaiming"])
def test_weights_are_those_of_the_initialiser(init, distribution, dtype, threads):
    dims = [70, 333, 64, 17]
    report = activation_statistics(
        dims,
        n=19,
        init=init,
        distribution=distribution,
        gain=1.5,
        activation="elu",
        seed=8,
        dtype=dtype,
        n_threads=threads,
    )
    a = Generator(8).standard_normal((19, 70), dtype=dtype)
    for number, layer in enumerate(report.layers):
        rng = package_generator(8, "init", number)
        shape = dims[number], dims[number + 1]
        W = initializers.get(init)(shape, gain=1.5, distribution=distribution, rng=rng, dtype=dtype)
        a = layers.dense(a, W, activation="elu")
        wide = a.astype(np.float64)
        assert layer.mean == pytest.approx(wide.mean(), rel=1e-12, abs=1e-14)
        assert layer.std == pytest.approx(wide.std(), rel=1e-12)
        assert layer.zero == np.mean(a == 0)
        assert layer.dead == np.mean((a == 0).all(axis=0))
        np.testing.assert_array_equal(layer.edges, np.linspace(wide.min(), wide.max(), 31))
        np.testing.assert_array_equal(layer.counts, np.histogram(wide, layer.edges)[0])


def test_weights_are_those_of_a_network():
    net = fanin.MLP([30, 40, 50, 3], activation="tanh", init="xavier", seed=5)
    x = Generator(1).standard_normal((20, 30))
    report = activation_statistics([30, 40, 50], x=x, seed=5)
    hidden = x
    for number, layer in enumerate(report.layers, 1):
        hidden = layers.dense(hidden, net.params[f"W{number}"], activation="tanh")
        assert layer.std == pytest.approx(float(hidden.astype(np.float64).std()), rel=1e-12)


def test_a_function_as_initialiser():
    named = activation_statistics([50, 60, 70], init="kaiming", activation="relu")
    given = activation_statistics([50, 60, 70], init=initializers.kaiming, activation="relu")
    assert [(a.mean, a.std) for a in named.layers] == [(a.mean, a.std) for a in given.layers]


def test_numbers_do_not_depend_on_threads():
    def numbers(n_threads):
        report = activation_statistics([500, 700, 300], n=40, n_threads=n_threads)
        return [(a.mean, a.std, a.saturated, a.counts.tolist()) for a in report.layers]

    assert numbers(1) == numbers(2) == numbers(3)


def test_saturation_and_histogram_of_the_bounded():
    x = Generator(4).normal(0.0, 3.0, (50, 20))
    for activation, low, high in [("tanh", -1, 1), ("sigmoid", 0, 1)]:
        report = activation_statistics([20, 300], x=x, gain=2.0, activation=activation, seed=2)
        W = initializers.xavier((20, 300), gain=2.0, rng=package_generator(2, "init", 0))
        a = layers.dense(x, W, activation=activation)
        near = np.float64(a)
        limit = (near <= low + 0.01) | (near >= high - 0.01)
        (layer,) = report.layers
        assert layer.saturated == pytest.approx(limit.mean(), abs=1e-9)
        assert layer.saturated > 0.2
        assert report.verdict == "saturated"
        assert (layer.edges[0], layer.edges[-1]) == (low, high)
        assert layer.counts.sum() == a.size


def test_dead_exploding_and_constant():
    negative = -np.ones((6, 8), np.float32)
    report = activation_statistics(
        [8, 10], x=negative, init=lambda shape, **_: np.ones(shape, np.float32), activation="relu"
    )
    assert (report.verdict, report.layers[0].dead, report.layers[0].zero) == ("dead", 1.0, 1.0)
    assert report.layers[0].counts.sum() == 60

    report = activation_statistics([64] * 5, std=1.0, activation="relu")
    assert report.verdict == "exploding"
    assert "grows by" in report.reason

    report = activation_statistics([64] * 60, std=10.0, activation="identity")
    assert report.verdict == "exploding"
    assert "not finite" in report.reason
    assert report.layers[-1].counts.sum() == 0

    report = activation_statistics([8, 8, 8], std=0.0, activation="sigmoid")  # 0.5 everywhere
    assert report.verdict == "vanishing"
    assert [layer.std for layer in report.layers] == [0.0, 0.0]


def test_uint8_input():
    x = np.arange(60, dtype=np.uint8).reshape(5, 12)
    a = activation_statistics([12, 9], x=x)
    b = activation_statistics([12, 9], x=x.astype(np.float32))
    assert a.layers[0].std == b.layers[0].std


@pytest.mark.parametrize(
    ("error", "arguments", "match"),
    [
        (ValueError, {"dims": [4]}, "dims: expected the input's width and at least one"),
        (TypeError, {"dims": 4}, "dims: expected a list of layer widths, got int"),
        (ValueError, {"dims": [4, 0]}, "dims: expected at least 1, got 0"),
        (ValueError, {"init": "best"}, r"init: expected one of small, .* got 'best'"),
        (ValueError, {"activation": "sine"}, r"activation: expected one of .*; got 'sine'"),
        (ValueError, {"std": -1.0}, "std: expected at least 0.0, got -1.0"),
        (ValueError, {"gain": -1.0}, "gain: expected a finite number of at least 0, got -1.0"),
        (ValueError, {"distribution": "cauchy"}, "distribution: expected one of 'normal'"),
        (ValueError, {"n": 0}, "n: expected at least 1, got 0"),
        (ValueError, {"bins": 0}, "bins: expected at least 1, got 0"),
        (ValueError, {"dtype": "int32"}, "dtype: expected float32 or float64, got int32"),
        (ValueError, {"n_threads": 0}, "n_threads: expected between 1 and 256, got 0"),
        (ValueError, {"x": np.ones((3, 5), np.float32)}, r"x: expected shape \(N, 4\)"),
        (ValueError, {"seed": -1}, "seed: expected an int from 0"),
    ],
)
def test_errors_name_the_argument(error, arguments, match):
    with pytest.raises(error, match=match):
        activation_statistics(**{"dims": [4, 5], **arguments})


def test_no_weights_are_stored():
    resource = pytest.importorskip("resource")
    activation_statistics([64, 64])
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    activation_statistics([8192] * 3, n=1)  # 268 MB a layer
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before < 64e6


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_ends_it_within_a_fifth_of_a_second():
    sent = []

    def interrupt():
        time.sleep(0.3)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        activation_statistics([60000, 60000], n=1)  # seconds
    late = time.monotonic() - sent[0]
    thread.join()
    assert late < 0.2 + 0.3  # the slack is for a loaded machine
