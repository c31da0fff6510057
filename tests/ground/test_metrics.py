"""Metrics are scikit-learn's, and one table says which way each is better."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import fanin
from fanin import metrics


def oracle() -> Any:
    return pytest.importorskip("sklearn.metrics")


def labels(seed: int, classes: int, n: int = 200, absent: int | None = None) -> Any:
    """Labels, predictions, probabilities with ties, and weights some of which are 0."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(classes, 0.7))
    y = rng.choice(classes, n, p=share)
    if absent is not None:
        y[y == absent] = (absent + 1) % classes
    scores = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[y]
    p = np.exp(np.round(scores, 1))  # ties
    p /= p.sum(axis=1, keepdims=True)
    w = rng.integers(0, 4, n) * rng.random()
    return y, p.argmax(axis=1), p, w


CASES = [(0, 2, None), (1, 2, None), (2, 3, None), (3, 5, 2), (4, 5, 4), (5, 5, 0), (6, 26, 7)]


@pytest.mark.parametrize(("seed", "classes", "absent"), CASES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_classification_is_scikit_learns(
    seed: int, classes: int, absent: int | None, weighted: bool
) -> None:
    sk = oracle()
    y, predicted, p, w = labels(seed, classes, absent=absent)
    weights = {"sample_weight": w} if weighted else {}

    def same(ours: float, theirs: float) -> None:
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-15)

    same(
        metrics.accuracy_score(y, predicted, **weights), sk.accuracy_score(y, predicted, **weights)
    )
    same(
        metrics.balanced_accuracy_score(y, predicted, **weights),
        sk.balanced_accuracy_score(y, predicted, **weights),
    )
    same(
        metrics.f1_score(y, predicted, average="macro", **weights),
        sk.f1_score(y, predicted, average="macro", zero_division=0, **weights),
    )
    np.testing.assert_allclose(
        metrics.confusion_matrix(y, predicted, n_classes=classes, **weights),
        sk.confusion_matrix(y, predicted, labels=range(classes), **weights),
        rtol=1e-12,
    )
    for probabilities in (p, p.astype(np.float32)):
        assert metrics.log_loss(y, probabilities, **weights) == pytest.approx(
            sk.log_loss(y, probabilities, labels=range(classes), **weights), rel=1e-6
        )
    if classes == 2:
        same(metrics.f1_score(y, predicted, **weights), sk.f1_score(y, predicted, **weights))
        expected = sk.roc_auc_score(y, p[:, 1], **weights)
        same(metrics.roc_auc_score(y, p[:, 1], **weights), expected)
        same(metrics.roc_auc_score(y, p, **weights), expected)
        return
    present = [c for c in range(classes) if (w if weighted else np.ones(len(y)))[y == c].sum() > 0]
    one_against_rest = np.eye(classes, dtype=int)[y][:, present]
    expected = sk.roc_auc_score(one_against_rest, p[:, present], average="macro", **weights)
    same(metrics.roc_auc_score(y, p, **weights), expected)
    if len(np.unique(y)) == classes and not weighted:
        same(metrics.roc_auc_score(y, p), sk.roc_auc_score(y, p, multi_class="ovr"))


@pytest.mark.filterwarnings("ignore:The y_prob values do not sum to one")
def test_probabilities_of_0_and_1_are_taken_as_scikit_learn_does() -> None:
    sk = oracle()
    y = np.array([0, 1, 1])
    for dtype in (np.float32, np.float64):
        p = np.array([[1, 0], [1, 0], [0.5, 0.5]], dtype)
        assert metrics.log_loss(y, p) == pytest.approx(sk.log_loss(y, p), rel=1e-6)
        assert metrics.log_loss(y, p[:, 1]) == pytest.approx(sk.log_loss(y, p[:, 1]), rel=1e-6)


@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_regression_is_scikit_learns(shape: tuple[int, ...], weighted: bool) -> None:
    sk = oracle()
    rng = np.random.default_rng(1)
    y, predicted = rng.normal(size=shape), rng.normal(size=shape)
    if shape[-1] == 3:
        y[:, 0] = 5.0  # constant, and predicted exactly or not
        y[:, 1] = predicted[:, 1] = 2.0
    weights = {"sample_weight": rng.integers(0, 3, 60).astype(float)} if weighted else {}
    for name in (
        "mean_squared_error",
        "root_mean_squared_error",
        "mean_absolute_error",
        "r2_score",
    ):
        ours, theirs = getattr(metrics, name), getattr(sk, name)
        assert ours(y, predicted, **weights) == pytest.approx(theirs(y, predicted, **weights))


