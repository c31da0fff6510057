"""A graph of ONNX gives what `predict` and `predict_proba` give, in two runtimes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export_cases import assert_near, network, rows, wanted

import fanin
from fanin import preprocessing
from fanin.ensemble import Ensemble
from fanin.export import to_onnx
from fanin.network.mlp import HIDDEN_ACTIVATIONS
from fanin.preprocessing import PCA, Normalize, Whiten, ZeroCenter

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
reference = pytest.importorskip("onnx.reference")

pytestmark = pytest.mark.row("B8")

DTYPES = ["float32", "float64"]


def session(model: Any) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    serialized = model.SerializeToString()
    return ort.InferenceSession(serialized, options, providers=["CPUExecutionProvider"])


def results(model: Any, X: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Outputs by name: of onnxruntime, and of ONNX's reference."""
    names = [value.name for value in model.graph.output]
    runs = session(model).run, reference.ReferenceEvaluator(model).run
    with np.errstate(all="ignore"):  # the reference lets branches overflow that it does not take
        return [dict(zip(names, run(names, {"X": X}), strict=True)) for run in runs]


def assert_same(net: Any, X: np.ndarray, tolerance: float | None = None, **how: Any) -> Any:
    """Checks labels and values, and returns the model."""
    model = to_onnx(net, **how)
    for found in results(model, X):
        if "label" in found:
            assert found["label"].dtype == np.int64
            assert np.array_equal(found.pop("label"), net.predict(X))
        if "labels" in found:
            assert np.array_equal(found.pop("labels"), net.predict(X))
        found.pop("class_name", None)
        (values,) = found.values()
        if isinstance(net, Ensemble):
            regression = all(m.targets.loss.takes_values for m in net.members)
            assert_near(values, (net.predict if regression else net.predict_proba)(X), tolerance)
        else:
            assert_near(values, wanted(net, X), tolerance)
    return model


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
def test_every_activation_with_every_norm(activation: str, dtype: str) -> None:
    for norm in (None, *fanin._core.norms[1:]):
        net = network(activation=activation, norm=norm, residual=norm == "layer", dtype=dtype)
        assert_same(net, rows(dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", fanin.losses.NAMES)
def test_every_loss(loss: str, dtype: str) -> None:
    net = network(loss=loss, dtype=dtype, activation=["relu", "prelu", "gelu"], residual=True)
    # The exponential makes of a score's rounding a relative error, here of scores around 10.
    tolerance = 2e-5 if loss == "poisson" and dtype == "float32" else None
    model = assert_same(net, rows(dtype=dtype), tolerance)
    second = {"softmax": "probabilities", "logistic": "probabilities", "svm": "scores"}
    assert model.graph.output[-1].name == second.get(loss, "predictions")


@pytest.mark.parametrize(
    ("loss", "n_outputs", "options"),
    [
        ("logistic", 1, {}),
        ("softmax", 3, {"temperature": 2.5}),
        ("huber", 2, {}),
        ("quantile", 3, {"quantiles": [0.1, 0.5, 0.9]}),
        ("quantile", 4, {"quantiles": [0.1, 0.9]}),
        ("poisson", 2, {}),
    ],
)
def test_outputs_are_in_the_units_of_the_targets(
    loss: str, n_outputs: int, options: dict[str, Any]
) -> None:
    net = fanin.MLP([5, 6, n_outputs], loss=loss, dtype="float64", output_init=None, **options)
    X = rows(40, columns=5)
    values = np.abs(X[:, : net.targets.n_values]).astype(float) * 1000 + 30
    labels = np.arange(40) % 2
    y = values if net.targets.kind == "values" else labels
    net.fit(X, y, epochs=1, progress=False)
    for found in results(to_onnx(net), X):
        if net.targets.kind == "values":
            expected = net.predict(X).reshape(40, -1)
            np.testing.assert_allclose(found["predictions"], expected, rtol=1e-9)
        else:
            np.testing.assert_array_equal(found["label"], net.predict(X))
            np.testing.assert_allclose(found["probabilities"], net.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
def test_activations_far_out(activation: str, dtype: str) -> None:
    net = fanin.MLP([1, 1, 1], activation=activation, loss="mse", dtype=dtype)
    for values in net.params.values():
        values[...] = values.ndim == 2
    X = np.array([-1e4, -100, -20, -9.5, -1e-3, 0, 1e-3, 0.7, 9.5, 30, 1e4], dtype)[:, None]
    assert_same(net, X)


@pytest.mark.parametrize("dims", [[5, 3], [1, 2], [3, 1, 7, 2], [65, 33, 129, 10]])
def test_any_widths(dims: list[int]) -> None:
    assert_same(network(dims), rows(columns=dims[0]))


@pytest.mark.parametrize("n", [0, 1, 2, 100])
def test_any_number_of_rows(n: int) -> None:
    for norm in (None, "layer", "batch"):
        net = network(norm=norm)
        X = rows(100)
        for found in results(to_onnx(net), X[:n]):
            assert found["label"].shape == (n,)
            assert_near(found["probabilities"], wanted(net, X)[:n])


def test_dropout_in_prediction() -> None:
    for mode in ("vanilla", "inverted"):
        assert_same(network(keep=[0.5, 0.7, 0.9], dropout_mode=mode, residual=True), rows())
    assert_same(network(drop_connect=0.5), rows())


PIPELINES: dict[str, Any] = {
    "none": None,
    "standardize": "standardize",
    "pair": (3.0, 0.5),
    "centre": ZeroCenter(),
    "normalize": Normalize(eps=0.5),
    "pca": [PCA(5)],
    "whiten": [Normalize(), Whiten(5, eps=0.1)],
    "zca": [Whiten(method="zca", eps=0.1)],
    "all": [ZeroCenter(), PCA(9), Normalize(), Whiten(6, eps=0.1), Normalize()],
}


@pytest.mark.parametrize("stored", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("name", PIPELINES)
def test_preprocessing_is_in_the_graph(name: str, stored: Any) -> None:
    X = rows(200, dtype=np.float64)
    X = (40 * X).clip(0, 255).astype(stored) if stored == np.uint8 else X.astype(stored)
    width = {"pca": 5, "whiten": 5, "all": 6}.get(name, 13)
    for dtype in DTYPES:
        net = fanin.MLP([width, 8, 3], dtype=dtype)
        net.set_preprocess(PIPELINES[name], X)
        # An untrained network of raw bytes has scores in the hundreds.
        net.params["W1"][...] *= 0.02 if stored == np.uint8 and name in ("none", "pair") else 1
        tolerance = 1e-6 if dtype == "float32" else 1e-12
        model = assert_same(net, X, tolerance)
        given = model.graph.input[0].type.tensor_type.elem_type
        assert onnx.helper.tensor_dtype_to_np_dtype(given) == stored


@pytest.mark.parametrize("stored", [np.float32, np.float64])
def test_columns_far_from_zero(stored: Any) -> None:
    """Where float32 is too coarse for a mean, or rounds it by something."""
    X = rows(200, 4, np.float64) + np.array([0, 1e3, 1e6, 3e7])
    X = X.astype(stored)
    net = fanin.MLP([4, 8, 3], output_init="kaiming")
    net.set_preprocess("standardize", X)
    assert_same(net, X)
    held = X.astype(np.float32).astype(stored)  # other rows, which float32 holds
    assert_same(net, held)


def test_bytes_of_images_stay_bytes(tmp_path: Path) -> None:
    (X, y), (X_test, _) = fanin.datasets.load("digits")
    net = fanin.MLP([64, 32, 10])
    net.fit(X, y, epochs=2, progress=False)
    path = tmp_path / "digits.onnx"
    model = to_onnx(net, path)
    assert path.read_bytes() == model.SerializeToString()
    assert [p.name for p in tmp_path.iterdir()] == ["digits.onnx"]
    given = model.graph.input[0].type.tensor_type
    assert [d.dim_param or d.dim_value for d in given.shape.dim] == ["N", 8, 8]
    assert given.elem_type == onnx.TensorProto.UINT8
    assert_same(net, X_test)
    net.save(tmp_path / "net")
    again = to_onnx(fanin.MLP.load(tmp_path / "net"))
    assert again.SerializeToString() == model.SerializeToString()


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "int64", "float16", "float64"])
def test_an_input_of_another_dtype(dtype: str) -> None:
    X = rows().round().clip(0).astype(dtype)
    net = network()
    model = to_onnx(net, input_dtype=dtype)
    for found in results(model, X):
        assert_near(found["probabilities"], net.predict_proba(X))


def test_regression_in_the_units_of_the_targets() -> None:
    X = rows(200)
    y = 1000 + 50 * X[:, :1]
    net = fanin.MLP([13, 16, 1], loss="mse")
    net.fit(X, (y - y.mean()) / y.std(), epochs=5, preprocess="standardize", progress=False)
    net.params["W2"][...] *= y.std()
    net.params["b2"][...] = net.params["b2"] * y.std() + y.mean()
    assert_same(net, X)


def members(loss: Any = "softmax", dtypes: Any = ("float32", "float32", "float32")) -> list[Any]:
    given = itertools.cycle([loss] if isinstance(loss, str) else loss)
    return [
        network([13, 8 + i, 4], seed=i, loss=one, dtype=dtype, preprocess=(5.0, 0.4 + 0.1 * i))
        for i, (one, dtype) in enumerate(zip(given, dtypes, strict=False))
    ]


@pytest.mark.parametrize("combine", fanin.ensemble.model.COMBINATIONS)
@pytest.mark.parametrize(
    ("loss", "dtypes"),
    [
        ("softmax", ["float32"] * 4),
        ("softmax", ["float32", "float64", "float64"]),
        (["softmax", "svm", "mse"], ["float32"] * 3),
        ("mse", ["float64"] * 2),
        ("huber", ["float32"] * 2),
        ("poisson", ["float64"] * 2),
        ("logistic", ["float32"] * 3),
    ],
)
def test_ensembles(combine: str, loss: Any, dtypes: list[str]) -> None:
    nets = members(loss, dtypes)
    X = rows(300, dtype=np.result_type(*map(np.dtype, dtypes)))
    for weights in (None, [1.0, 0.0, 2.5, 0.3][: len(nets)]):
        assert_same(Ensemble(nets, combine=combine, weights=weights), X, 1e-6)


@pytest.mark.parametrize("combine", fanin.ensemble.model.COMBINATIONS)
def test_ensembles_of_quantiles_and_of_two_classes(combine: str) -> None:
    levels = {"loss": "quantile", "quantiles": [0.1, 0.5, 0.9]}
    nets = [network([13, 8, 3], seed=i, **levels) for i in range(2)]
    assert_same(Ensemble(nets, combine=combine), rows(100), 1e-6)
    nets = [network([13, 8, 1], seed=i, loss="logistic") for i in range(3)]
    assert_same(Ensemble(nets, combine=combine), rows(100), 1e-6)


def test_members_with_other_preprocessing() -> None:
    X = rows(100)
    nets = members()
    nets[1] = fanin.MLP([13, 4, 4])
    nets[1].set_preprocess([Whiten(method="zca", eps=0.1)], X)
    nets[2].set_preprocess("standardize", X.astype(np.float64))
    model = assert_same(Ensemble(nets), X.astype(np.float64))
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    few = fanin.MLP([13, 4])
    few.set_preprocess([PCA(13)], rows(100, 20))
    with pytest.raises(ValueError, match="net: expected members that take the same data"):
        to_onnx(Ensemble([*nets, few]))


def test_what_goes_with_the_model() -> None:
    net = network()
    net.metadata = {
        "class_names": ["ash", "birch", "cedar", "Zürich"],
        "feature_names": [f"f{i}" for i in range(13)],
        "task": "classification",
    }
    model = to_onnx(net)
    facts = {prop.key: json.loads(prop.value) for prop in model.metadata_props}
    assert facts["classes"] == net.metadata["class_names"]
    assert facts["columns"] == net.metadata["feature_names"]
    assert facts["metadata"] == net.metadata
    assert (facts["producer"], facts["version"]) == ("fanin", fanin.__version__)
    assert (model.producer_name, model.producer_version) == ("fanin", fanin.__version__)
    assert (model.opset_import[0].version, model.ir_version) == (20, 9)
    X = rows()
    for found in results(model, X):
        names = [net.metadata["class_names"][i] for i in net.predict(X)]
        assert list(found["class_name"]) == names
    both = Ensemble([net, net.copy()])
    for found in results(to_onnx(both), X):
        assert list(found["class_name"]) == names
    other = net.copy()
    other.metadata = {}
    assert [o.name for o in to_onnx(Ensemble([net, other])).graph.output][2:] == []


def test_later_opsets() -> None:
    X, net = rows(), network(activation="gelu", norm="layer")
    for opset in (21, 22):
        model = assert_same(net, X, opset=opset)
        assert model.opset_import[0].version == opset
    to_onnx(net, opset=onnx.defs.onnx_opset_version())  # checked there


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: to_onnx(fanin.MLP), TypeError, "net: expected an MLP or an Ensemble, got type"),
        (lambda: to_onnx([network()]), TypeError, "net: .* got list"),
        (lambda: to_onnx(network(), opset=19), ValueError, "opset: expected between 20 and"),
        (lambda: to_onnx(network(), opset=10**6), ValueError, "opset: expected between 20 and"),
        (lambda: to_onnx(network(), opset="20"), TypeError, "opset: expected a whole number"),
        (lambda: to_onnx(network(), input_dtype="U3"), ValueError, "input_dtype: expected uint8"),
        (lambda: to_onnx(network(), input_dtype="x"), TypeError, "input_dtype: expected uint8"),
        (
            lambda: to_onnx(network(drop_connect=0.5, drop_connect_inference="moments")),
            ValueError,
            "net: expected drop_connect_inference='mean'",
        ),
    ],
)
def test_bad_input(call: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c", 4], "abcd", ["a"] * 5])
def test_metadata_that_name_no_classes(names: Any) -> None:
    net = network()
    net.metadata = {"class_names": names}
    with pytest.raises(ValueError, match=r"net: expected metadata\['class_names'\] to be 4 names"):
        to_onnx(net)


def test_a_failed_export_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("mine")
    with pytest.raises(ValueError, match="opset"):
        to_onnx(network(), path, opset=3)
    assert path.read_text() == "mine"
    with pytest.raises(OSError, match="nowhere"):
        to_onnx(network(), tmp_path / "nowhere" / "model.onnx")


def test_a_transformer_without_an_entry_is_refused() -> None:
    net = network()

    class Odd(preprocessing.PCA):
        pass

    odd = Odd(13).fit(rows(100))
    net.inputs = type(net.inputs).of([odd], 13, net.dtype)
    with pytest.raises(ValueError, match=r"preprocess: expected one of ZeroCenter, .* got Odd"):
        to_onnx(net)
