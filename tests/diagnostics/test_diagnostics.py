"""Activation statistics: the weights, gradients and reports of networks, and errors."""

from __future__ import annotations

import itertools
import os

import memory
import numpy as np
import pytest
import reference_norm
from interrupts import interrupted

import fanin
from fanin import initializers, layers
from fanin.diagnostics import activation_statistics, activations
from fanin.random import Generator, package_generator


def saved(layer):
    """The numbers of a layer, to compare bits."""
    single = (layer.mean, layer.std, layer.saturated, layer.zero, layer.dead)
    return (*single, layer.gradient, layer.weight_gradient, layer.counts.tolist())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", layers.ACTIVATIONS)
@pytest.mark.parametrize("n", [7, 150])
@pytest.mark.usefixtures("threads")
def test_gradients_are_those_of_stored_weights(n, activation, dtype):
    dims = [70, 133, 64, 17]
    arguments = {"n": n, "activation": activation, "seed": 3, "dtype": dtype}
    report = activation_statistics(dims, gradients=True, init="kaiming", **arguments)
    plain = activation_statistics(dims, init="kaiming", **arguments)
    given = activation_statistics(dims, gradients=True, init=initializers.kaiming, **arguments)
    assert [saved(a)[:5] for a in report.layers] == [saved(a)[:5] for a in plain.layers]
    assert [saved(a) for a in report.layers] == [saved(a) for a in given.layers]
    a, caches = Generator(3).standard_normal((n, 70), dtype=dtype).astype("float64"), []
    for number, shape in enumerate(itertools.pairwise(dims)):
        W = initializers.kaiming(shape, rng=package_generator(3, "init", number), dtype=dtype)
        a, cache = layers.dense_forward(a, W.astype("float64"), activation=activation)
        caches.append(cache)
    g = package_generator(3, "init", 3).standard_normal((n, 17), dtype=dtype).astype("float64")
    near = 2e-5 if dtype == "float32" else 1e-10
    for cache, layer in zip(caches[::-1], report.layers[::-1], strict=True):
        assert layer.gradient == pytest.approx(g.std(), rel=near)
        g, dW, _ = layers.dense_backward(g, cache)
        assert layer.weight_gradient == pytest.approx(dW.std() / n, rel=near)


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.usefixtures("threads")
def test_norms_and_their_gradients_are_those_of_the_formula(activation, norm):
    dims, axis = [70, 133, 64, 17], 1 if norm == "layer" else 0
    arguments = {"n": 23, "activation": activation, "norm": norm, "seed": 3, "dtype": "float64"}
    report = activation_statistics(dims, gradients=True, **arguments)
    plain = activation_statistics(dims, **arguments)
    assert [saved(a)[:5] for a in report.layers] == [saved(a)[:5] for a in plain.layers]
    a, steps = Generator(3).standard_normal((23, 70), dtype="float64"), []
    for number, shape in enumerate(itertools.pairwise(dims)):
        W = initializers.xavier(shape, rng=package_generator(3, "init", number), dtype="float64")
        z = a @ W
        y = reference_norm.norm(z, np.ones(shape[1]), np.zeros(shape[1]), axis)
        steps.append((a, W, z, 1 - np.tanh(y) ** 2 if activation == "tanh" else y > 0))
        a = np.tanh(y) if activation == "tanh" else np.maximum(y, 0)
        assert report.layers[number].std == pytest.approx(a.std(), rel=1e-10)
    g = package_generator(3, "init", 3).standard_normal((23, 17), dtype="float64")
    for (a, W, z, slope), layer in zip(steps[::-1], report.layers[::-1], strict=True):
        assert layer.gradient == pytest.approx(g.std(), rel=1e-10)
        dz = reference_norm.norm_backward(g * slope, z, np.ones(z.shape[1]), axis)[0]
        assert layer.weight_gradient == pytest.approx((a.T @ dz).std() / 23, rel=1e-10)
        g = dz @ W.T


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_a_norm_takes_the_scale_of_the_weights_out(norm):
    """Five times the weights, the same activations, and a fifth of the weights' gradient."""
    small, large = (
        activation_statistics([400] * 5, std=std, norm=norm, dtype="float64", gradients=True)
        for std in (0.2, 1.0)
    )
    for a, b in zip(small.layers, large.layers, strict=True):
        assert a.std == pytest.approx(b.std, rel=1e-5)
        assert a.weight_gradient == pytest.approx(5 * b.weight_gradient, rel=1e-4)