def test_where_nothing_can_be_told_apart() -> None:
    one = np.zeros(4, int)
    assert math.isnan(metrics.roc_auc_score(one, np.linspace(0, 1, 4)))
    assert metrics.balanced_accuracy_score(one, one) == 1.0
    assert math.isnan(metrics.r2_score(np.ones(1), np.ones(1)))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: metrics.accuracy_score(np.zeros(2), np.zeros(2, int)), TypeError, "y: .*whole"),
        (
            lambda: metrics.f1_score(np.zeros(2, int), np.zeros(3, int)),
            ValueError,
            "predicted: .*2",
        ),
        (lambda: metrics.f1_score(np.zeros(0, int), np.zeros(0, int)), ValueError, "y: .*one row"),
        (lambda: metrics.f1_score([0, 1], [0, 1]), TypeError, "y: expected a NumPy array"),
        (lambda: metrics.f1_score(-np.ones(2, int), np.zeros(2, int)), ValueError, "y: .*got -1"),
        (
            lambda: metrics.f1_score(np.arange(3), np.arange(3), average="binary"),
            ValueError,
            "average: expected 'macro' for 3 classes",
        ),
        (
            lambda: metrics.log_loss(np.zeros(2, int), np.full((2, 2), 1.5)),
            ValueError,
            "probabilities: expected values from 0 to 1, got 1.5",
        ),
        (
            lambda: metrics.roc_auc_score(np.arange(3), np.zeros((3, 2))),
            ValueError,
            "scores: expected a column for each label up to 2",
        ),
        (
            lambda: metrics.roc_auc_score(np.zeros(2, int), np.array([0, np.nan])),
            ValueError,
            "scores: expected finite",
        ),
        (
            lambda: metrics.accuracy_score(*[np.zeros(2, int)] * 2, sample_weight=np.zeros(2)),
            ValueError,
            "sample_weight: .*not all 0",
        ),
        (lambda: metrics.r2_score(np.ones(2), np.ones(3)), ValueError, "predicted: .*shape of y"),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


# Better and worse

UP = """
    accuracy val_accuracy acc val_acc balanced_accuracy val_balanced_accuracy auc roc_auc val_auc
    val_roc_auc_ovr auc_1 f1 val_f1 f1_macro val_f1_weighted f1_score r2 val_r2 R2 r2_score
    precision val_recall top_5_accuracy acc@5 neg_log_loss neg_mean_squared_error
    mean_test_score score test_score average_precision precision_at_5 cohen_kappa
    negated_rmse one_minus_error train/accuracy val.f1 1-error val_1-loss top-1-accuracy
    top_1-accuracy
"""
DOWN = """
    loss val_loss log_loss val_log_loss error rmse val_rmse mse mae mape val_mae
    mean_squared_error root_mean_squared_error mean_absolute_error accumulated_loss
    accuracy_loss val_accuracy_error brier_score negative_log_likelihood nll cross_entropy
    val_binary_crossentropy perplexity error_rate false_positive_rate loss_1 hinge_loss
    hamming_loss kl_divergence train/loss inaccurate_error 1-accuracy val_1-auc
"""
UNKNOWN = """
    lr learning_rate my_score loss_ratio time vacancy accent macro inverse_loss epoch delta_f1
    negative_mse
"""


@pytest.mark.parametrize(
    ("names", "larger"), [(UP, True), (DOWN, False), (UNKNOWN, None)], ids=["up", "down", "unknown"]
)
def test_which_way_is_better(names: str, larger: bool | None) -> None:
    assert {n: metrics.larger_is_better(n) for n in names.split()} == dict.fromkeys(
        names.split(), larger
    )


def test_the_table_knows_all_metrics_of_evaluate() -> None:
    """And agrees with their definitions: perfect predictions have the better value."""
    y = np.array([0, 0, 1, 1])
    good, bad = np.eye(2)[y], np.full((4, 2), 0.5)
    values = np.array([[1.0], [2.0], [3.0], [4.0]])
    for name in (*metrics.OF_LABELS, *metrics.OF_COUNTS):
        if name == "confusion_matrix":
            continue
        if name in metrics.OF_COUNTS:
            right, wrong = (metrics.compute([name], values, v, "mse") for v in (values, values + 1))
        else:
            right, wrong = (metrics.compute([name], y, p, "softmax") for p in (good, bad))
        assert (right[name] > wrong[name]) == metrics.larger_is_better(name)
        assert metrics.larger_is_better(f"val_{name}") == metrics.larger_is_better(name)
    ways = {name: metrics.larger_is_better(name) for name in metrics.NAMES}
    assert [name for name, way in ways.items() if way is None] == ["confusion_matrix", "coverage"]


