"""What `MLPClassifier` and `MLPRegressor` have beyond scikit-learn's."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning

from fanin import callbacks, schedules
from fanin.estimators import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.row("B4"),
]


def digits(n=500):
    X, y = load_digits(return_X_y=True)
    return X[:n] / 16, y[:n]


def classifier(**options):
    options = {"hidden_layer_sizes": (16, 16), "max_iter": 8, "random_state": 0} | options
    return MLPClassifier(**options)


def weights(estimator):
    extra = estimator.extra_parameters_.values()
    return np.concatenate([a.ravel() for a in (*estimator.coefs_, *estimator.intercepts_, *extra)])


NETWORKS = [
    {"keep": 0.9},
    {"keep": [0.9, 0.7]},
    {"activation": ["gelu", "prelu"]},
    {"activation": "silu", "norm": "layer"},
    {"norm": "batch", "keep": 0.9},
    {"residual": True},
]


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("options", NETWORKS, ids=repr)
def test_networks_train_and_go_on_after_a_pickle(options, solver):
    X, y = digits()
    model = classifier(solver=solver, learning_rate_init=0.01, **options).fit(X, y)
    assert model.loss_ < model.loss_curve_[0]
    again = classifier(solver=solver, learning_rate_init=0.01, **options).fit(X, y)
    np.testing.assert_array_equal(weights(again), weights(model))
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    for one in (model, twin):
        one.partial_fit(X, y)
    np.testing.assert_array_equal(weights(twin), weights(model))


def test_parameters_of_norms_are_attributes():
    X, y = digits()
    model = classifier(norm="batch", activation=["relu", "prelu"]).fit(X, y)
    assert list(model.extra_parameters_) == [
        *("gamma1", "beta1", "running_mean1", "running_var1"),
        *("gamma2", "beta2", "running_mean2", "running_var2", "alpha2"),
    ]
    assert [b.size for b in model.intercepts_] == [0, 0, 10]
    expected = model.predict_proba(X)
    model.extra_parameters_["gamma1"][:] = 0
    assert not np.array_equal(model.predict_proba(X), expected)


def test_dropout_is_off_in_prediction():
    X, y = digits()
    model = classifier(keep=0.5, max_iter=2).fit(X, y)
    plain = classifier(max_iter=2).fit(X, y)
    plain.coefs_, plain.intercepts_ = model.coefs_, model.intercepts_
    np.testing.assert_array_equal(plain.predict_proba(X), model.predict_proba(X))


def test_class_weight_is_a_sample_weight():
    X, y = digits()
    given = {0: 3.0, 5: 0.5}
    rows = np.array([given.get(label, 1.0) for label in y])
    for options in ({}, {"early_stopping": True, "validation_fraction": 0.2}):
        by_class = classifier(class_weight=given, **options).fit(X, y)
        by_row = classifier(**options).fit(X, y, rows)
        np.testing.assert_array_equal(weights(by_class), weights(by_row))
    one, two = classifier(class_weight=given), classifier()
    for _ in range(2):
        one.partial_fit(X, y, classes=np.arange(10))
        two.partial_fit(X, y, rows, np.arange(10))
    np.testing.assert_array_equal(weights(one), weights(two))
    with pytest.raises(ValueError, match="class_weight: expected a dict in partial_fit"):
        classifier(class_weight="balanced").partial_fit(X, y, classes=np.arange(10))
    labels = np.eye(2, dtype=int)[y % 2]
    classifier(class_weight=[{0: 1, 1: 2}, {0: 1, 1: 1}]).fit(X, labels)


def test_schedule_is_a_factor_of_the_rate():
    X, y = digits()
    told = []
    see = callbacks.LambdaCallback(on_epoch_end=lambda _, logs: told.append(logs["lr"]))
    half = schedules.get(lambda _: 0.5)
    same = classifier(solver="sgd", learning_rate_init=0.005).fit(X, y)
    model = classifier(solver="sgd", learning_rate_init=0.01, schedule=half).fit(X, y)
    np.testing.assert_allclose(weights(model), weights(same), rtol=1e-10, atol=1e-12)
    classifier(schedule="cosine", callbacks=[see]).fit(X, y)
    assert told[0] > told[-1] >= 0
    with pytest.raises(ValueError, match="schedule: expected learning_rate='constant'"):
        classifier(solver="sgd", schedule="cosine", learning_rate="adaptive").fit(X, y)


def test_validation_data_are_scored_and_decide():
    X, y = digits(700)
    held = X[500:], y[500:]
    plain = classifier(max_iter=5).fit(X[:500], y[:500])
    told = classifier(max_iter=5).fit(X[:500], y[:500], validation_data=held)
    np.testing.assert_array_equal(weights(told), weights(plain))
    assert told.validation_scores_[-1] == told.score(*held)
    assert told.best_validation_score_ == max(told.validation_scores_)
    assert told.best_loss_ == plain.best_loss_
    p = told.predict_proba(held[0])[np.arange(200), held[1]]
    assert told.validation_loss_curve_[-1] == pytest.approx(-np.log(p).mean(), rel=1e-12)
    stops = classifier(max_iter=300, early_stopping=True, n_iter_no_change=3)
    stops.fit(X[:500], y[:500], validation_data=held)
    assert stops.n_iter_ < 300
    assert stops.score(*held) == stops.best_validation_score_
    with pytest.raises(ValueError, match=r"validation_data: expected labels in classes_"):
        classifier().fit(X[:500], y[:500], validation_data=(X, y + 1))


def test_validation_data_of_a_regressor():
    X, y = load_diabetes(return_X_y=True)
    y = np.column_stack([y / 100, y / 50])
    weight = np.linspace(1, 2, 100)
    model = MLPRegressor(max_iter=5, random_state=0)
    model.fit(X[:300], y[:300], validation_data=(X[300:400], y[300:400], weight))
    assert model.validation_scores_[-1] == model.score(X[300:400], y[300:400], weight)
    squares = np.square(model.predict(X[300:400]) - y[300:400]).mean(axis=1)
    expected = np.average(squares, weights=weight) / 2
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-12)


def test_partial_fit_stops_early():
    X, y = digits(700)
    held = X[500:], y[500:]
    model = classifier(early_stopping=True, n_iter_no_change=2, learning_rate_init=0.01)
    calls = 0
    while not getattr(model, "stopped_", False):
        model.partial_fit(X[:500], y[:500], classes=np.arange(10), validation_data=held)
        calls += 1
    assert 3 < calls < 100
    assert model.score(*held) == model.best_validation_score_ == max(model.validation_scores_)
    before = weights(model)
    with pytest.warns(UserWarning, match="early stopping has ended"):
        model.partial_fit(X[:500], y[:500], validation_data=held)
    np.testing.assert_array_equal(weights(model), before)


def test_callbacks_are_copied_and_stop():
    X, y = digits()
    stop = callbacks.EarlyStopping("val_loss", patience=0, mode="max")
    model = classifier(callbacks=[stop], max_iter=20).fit(X, y, validation_data=(X, y))
    assert model.n_iter_ == 2
    assert stop.best_epoch is None
    see = callbacks.LambdaCallback(on_train_batch_end=print)
    with pytest.raises(ValueError, match="callbacks: expected none"):
        classifier(callbacks=[see]).fit(X, y)


def test_threads_and_progress_change_no_bit():
    X, y = digits()
    one = classifier(n_threads=1, progress=True).fit(X, y)
    two = classifier(n_threads=2).fit(X, y)
    np.testing.assert_array_equal(weights(one), weights(two))


def test_dtype():
    X, y = digits()
    model = classifier(dtype="float32").fit(X, y)
    assert {a.dtype for a in model.coefs_} == {np.dtype(np.float32)}
    same = classifier().fit(X.astype(np.float32), y)
    np.testing.assert_allclose(weights(model), weights(same), atol=1e-4)
    assert classifier(dtype="float64").fit(X.astype(np.float32), y).coefs_[0].dtype == np.float64


@pytest.mark.parametrize("options", [{"keep": 0.5}, {"norm": "batch"}, {"schedule": "cosine"}])
def test_lbfgs_refuses_what_takes_minibatches(options):
    X, y = digits()
    with pytest.raises(ValueError, match=f"{next(iter(options))}: expected solver"):
        classifier(solver="lbfgs", **options).fit(X, y)
    with pytest.raises(ValueError, match="validation_data: expected solver"):
        classifier(solver="lbfgs").fit(X, y, validation_data=(X, y))


class Crash(callbacks.Callback):
    after = -1  # epochs

    def on_epoch_end(self, epoch, _=None):
        if epoch == self.after:
            raise RuntimeError("crash")


@pytest.mark.parametrize(
    "options",
    [
        {"keep": 0.9, "schedule": "cosine"},
        {"solver": "sgd", "early_stopping": True, "learning_rate": "invscaling"},
    ],
    ids=repr,
)
def test_a_killed_fit_goes_on(options, tmp_path, monkeypatch):
    X, y = digits()

    def run(**kept):
        own = {"callbacks": [Crash()], "random_state": np.random.RandomState(3)}
        return classifier(**{**options, **own, **kept}).fit(X, y)

    kept = {"checkpoint": tmp_path / "run", "every": 1, "resume": True}
    whole = run()
    monkeypatch.setattr(Crash, "after", 5)
    with pytest.raises(RuntimeError, match="crash"):
        run(**kept)
    monkeypatch.setattr(Crash, "after", -1)
    for resumed in (run(**kept), run(**kept)):  # the second one is finished
        np.testing.assert_array_equal(weights(resumed), weights(whole))
        assert resumed.loss_curve_ == whole.loss_curve_
        assert resumed.validation_scores_ == whole.validation_scores_
    with pytest.raises(ValueError, match=r"holds another run: .*alpha"):
        run(**kept, alpha=0.5)
    with pytest.raises(ValueError, match="resume=True"):
        run(**kept | {"resume": False})


def test_bad_options():
    X, y = digits(100)
    for options, name in (
        ({"keep": [0.5]}, "keep: expected one value or 2"),
        ({"activation": ["relu"]}, "activation: expected one value or 2"),
        ({"activation": ["relu", "nope"]}, "activation: expected one of"),
        ({"norm": "batch", "batch_size": 99}, "batch_size: expected at least 2 rows"),
    ):
        with pytest.raises(ValueError, match=name):
            classifier(**options).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(TypeError, match="unheard_of"):
            classifier(unheard_of=1)


def regression():
    X, y = load_diabetes(return_X_y=True)
    return 20 * X, y / 100


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile"])
def test_losses_of_values(loss, solver):
    X, y = regression()
    options = {"solver": solver, "learning_rate_init": 0.01, "max_iter": 60, "alpha": 0}
    model = MLPRegressor(loss=loss, random_state=0, **options).fit(X, y)
    assert model.score(X, y) > 0.4
    e = y - model.predict(X)
    by_hand = {
        "absolute_error": np.abs(e),
        "huber": np.where(np.abs(e) <= 1, e**2 / 2, np.abs(e) - 0.5),
        "quantile": np.abs(e) / 2,
    }[loss].mean()
    if solver == "lbfgs":
        assert model.loss_ == pytest.approx(by_hand, rel=1e-9)
    else:
        assert model.loss_ == pytest.approx(by_hand, rel=0.1)  # of an epoch's changing weights


def test_several_quantiles_are_an_interval():
    X, y = regression()
    levels = [0.05, 0.5, 0.95]
    options = {"learning_rate_init": 0.01, "max_iter": 100, "random_state": 0}
    model = MLPRegressor(loss="quantile", quantiles=levels, **options).fit(X, y)
    low, middle, high = model.predict(X).T
    assert ((low <= middle) & (middle <= high)).all()
    assert 0.8 < ((low <= y) & (y <= high)).mean() < 0.97
    assert model.score(X, y) > 0.4
    two = MLPRegressor(loss="quantile", quantiles=levels, **options | {"max_iter": 2})
    assert two.fit(X, np.column_stack([y, y])).predict(X).shape == (len(y), 2, 3)
    with pytest.raises(ValueError, match="quantiles"):
        MLPRegressor(loss="quantile", quantiles=[0.9, 0.1]).fit(X, y)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_hinge(solver):
    X, y = digits()
    for labels in (y, np.where(y > 4, "high", "low")):
        model = classifier(loss="hinge", solver=solver, max_iter=40, learning_rate_init=0.01).fit(
            X, labels
        )
        assert model.score(X, labels) > 0.9
        assert not hasattr(model, "predict_proba")
    with pytest.raises(ValueError, match="loss: expected 'log_loss' of several labels"):
        classifier(loss="hinge").fit(X, np.eye(2, dtype=int)[y % 2])