@pytest.mark.row("I3")
@pytest.mark.parametrize("loss", ["softmax", "svm", "mse"])
@pytest.mark.usefixtures("threads")
def test_the_report_of_a_network(loss, monkeypatch):
    rows = Generator(2).integers(0, 256, (500, 30)).astype(np.uint8)
    y = Generator(3).integers(0, 4, 500)
    net = fanin.MLP([30, 20, 25, 4], activation=["tanh", "gelu"], loss=loss, dtype="float64")
    net.fit(rows, y, epochs=2, progress=False, preprocess="standardize")
    report = net.activation_report(rows, y)
    forward = net.activation_report(rows)
    assert [saved(a)[:5] for a in forward.layers] == [saved(a)[:5] for a in report.layers]
    assert {a.gradient for a in forward.layers} == {None}
    scores = net.scores(rows)
    last = report.layers[-1]
    assert last.std == pytest.approx(scores.std(), rel=1e-12)
    np.testing.assert_array_equal(last.counts, np.histogram(scores, last.edges)[0])
    _, gradients = net.loss_and_grads(rows, y)
    for number, layer in enumerate(report.layers, 1):
        assert layer.weight_gradient == pytest.approx(gradients[f"W{number}"].std(), rel=1e-9)
        assert layer.counts.sum() == 500 * net.dims[number]
    dscores = fanin.losses.get(loss)(scores, y)[1] * 500
    assert last.gradient == pytest.approx(dscores.std(), rel=1e-9)
    monkeypatch.setattr(activations, "BLOCK", 1)  # 64 rows at a time
    for whole, parts in zip(report.layers, net.activation_report(rows, y).layers, strict=True):
        np.testing.assert_allclose(saved(whole)[:7], saved(parts)[:7], rtol=1e-10, atol=1e-13)
        np.testing.assert_array_equal(whole.counts, parts.counts)


@pytest.mark.row("I3")
@pytest.mark.parametrize("norm", [None, "layer", "batch"])
def test_the_network_of_fresh_weights_is_that_of_activation_statistics(norm):
    x = Generator(1).standard_normal((40, 30))
    net = fanin.MLP([30, 40, 50, 3], activation="tanh", init="xavier", norm=norm, seed=5)
    hidden = net.activation_report(x).layers[:2]
    stack = activation_statistics([30, 40, 50], x=x, norm=norm, seed=5).layers
    assert [saved(a) for a in hidden] == [saved(a) for a in stack]


@pytest.mark.parametrize("mode", ["inverted", "vanilla"])
def test_report_passes_through_the_network_as_prediction_does(mode):
    net = fanin.MLP([64, 40, 30, 10], keep=[0.5, 0.8], dropout_mode=mode, dtype="float64")
    (X, y), _ = fanin.datasets.load("digits")
    scores, (_, grads) = net.scores(X), net.loss_and_grads(X, y)
    layers = net.activation_report(X, y).layers
    np.testing.assert_allclose(layers[-1].std, scores.std(), rtol=1e-10)
    expected = [grads[f"W{i}"].std() for i in (1, 2, 3)]
    np.testing.assert_allclose([layer.weight_gradient for layer in layers], expected, rtol=1e-10)