class Net:
    """As much of a network as callbacks need."""

    stop_training, stop_reason = False, ""

    def __init__(self) -> None:
        self.value, self.saved = 0, []  # type: ignore[var-annotated]

    def get_parameters(self) -> Any:
        return np.array(self.value)

    def set_parameters(self, value: Any) -> None:
        self.value = int(value)

    def save(self, *_: Any, **__: Any) -> None:
        self.saved.append(self.value)


@pytest.mark.parametrize("name", [*UP.split(), *DOWN.split()])
def test_callbacks_keep_the_best_epoch(name: str) -> None:
    """EarlyStopping, ModelCheckpoint, Plateau and History.best go by the same table."""
    worse_then_better = [0.5, 0.4, 0.6, 0.3]
    best = int(np.argmax(worse_then_better) if name in UP.split() else 3)
    net, history = Net(), fanin.callbacks.History()
    stopping = fanin.callbacks.EarlyStopping(name, patience=9)
    saving = fanin.callbacks.ModelCheckpoint("never-written", name)
    plateau = fanin.schedules.Plateau(name, factor=0.5, patience=1, min_delta=0.0)
    every = fanin.callbacks.CallbackList([stopping, saving, history], net)
    every.on_train_begin({})
    factors = []
    for epoch, value in enumerate(worse_then_better):
        net.value = epoch
        every.on_epoch_end(epoch, {name: value})
        plateau.on_epoch_end({name: value})
        factors.append(float(plateau.lr(1.0, 0, 1, 1, 4)[0]))
    every.on_train_end({})
    assert net.value == stopping.best_epoch == best
    assert net.saved == ([0, 2] if name in UP.split() else [0, 1, 3])
    assert history.best(name) == (best, worse_then_better[best])
    assert factors == ([1, 0.5, 0.5, 0.25] if name in UP.split() else [1, 1, 0.5, 0.5])


@pytest.mark.parametrize("name", UNKNOWN.split())
def test_an_unknown_name_needs_a_mode(name: str) -> None:
    history = fanin.callbacks.History()
    history.append(0, {name: 1.0})
    history.append(1, {name: 2.0})
    space = {"x": fanin.tuning.uniform(0, 1)}
    makers: dict[str, Any] = {
        "EarlyStopping": lambda **mode: fanin.callbacks.EarlyStopping(name, **mode),
        "ModelCheckpoint": lambda **mode: fanin.callbacks.ModelCheckpoint("x", name, **mode),
        "Plateau": lambda **mode: fanin.schedules.Plateau(name, **mode),
        "best": lambda **mode: history.best(name, **mode),
        "search": lambda **mode: fanin.tuning.search(
            space, lambda p: {name: p["x"]}, 2, monitor=name, progress=False, **mode
        ),
    }
    for make in makers.values():
        with pytest.raises(ValueError, match=f"mode: expected 'min' or 'max' for '{name}'"):
            make()
        make(mode="min")
    assert history.best(name, mode="min") == (0, 1.0)
    assert history.best(name, mode="max") == (1, 2.0)


@pytest.mark.parametrize("name", [*UP.split(), *DOWN.split()])
@pytest.mark.parametrize("prune", [None, "halving"])
def test_a_search_goes_the_right_way(name: str, prune: Any) -> None:
    space = {"x": fanin.tuning.uniform(0, 1)}
    result = fanin.tuning.search(
        space, lambda p: {name: p["x"]}, 9, monitor=name, prune=prune, epochs=9, progress=False
    )
    best = max if name in UP.split() else min
    assert result.best.params["x"] == best(t.params["x"] for t in result)


@pytest.mark.parametrize("monitor", ["val_loss", "val_log_loss", "val_f1", "val_roc_auc"])
def test_the_median_rule_ends_the_poor_ones(monitor: str) -> None:
    (X, y), validation = fanin.datasets.load("digits")
    result = fanin.tuning.search(
        {"lr": fanin.tuning.loguniform(1e-6, 1e-1)}, (X, y), 24, prune="median", monitor=monitor,
        epochs=4, hidden=16, preprocess="standardize", validation_data=validation, progress=False,
    )  # fmt: skip
    ended = [t.params["lr"] for t in result if t.status == "pruned"]
    assert 3 <= len(ended) <= 13
    assert max(ended) < 1e-2 < result.best.params["lr"]


