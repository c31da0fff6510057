"""`NetClassifier` and `NetRegressor`: the network's options as parameters, and the defaults."""

from __future__ import annotations

import inspect
from dataclasses import fields

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

import scipy.sparse
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    make_multilabel_classification,
)
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from fanin import MLP, callbacks, optim
from fanin.estimators import EnsembleClassifier, MLPClassifier, NetClassifier, NetRegressor
from fanin.network.options import NETWORK_OPTIONS, FitOptions


@pytest.mark.row("B4")
def test_all_options_are_parameters():
    own = {"hidden_layer_sizes", "early_stopping", "validation_fraction", "random_state"}
    ours = {"dtype", "epochs", "schedule", "preprocess", "progress"}  # defaults
    of_fit = {f.name: f.default for f in fields(FitOptions)}
    known = {n: inspect.signature(MLP).parameters[n].default for n in NETWORK_OPTIONS} | of_fit
    for name in ("validation_data", "sample_weight", "initial_epoch", "standardize_targets"):
        known.pop(name)
    of_values = {"huber_delta", "quantiles"}
    of_classes = {"class_weight", "label_smoothing", "temperature"}
    ours.add("loss")
    for kind, absent in ((NetClassifier, of_values), (NetRegressor, of_classes)):
        given = inspect.signature(kind).parameters
        assert set(given) == (set(known) | own) - absent
        assert set(kind().get_params()) == set(given)
        for name in set(given) - own - ours:
            assert given[name].default == known[name], name
    with pytest.raises(TypeError, match="unheard_of"):
        NetClassifier(unheard_of=1)


@pytest.mark.parametrize(("load", "least"), [(load_digits, 0.95), (load_breast_cancer, 0.94)])
def test_defaults_classify_unscaled_data(load, least):
    X, y = load(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0, stratify=y)
    net = NetClassifier(random_state=0).fit(X, y)
    assert net.score(X_test, y_test) >= least
    assert len(net.history_.history["val_loss"]) == net.n_iter_


def test_defaults_predict_targets_in_their_units():
    X, y = load_diabetes(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, 1e4 * y, random_state=0)
    assert NetRegressor(random_state=0).fit(X, y).score(X_test, y_test) > 0.3
    two = NetRegressor(random_state=0).fit(X, np.column_stack([y, -y]))
    assert two.predict(X_test).shape == (len(y_test), 2)


def test_options_reach_the_network():
    X, y = load_digits(return_X_y=True)
    rate = optim.Adam(3e-3)
    net = NetClassifier(
        (32, 16),
        activation="gelu",
        keep=0.9,
        norm="layer",
        dtype="float32",
        optimizer=rate,
        epochs=3,
        reg=1e-4,
        random_state=0,
    ).fit(X, y)
    assert net.net_.dims == [64, 32, 16, 10]
    assert net.net_.activation == ["gelu", "gelu"]
    assert net.net_.norm == "layer"
    assert net.net_.dtype == np.float32
    assert rate.t == 0  # a parameter stays as it was given
    assert net.n_iter_ == 3