@pytest.mark.row("I3")
def test_verdicts_on_networks():
    (X, y), _ = fanin.datasets.load("digits")
    x = ((X.reshape(len(X), -1) - 4.9) / 6).astype(np.float32)

    def verdict(activation, init="xavier", depth=8, data=x, **options):
        dims = [64, *[100] * depth, 10]
        net = fanin.MLP(dims, activation=activation, init=init, **options)
        return net.activation_report(data, y).verdict

    assert verdict("tanh") == "healthy"
    assert verdict("relu", "kaiming") == "healthy"
    assert verdict("relu") == "vanishing"
    assert verdict("sigmoid") == "vanishing"
    assert verdict("tanh", "small_random") == "vanishing"
    assert verdict("tanh", data=30 * x) == "saturated"
    assert verdict("relu", "kaiming", depth=1) == "healthy"
    net = fanin.MLP([64, 100, 100, 10])
    net.fit(x, y, epochs=10, progress=False)
    assert net.activation_report(x, y).verdict == "healthy"
    net.params["b1"][:] = -100
    assert net.activation_report(x, y).verdict == "dead"
    net.params["b1"][:] = 0
    net.params["W1"][:] = 3e38
    assert net.activation_report(x, y).verdict == "exploding"
    linear = fanin.MLP([64, 10]).activation_report(x, y)
    assert (linear.verdict, len(linear.layers)) == ("healthy", 1)


def test_one_row_one_column_and_a_table():
    report = fanin.MLP([1, 1, 2]).activation_report(np.ones((1, 1), np.float32), np.array([1]))
    assert len(report.layers) == 2
    assert report.layers[1].units == 2
    report = activation_statistics([1, 1], 1, gradients=True)
    assert report.layers[0].std == 0
    lines = activation_statistics([50] * 3, gradients=True).table().splitlines()
    assert [len(line) for line in lines[:3]] == [len(lines[0])] * 3
    assert lines[-1].startswith("healthy: std ")
    assert " - " in activation_statistics([50] * 3).table().splitlines()[1]


@pytest.mark.parametrize(
    ("error", "arguments", "match"),
    [
        (ValueError, {"X": np.ones((3, 5), np.float32)}, r"X: expected shape \(N, 4\)"),
        (ValueError, {"X": np.full((3, 4), np.nan, np.float32)}, "X: expected finite values"),
        (ValueError, {"y": np.zeros(2, int)}, r"y: expected shape \(3,\) of labels"),
        (ValueError, {"y": np.full(3, 7)}, "y: expected labels in 0 .. 1, got 7"),
        (ValueError, {"bins": 0}, "bins: expected at least 1"),
        (ValueError, {"n_threads": 0}, "n_threads: expected between 1"),
    ],
)
def test_errors_of_a_networks_report(error, arguments, match):
    net = fanin.MLP([4, 3, 2])
    with pytest.raises(error, match=match):
        net.activation_report(**{"X": np.ones((3, 4), np.float32), **arguments})


def test_gradients_that_are_not_finite():
    report = activation_statistics([64] * 40, std=10.0, activation="relu", gradients=True, n=2)
    assert report.verdict == "exploding"
    assert "not finite" in report.reason
    report = activation_statistics([64] * 4, std=0.0, activation="sigmoid", gradients=True)
    assert (report.verdict, report.layers[0].gradient) == ("vanishing", 0.0)


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


@pytest.mark.parametrize("norm", [None, "layer", "batch"])
def test_numbers_do_not_depend_on_threads(norm):
    def numbers(n_threads):
        report = activation_statistics(
            [500, 700, 300], n=40, norm=norm, gradients=True, n_threads=n_threads
        )
        return [saved(layer) for layer in report.layers]

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
        (ValueError, {"norm": "group"}, "norm: expected one of layer, batch; got 'group'"),
        (ValueError, {"norm": True}, "norm: expected one of layer, batch; got True"),
        (ValueError, {"norm": "batch", "n": 1}, "n: expected at least two rows with norm='batch'"),
        (
            ValueError,
            {"norm": "batch", "x": np.ones((1, 4), np.float32)},
            "x: expected at least two rows with norm='batch', got 1",
        ),
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
    pytest.importorskip("resource")
    activation_statistics([64, 64])
    before = memory.begin()
    activation_statistics([8192] * 3, n=1)  # 256 MiB a layer
    assert memory.peak() - before < 64


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_ends_it_amid_a_layer():
    setup = "from fanin.diagnostics import activation_statistics"
    work = "activation_statistics([60000, 60000], n=1, n_threads=2)"
    interrupted(setup, work, native="random_dense", inside=True)
