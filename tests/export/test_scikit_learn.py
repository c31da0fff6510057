"""scikit-learn's networks as ours, and ours in its pipelines for skl2onnx."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from export_cases import assert_near, rows

import fanin
from fanin.export import from_sklearn, register_skl2onnx
from fanin.preprocessing import PCA, Normalize, Whiten, ZeroCenter

sklearn = pytest.importorskip("sklearn")
neural = pytest.importorskip("sklearn.neural_network")
estimators = pytest.importorskip("fanin.estimators")

pytestmark = [
    pytest.mark.row("B8"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
BaseEstimator = sklearn.base.BaseEstimator


def fitted(kind: Any, y: np.ndarray, dtype: Any = np.float64, **how: Any) -> tuple[Any, np.ndarray]:
    X = ((rows(len(y), 6) - 5) / 2).astype(dtype)
    return kind(max_iter=5, random_state=0, **how).fit(X, y), X


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_from_a_classifier(activation: str, dtype: Any) -> None:
    for classes in (["no", "yes"], ["ash", "birch", "cedar"]):
        y = np.array(classes)[np.arange(90) * 7 % 11 % len(classes)]
        for hidden in ([8], [9, 5], []):
            how = {"activation": activation, "hidden_layer_sizes": hidden}
            model, X = fitted(neural.MLPClassifier, y, dtype, **how)
            net = from_sklearn(model)
            assert (net.dtype, net.dims) == (dtype, [6, *hidden, len(classes)])
            assert net.metadata["class_names"] == classes
            assert_near(net.predict_proba(X), model.predict_proba(X).astype(dtype))
            assert np.array_equal(model.classes_[net.predict(X)], model.predict(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("outputs", [1, 3])
def test_from_a_regressor(outputs: int, dtype: Any) -> None:
    y = np.random.default_rng(0).normal(size=(90, outputs))
    model, X = fitted(neural.MLPRegressor, y if outputs > 1 else y[:, 0], dtype)
    net = from_sklearn(model)
    assert (net.loss_name, net.metadata["task"]) == ("mse", "regression")
    assert_near(net.predict(X), model.predict(X).reshape(90, -1).astype(dtype))


def test_from_a_classifier_of_several_labels() -> None:
    model, X = fitted(neural.MLPClassifier, np.random.default_rng(0).integers(0, 2, (90, 3)))
    net = from_sklearn(model)
    assert net.targets.kind == "multilabel"
    assert np.array_equal(net.predict(X), model.predict(X) == 1)
    assert_near(net.predict_proba(X), model.predict_proba(X))


def test_from_a_regressor_of_counts() -> None:
    y = np.random.default_rng(0).poisson(3, 90)
    model, X = fitted(neural.MLPRegressor, y, loss="poisson")
    assert_near(from_sklearn(model).predict(X)[:, 0], model.predict(X))


def test_models_that_cannot_be_taken() -> None:
    with pytest.raises(ValueError, match=r"model: expected at least 2 classes, got \[1\]"):
        from_sklearn(fitted(neural.MLPClassifier, np.ones(90, int))[0])
    for kind in (neural.MLPClassifier, neural.MLPRegressor):
        with pytest.raises(ValueError, match=f"model: expected a fitted {kind.__name__}"):
            from_sklearn(kind())
    for wrong in (None, fanin.MLP([2, 2]), neural.MLPClassifier):
        with pytest.raises(TypeError, match="model: expected an MLPClassifier or MLPRegressor"):
            from_sklearn(wrong)


# skl2onnx


class Classifier(sklearn.base.ClassifierMixin, BaseEstimator):
    """What an estimator has: a network and its classes."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Any:
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.network_ = fanin.MLP(
            [X.shape[1], 9, len(self.classes_)], activation="gelu", dtype=X.dtype
        )
        self.network_.fit(X, codes, epochs=3, preprocess="standardize", progress=False)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self.network_.predict_proba(X)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.classes_[self.network_.predict(X)])


class Regressor(sklearn.base.RegressorMixin, BaseEstimator):
    def fit(self, X: np.ndarray, y: np.ndarray) -> Any:
        self.network_ = fanin.MLP([X.shape[1], 9, 1], loss="mse", dtype=X.dtype)
        self.network_.fit(X, y, epochs=3, preprocess="standardize", progress=False)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.network_.predict(X)[:, 0]


def converted(model: Any, X: np.ndarray, **how: Any) -> list[np.ndarray]:
    """What onnxruntime makes of a converted model."""
    skl2onnx, ort = (pytest.importorskip(name) for name in ("skl2onnx", "onnxruntime"))
    register_skl2onnx(Classifier, Regressor, *ESTIMATORS)
    made = skl2onnx.to_onnx(model, X[:1], **how)
    pytest.importorskip("onnx").checker.check_model(made, full_check=True)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    run = ort.InferenceSession(made.SerializeToString(), options).run
    return list(run(None, {made.graph.input[0].name: X}))


ESTIMATORS = [
    *(estimators.MLPClassifier, estimators.NetClassifier, estimators.Normalize, estimators.PCA),
    *(estimators.MLPRegressor, estimators.NetRegressor, estimators.Whiten, estimators.ZeroCenter),
]
CLASSIFIERS, REGRESSORS = ESTIMATORS[:2], ESTIMATORS[4:6]


def ours(kind: Any, y: np.ndarray, dtype: Any = np.float64, **how: Any) -> tuple[Any, np.ndarray]:
    """A fitted estimator of ours, and its rows."""
    X = ((rows(len(y), 6) - 5) / 2).astype(dtype)
    length = {"max_iter": 3} if kind.__name__.startswith("MLP") else {"epochs": 2}
    model = kind(hidden_layer_sizes=(6, 6), random_state=0, **length, **how)
    return model.fit(X, y), X