# Of networks


def imbalanced(n: int = 1000, rare: int = 10) -> Any:
    rng = np.random.default_rng(0)
    y = np.zeros(n, int)
    y[:rare] = 1
    X = rng.normal(size=(n, 5)).astype(np.float32)
    return X, y


OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 50, "progress": False}


def test_evaluate_gives_them_beside_loss_and_accuracy() -> None:
    sk = oracle()
    (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    net = fanin.MLP([64, 16, 10])
    net.fit(X, y, preprocess="standardize", **OPTIONS)
    plain = net.evaluate(X_test, y_test)
    names = [*metrics.OF_LABELS]
    result = net.evaluate(X_test, y_test, metrics=names)
    assert list(result) == ["loss", "accuracy", *(n for n in names if n != "accuracy")]
    assert {k: result[k] for k in plain} == plain
    p, predicted = net.predict_proba(X_test), net.predict(X_test)
    assert result["roc_auc"] == pytest.approx(sk.roc_auc_score(y_test, p, multi_class="ovr"))
    assert result["f1"] == pytest.approx(sk.f1_score(y_test, predicted, average="macro"))
    assert result["log_loss"] == pytest.approx(metrics.log_loss(y_test, p))
    assert (result["confusion_matrix"] == sk.confusion_matrix(y_test, predicted)).all()
    w = np.linspace(0, 1, len(y_test))
    weighted = net.evaluate(X_test, y_test, sample_weight=w, metrics=["balanced_accuracy"])
    expected = sk.balanced_accuracy_score(y_test, predicted, sample_weight=w)
    assert weighted["balanced_accuracy"] == pytest.approx(expected, rel=1e-5)  # float32 weights


def test_the_ensembles_metrics_are_those_of_its_predictions() -> None:
    (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    nets = [fanin.MLP([64, 8, 10], seed=seed) for seed in range(3)]
    for net in nets:
        net.fit(X, y, preprocess="standardize", **OPTIONS)
    for combine in ("probability", "logits", "vote"):
        both = fanin.ensemble.Ensemble(nets, combine=combine)
        result = both.evaluate(X_test, y_test, metrics=["balanced_accuracy", "log_loss"])
        predicted, p = both.predict(X_test), both.predict_proba(X_test)
        assert result["balanced_accuracy"] == metrics.balanced_accuracy_score(y_test, predicted)
        assert result["log_loss"] == pytest.approx(metrics.log_loss(y_test, p), rel=1e-6)


def test_regression() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(90, 3)).astype(np.float32)
    y = X[:, 0] + 0.1 * rng.normal(size=90).astype(np.float32)
    net = fanin.MLP([3, 8, 1], loss="mse")
    history = net.fit(X, y, validation_data=(X, y), metrics=["rmse", "r2"], **OPTIONS)
    result = net.evaluate(X, y, metrics=["mse", "rmse", "mae", "r2"])
    assert result["mse"] == pytest.approx(result["loss"] * net.targets.scale[0] ** 2, rel=1e-5)
    assert result["rmse"] == pytest.approx(math.sqrt(result["mse"]))
    assert history.history["val_rmse"][-1] == pytest.approx(result["rmse"])
    assert history.best("val_r2")[1] == max(history.history["val_r2"])


def test_fit_logs_them_for_history_and_monitors() -> None:
    (X, y), validation = fanin.datasets.load("digits")
    net, kept = fanin.MLP([64, 16, 10]), []
    stopping = fanin.callbacks.EarlyStopping("val_balanced_accuracy", patience=5)
    logs = fanin.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: kept.append(dict(logs)))
    history = net.fit(
        X, y, validation_data=validation, metrics=["balanced_accuracy", "roc_auc"],
        preprocess="standardize", callbacks=[stopping, logs], **OPTIONS,
    )  # fmt: skip
    assert "val_roc_auc" in kept[0]
    best = history.best("val_balanced_accuracy")[1]
    evaluated = net.evaluate(*validation, metrics=["balanced_accuracy"])
    assert evaluated["balanced_accuracy"] == best == stopping.best
    plain = fanin.MLP([64, 16, 10])
    others = plain.fit(X, y, validation_data=validation, preprocess="standardize", **OPTIONS)
    assert others.history["val_loss"] == history.history["val_loss"]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"metrics": ["f1"]}, ValueError, "metrics: expected validation_data, to compute 'f1'"),
        ({"metrics": ["f2"]}, ValueError, "metrics: expected one of accuracy, .*; got 'f2'"),
        ({"metrics": "f1"}, TypeError, "metrics: expected a list of names, got str"),
        ({"metrics": [len]}, TypeError, "metrics: expected names such as 'f1'"),
        ({"metrics": ["confusion_matrix"]}, ValueError, "metrics: .*got 'confusion_matrix'"),
    ],
)
def test_fit_refuses(options: Any, error: type[Exception], text: str) -> None:
    X, y = imbalanced(20, 5)
    with pytest.raises(error, match=text):
        fanin.MLP([5, 2]).fit(X, y, epochs=1, progress=False, **options)