def test_one_seed_one_network():
    X, y = load_digits(return_X_y=True)
    one, two = (NetClassifier(random_state=3, epochs=2).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(one.net_.arena, two.net_.arena)


def test_class_weight_is_a_sample_weight():
    X, y = load_breast_cancer(return_X_y=True)
    names = np.array(["bad", "good"])[y]
    options = {"random_state": 0, "epochs": 5, "early_stopping": False}
    by_class = NetClassifier(class_weight={"bad": 3.0, "good": 0.5}, **options).fit(X, names)
    by_row = NetClassifier(**options).fit(X, names, np.where(y == 0, 3.0, 0.5))
    np.testing.assert_array_equal(by_class.net_.arena, by_row.net_.arena)


def test_rows_of_weight_0_are_absent():
    X, y = load_digits(return_X_y=True)
    weights = np.ones(len(y))
    weights[::3] = 0
    kept = weights > 0
    options = {"random_state": 0, "epochs": 2}
    weighted = NetClassifier(**options).fit(X, y, weights)
    fewer = NetClassifier(**options).fit(X[kept], y[kept], weights[kept])
    np.testing.assert_array_equal(weighted.net_.arena, fewer.net_.arena)
    with pytest.raises(ValueError, match=r"(?i)sample.weight"):
        NetClassifier().fit(X, y, np.zeros(len(y)))


def test_validation_data_decide_when_to_stop():
    X, y = load_digits(return_X_y=True)
    watch = callbacks.EarlyStopping(patience=2)
    net = NetClassifier(random_state=0, epochs=100, callbacks=[watch])
    net.fit(X[:300], y[:300], validation_data=(X[300:600], y[300:600]))
    assert net.n_iter_ < 100
    assert watch.best_epoch is None  # a copy was used


def test_partial_fit_goes_on():
    X, y = load_digits(return_X_y=True)
    net = NetClassifier(random_state=0)
    with pytest.raises(ValueError, match="classes"):
        net.partial_fit(X, y)
    for _ in range(20):
        net.partial_fit(X, y, classes=np.arange(10))
    assert net.score(X, y) > 0.97
    with pytest.raises(ValueError, match="labels in classes_"):
        net.partial_fit(X, y + 1)


@pytest.mark.parametrize("kind", [NetClassifier, MLPClassifier])
@pytest.mark.parametrize("weighted", [False, True])
def test_chunks_of_one_class(kind, weighted):
    """A chunk, the first one too, may lack classes that are named, or be a single row."""
    X, y = load_digits(return_X_y=True)
    X, y = X[y < 3], np.array(["a", "b", "c"])[y[y < 3]]
    net = kind(random_state=0)
    order = np.argsort(y == "a", kind="stable")[::-1]  # "a" first
    for _ in range(4):
        for chunk in np.array_split(order, 8):
            weights = np.where(y[chunk] == "a", 1.0, 2.0) if weighted else None
            net.partial_fit(X[chunk], y[chunk], weights, classes=["a", "b", "c"])
    assert net.score(X, y) > 0.8
    one = kind(random_state=0).partial_fit(X[:1], y[:1], classes=["a", "b", "c"])
    assert one.predict_proba(X[:4]).shape == (4, 3)


@pytest.mark.parametrize("kind", [NetClassifier, MLPClassifier])
def test_chunks_of_several_labels_that_all_rows_have(kind):
    X, y = make_multilabel_classification(100, 5, n_classes=3, random_state=0)
    some = y[:, 0] == 1
    net = kind(random_state=0).partial_fit(X[some][:1], y[some][:1], classes=[0, 1, 2])
    net.partial_fit(X[some], y[some]).partial_fit(X, y)
    assert net.predict(X).shape == y.shape


@pytest.mark.parametrize("loss", ["svm", "logistic", "mse"])
def test_a_first_chunk_of_one_class_with_other_losses(loss):
    X, y = load_breast_cancer(return_X_y=True)
    net = NetClassifier(loss=loss, random_state=0)
    net.partial_fit(X[y == 1], y[y == 1], classes=[0, 1])
    for _ in range(5):
        net.partial_fit(X, y)
    assert net.score(X, y) > 0.8


def test_what_partial_fit_cannot_know():
    X, y = load_breast_cancer(return_X_y=True)
    for kind in (NetClassifier, MLPClassifier):
        with pytest.raises(ValueError, match="class_weight: expected a dict in partial_fit"):
            kind(class_weight="balanced").partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes: expected at least 2 classes, got \[1\]"):
        NetClassifier().partial_fit(X[y == 1], y[y == 1], classes=[1])
    with pytest.raises(ValueError, match="y: expected at least 2 classes, got 1 class, 1"):
        NetClassifier().fit(X[y == 1], y[y == 1])
    with pytest.raises(ValueError, match=r"sample_weight: .*at least 2 classes.*got only 1"):
        NetClassifier().fit(X, y, y)


def test_a_rare_class_may_be_set_aside():
    """The one row of a class is in the validation rows of one of these seeds."""
    X, y = np.random.default_rng(0).normal(size=(200, 2)), np.arange(200) == 0
    for seed in range(20):
        net = NetClassifier(2, epochs=1, random_state=seed, early_stopping=True).fit(X, y)
        assert net.classes_.tolist() == [False, True]


@pytest.mark.parametrize(
    ("rows", "options", "aside"),
    [
        (99, {}, None),
        (100, {}, 20),
        (190, {}, 20),
        (205, {}, 21),
        (190, {"validation_fraction": 0.3}, 57),
        (190, {"validation_fraction": 0.01}, None),
        (190, {"early_stopping": False}, None),
        (50, {"early_stopping": True}, 5),
    ],
)
def test_how_many_rows_are_set_aside(rows, options, aside):
    rng = np.random.default_rng(rows)
    X, y = rng.normal(size=(rows, 3)), rng.integers(0, 2, rows)
    net = NetClassifier(4, epochs=2, random_state=0, **options)
    _, held_out, _ = net._parts(X, y, None, None)
    assert aside == (None if held_out is None else len(held_out))


def test_little_data_without_a_relation_are_not_learnt_by_heart():
    """Without validation rows the loss of new rows is 1.8 times a coin's; 20 rows may mislead."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1120, 300)), rng.integers(0, 2, 1120)
    ratios = []
    for seed in range(4):
        net = NetClassifier(random_state=seed).fit(X[:120], y[:120])
        ratios.append(log_loss(y[120:], net.predict_proba(X[120:])) / np.log(2))
    assert np.median(ratios) < 1.1


def test_squared_error_of_classes():
    """Its predictions are values, the highest of which is the class."""
    X, y = load_digits(return_X_y=True)
    names = np.array(list("abcdefghij"))[y]
    options = {"loss": "mse", "random_state": 0, "epochs": 10}
    for net in (NetClassifier(**options), EnsembleClassifier(n_members=2, **options)):
        assert net.fit(X, names).score(X, names) > 0.9
        with pytest.raises(ValueError, match="loss: expected one of softmax, svm, logistic, mse"):
            net.set_params(loss="huber").fit(X, names)


def test_other_losses():
    X, y = load_digits(return_X_y=True)
    net = NetClassifier(loss="svm", random_state=0, epochs=30).fit(X, y)
    assert net.score(X, y) > 0.95
    assert not hasattr(net, "predict_proba")


def test_few_rows():
    net = NetClassifier(random_state=0, epochs=50).fit([[0.0], [1.0], [2.0]], ["a", "b", "c"])
    assert net.net_.dtype == np.float64
    assert net.predict([[0.0], [2.0]]).tolist() == ["a", "c"]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # 200 epochs are enough here
@pytest.mark.parametrize("kind", [NetClassifier, MLPClassifier])
def test_products_in_bf16(kind):
    """Few rows too, which 'auto' else computes in float64."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:800] / 16, y[:800]
    options = {"random_state": 0, "hidden_layer_sizes": (50,)}
    net, plain = kind(compute="bf16", **options).fit(X, y), kind(**options).fit(X, y)
    assert net.score(X, y) > 0.95
    assert not np.array_equal(net.predict_proba(X), plain.predict_proba(X))
    with pytest.raises(ValueError, match=r"compute: expected None with .*float64"):
        kind(compute="bf16", dtype="float64", **options).fit(X, y)
    with pytest.raises(ValueError, match="compute"):
        kind(compute="bf8", **options).fit(X, y)


def test_two_classes_with_one_output():
    X, y = load_breast_cancer(return_X_y=True)
    names = np.array(["bad", "good"])[y]
    net = NetClassifier(loss="logistic", random_state=0, epochs=5).fit(X, names)
    assert net.net_.dims[-1] == 1
    assert net.score(X, names) > 0.9
    np.testing.assert_allclose(net.predict_proba(X).sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.exp(net.predict_log_proba(X)), net.predict_proba(X), rtol=1e-6)
    with pytest.raises(ValueError, match="loss: expected 2 classes with 'logistic', got 10"):
        NetClassifier(loss="logistic").fit(*load_digits(return_X_y=True))


def test_several_labels():
    X, y = make_multilabel_classification(250, 20, n_classes=4, random_state=0)
    net = NetClassifier(random_state=0, epochs=50).fit(X, y)
    assert net.net_.loss_name == "logistic"
    assert net.predict(X).shape == y.shape
    assert (net.predict(X) == y).mean() > 0.8
    np.testing.assert_array_equal(net.predict_proba(X) > 0.5, net.predict(X) == 1)
    again = NetClassifier(random_state=0, epochs=50).fit(X, scipy.sparse.csr_matrix(y))
    np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    net.partial_fit(X, y)
    with pytest.raises(ValueError, match="loss: expected 'logistic' of several labels"):
        NetClassifier(loss="svm").fit(X, y)


@pytest.mark.parametrize(
    "loss", ["mse", "half_squared_error", "mae", "huber", "quantile", "poisson"]
)
def test_losses_of_values(loss):
    X, y = load_diabetes(return_X_y=True)
    net = NetRegressor(loss=loss, random_state=0, epochs=30).fit(X, y)
    assert net.score(X, y) > 0.4
    assert 100 < net.predict(X).mean() < 200  # in the units of y


def test_quantiles():
    X, y = load_diabetes(return_X_y=True)
    net = NetRegressor(loss="quantile", quantiles=[0.05, 0.5, 0.95], random_state=0).fit(X, y)
    low, middle, high = net.predict(X).T
    assert 0.8 < ((low <= y) & (y <= high)).mean() < 0.97
    assert (low <= middle).all()
    assert net.score(X, y) > 0.4
    two = NetRegressor(loss="quantile", quantiles=[0.1, 0.9], random_state=0, epochs=20)
    both = two.fit(X, np.column_stack([y, 1000 * y])).predict(X)
    assert both.shape == (len(y), 2, 2)
    assert both[:, 1].mean() > 100 * both[:, 0].mean()