BLOCKS: list[dict[str, Any]] = [
    {},
    {"norm": "layer", "activation": ["gelu", "prelu"], "residual": True},
    {"norm": "batch", "activation": "mish", "keep": 0.9},
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", CLASSIFIERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("how", BLOCKS, ids=str)
def test_our_classifiers_as_networks_and_graphs(kind: Any, how: dict[str, Any], dtype: Any) -> None:
    for classes in (["ash", "birch", "cedar"], [7, 3, 50], [False, True], [2, 9]):
        y = np.array(classes)[np.arange(90) * 7 % 11 % len(classes)]
        more = [{"loss": "logistic"}] if kind is CLASSIFIERS[1] and len(classes) == 2 else []
        for options in ({}, *more):
            model, X = ours(kind, y, dtype, **how, **options)
            net = model.network_
            assert np.array_equal(net.predict(X), model.predict(X))
            assert_near(net.predict_proba(X), model.predict_proba(X))
            label, probabilities = converted(model, X, options={"zipmap": False})
            assert np.array_equal(label, model.predict(X))
            assert_near(probabilities, model.predict_proba(X))


@pytest.mark.parametrize("loss", ["", "poisson", "huber", "quantile", "quantiles"])
@pytest.mark.parametrize("kind", REGRESSORS, ids=lambda kind: kind.__name__)
def test_our_regressors_as_networks_and_graphs(kind: Any, loss: str) -> None:
    how: dict[str, Any] = {"loss": loss} if loss else {}
    if loss == "quantiles":
        how = {"loss": "quantile", "quantiles": [0.1, 0.5, 0.9]}
    one = np.abs(rows(90, 6)[:, 0]).astype(float)
    for y in (one, np.column_stack([one, 100 * one + 3])):
        model, X = ours(kind, y, **how)
        expected = model.predict(X).reshape(90, -1)
        assert_near(model.network_.predict(X).reshape(90, -1), expected)
        (values,) = converted(model, X)
        assert_near(values, expected)


@pytest.mark.parametrize("kind", CLASSIFIERS, ids=lambda kind: kind.__name__)
def test_several_labels_as_a_network(kind: Any) -> None:
    model, X = ours(kind, np.random.default_rng(0).integers(0, 2, (90, 3)))
    assert np.array_equal(model.network_.predict(X), model.predict(X) == 1)
    assert_near(model.network_.predict_proba(X), model.predict_proba(X))


def test_a_pipeline_of_ours() -> None:
    X, y = rows(90, 6), np.array(["a", "b", "c"])[np.arange(90) % 3]
    steps = [estimators.Normalize(), estimators.PCA(4), estimators.NetClassifier(5, epochs=2)]
    model = sklearn.pipeline.make_pipeline(*steps).fit(X, y)
    label, probabilities = converted(model, X, options={"zipmap": False})
    assert np.array_equal(label, model.predict(X))
    assert_near(probabilities, model.predict_proba(X), 1e-6)  # steps of float32 before float64


STEPS: dict[str, Any] = {
    "ZeroCenter": ZeroCenter(),
    "Normalize": Normalize(eps=0.1),
    "PCA": PCA(4),
    "Whiten": Whiten(4, eps=0.1),
    "zca": Whiten(method="zca", eps=0.1),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("name", STEPS)
def test_transformers_are_converted(name: str, dtype: Any) -> None:
    X = rows(90, 6, np.float64)
    X = (X * 20).clip(0, 255).astype(dtype) if dtype == np.uint8 else X.astype(dtype)
    step = STEPS[name].fit(X)
    (got,) = converted(step, X)
    assert_near(got, step.transform(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [["ash", "birch", "cedar"], [7, 3, 50], [0, 1]])
def test_pipelines_are_converted(classes: list[Any], dtype: Any) -> None:
    pipeline, X = sklearn.pipeline, rows(90, 6, dtype)
    y = np.array(classes)[np.arange(90) * 7 % 11 % len(classes)]
    for step in (PCA(4), sklearn.preprocessing.StandardScaler()):
        model = pipeline.make_pipeline(step, Classifier()).fit(X, y)
        label, probabilities = converted(model, X, options={"zipmap": False})
        assert np.array_equal(label, model.predict(X))
        assert_near(probabilities, model.predict_proba(X))
        model = pipeline.make_pipeline(step, Regressor()).fit(X, X[:, 0].copy())
        (values,) = converted(model, X)
        assert_near(values[:, 0], model.predict(X))


def test_probabilities_by_class() -> None:
    X = rows(30, 6)
    model = Classifier().fit(X, np.arange(30) % 2)
    _, by_class = converted(model, X)
    assert_near(np.array([[p[0], p[1]] for p in by_class], np.float32), model.predict_proba(X))


def test_estimators_that_cannot_be_converted() -> None:
    pytest.importorskip("skl2onnx")
    X = rows(30, 6)
    with pytest.raises(TypeError, match="estimators: expected classes, got Classifier"):
        register_skl2onnx(Classifier())  # type: ignore[arg-type]
    model = Classifier().fit(X, np.arange(30) % 2)
    del model.network_
    with pytest.raises(ValueError, match="model: expected a fitted Classifier with an MLP"):
        converted(model, X)
    model = Classifier().fit(X, np.arange(30) % 2)
    model.classes_ = np.arange(3)
    with pytest.raises(ValueError, match=r"model: expected a network with loss='softmax' and 3"):
        converted(model, X)