def test_metrics_that_do_not_go_with_the_targets() -> None:
    X, y = imbalanced(20, 5)
    net, svm = fanin.MLP([5, 2]), fanin.MLP([5, 2], loss="svm")
    with pytest.raises(ValueError, match=r"metrics: expected one of accuracy, .* got 'r2'"):
        net.evaluate(X, y, metrics=["r2"])
    with pytest.raises(ValueError, match=r"metrics: expected none .* soft labels, got 'f1'"):
        net.evaluate(X, np.eye(2)[y], metrics=["f1"])
    with pytest.raises(ValueError, match="metrics: expected no 'log_loss' with loss='svm'"):
        svm.evaluate(X, y, metrics=["log_loss"])
    scores = svm.scores(X)
    assert svm.evaluate(X, y, metrics=["roc_auc"])["roc_auc"] == metrics.roc_auc_score(
        y, scores[:, 1] - scores[:, 0]
    )
    values = fanin.MLP([5, 1], loss="mse")
    with pytest.raises(ValueError, match=r"metrics: expected one of mse, rmse, mae, r2 for"):
        values.evaluate(X, y, metrics=["accuracy"])


# A rare class


def test_a_rare_class_that_is_never_predicted_is_told() -> None:
    X, y = imbalanced()
    net = fanin.MLP([5, 2])
    net.evaluate(X, y)  # nothing is told of a network that has not been trained
    net.fit(X, y, **{**OPTIONS, "epochs": 20})
    with pytest.warns(metrics.RareClassWarning, match="recall 0 of 10") as caught:
        assert net.evaluate(X, y)["accuracy"] == 0.99
    text = str(caught[0].message)
    for part in (
        "class 1 (10 of 1000 rows, 1.0 %)",
        "the accuracy is 99.0 %, always answering class 0 gives 99.0 %",
        "the balanced accuracy is 50.0 %",
        "below 26 % with 95 % confidence",
        "class_weight='balanced'",
    ):
        assert part in text
    assert caught[0].filename == __file__


def test_it_is_not_told_where_nothing_is_wrong() -> None:
    X, y = imbalanced(1000, 10)
    X[:, 0] = 4.0 * y
    net = fanin.MLP([5, 2])
    net.fit(X, y, epochs=40, batch_size=20, progress=False)
    assert net.evaluate(X, y)["accuracy"] > 0.995
    never = fanin.diagnostics.never_predicted
    assert never(np.array([0] * 60 + [1] * 40), np.zeros(100, int)) is None  # not rare
    assert never(np.array([0] * 98 + [1] * 2), np.zeros(100, int)) is None  # too few rows
    assert never(np.array([0] * 97 + [1] * 3), np.zeros(100, int)) is not None


@pytest.mark.parametrize("rare", [(1,), (1, 3), (1, 2, 3)])
def test_several_rare_classes(rare: tuple[int, ...]) -> None:
    y = np.concatenate([np.full(3000 if c not in rare else 5, c) for c in range(4)])
    finding = fanin.diagnostics.never_predicted(y, np.zeros(len(y), int))
    for c in rare:
        assert f"class {c} (5 of {len(y)} rows" in finding.evidence
    assert f"recall {', '.join(['0 of 5'] * len(rare))}" in finding.evidence


def test_an_ensemble_that_never_predicts_a_rare_class_is_told_too() -> None:
    X, y = imbalanced()
    nets = [fanin.MLP([5, 2], seed=seed) for seed in range(2)]
    for net in nets:
        net.fit(X, y, **{**OPTIONS, "epochs": 20})
    with pytest.warns(metrics.RareClassWarning, match="recall 0 of 10") as caught:
        fanin.ensemble.Ensemble(nets).evaluate(X, y)
    assert caught[0].filename == __file__
