"""The estimators in scikit-learn's company: checks, pipelines, searches, copies, processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

import joblib
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import fanin
from fanin import preprocessing
from fanin.augment import HorizontalFlip, RandomCrop
from fanin.estimators import (
    PCA,
    Augmenter,
    EnsembleClassifier,
    MLPClassifier,
    MLPRegressor,
    NetClassifier,
    NetRegressor,
    Normalize,
    SearchCV,
    TableEncoder,
    Whiten,
    ZeroCenter,
)
from fanin.tuning import loguniform

CLASSIFIERS = [MLPClassifier, NetClassifier]
KINDS = [*CLASSIFIERS, MLPRegressor, NetRegressor]


def quick(kind, **options):
    if kind in (MLPClassifier, MLPRegressor):
        return kind(
            hidden_layer_sizes=(8,), solver="lbfgs", max_iter=2000, random_state=0, **options
        )
    return kind((8,), epochs=150, random_state=0, **options)


def flowers(kind=None, n=150):
    (X, y), _ = fanin.datasets.load("digits")
    X = X.reshape(len(X), -1)[:n].astype(float) / 16
    X = X[:, X.std(axis=0) > 0.2]
    y = y[:n] % 3
    if kind in (MLPRegressor, NetRegressor):
        return X, y.astype(float)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


def assert_passes_checks(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    bad = [r["check_name"] for r in results if r["status"] not in ("passed", "skipped")]
    assert bad == []


CHECKED = [
    *(kind() for kind in KINDS),
    EnsembleClassifier(n_members=2, epochs=60),
    SearchCV(
        NetClassifier(8, epochs=80, random_state=0),
        {"reg": loguniform(1e-6, 1e-2)},
        n_trials=1,
        cv=2,
        random_state=0,
    ),
    *(ZeroCenter(), Normalize(), PCA(), Whiten(), TableEncoder(), Augmenter()),
]


@pytest.mark.row("B4")
@pytest.mark.parametrize("estimator", CHECKED, ids=lambda e: type(e).__name__)
@pytest.mark.filterwarnings("ignore")
def test_check_estimator(estimator):
    assert_passes_checks(estimator)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.filterwarnings("ignore")
def test_check_estimator_of_many_seeds(seed):
    net = NetRegressor(8, epochs=80, random_state=seed)
    search = SearchCV(net, {"reg": loguniform(1e-6, 1e-2)}, n_trials=2, cv=2, random_state=seed)
    for estimator in (*CHECKED, EnsembleClassifier(), search):
        if "random_state" in estimator.get_params(deep=False):
            estimator = clone(estimator).set_params(random_state=seed)
        assert_passes_checks(estimator)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", KINDS)
def test_pickle(kind, protocol):
    X, y = flowers(kind)
    estimator = quick(kind).fit(X, y)
    twin = pickle.loads(pickle.dumps(estimator, protocol))
    np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))
    assert twin.get_params() == estimator.get_params()


@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit_goes_on_after_joblib(kind, tmp_path):
    X, y = flowers(kind)
    estimator = kind(hidden_layer_sizes=(8,), random_state=0)
    classes = [np.unique(y)] * (kind in CLASSIFIERS)
    estimator.partial_fit(X, y, None, *classes)
    joblib.dump(estimator, tmp_path / "estimator")
    twin = joblib.load(tmp_path / "estimator")
    for _ in range(3):
        estimator.partial_fit(X, y)
        twin.partial_fit(X, y)
    np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))


@pytest.mark.parametrize("kind", KINDS)
def test_clone_and_html(kind):
    estimator = quick(kind)
    assert clone(estimator).get_params() == estimator.get_params()
    assert kind.__name__ in estimator._repr_html_()
    assert repr(kind()) == f"{kind.__name__}()"


def test_a_frame_of_any_columns_in_a_pipeline():
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    X, y = flowers()
    kinds = np.where(X[:, 1] > 0.3, "garden", "wild")
    frame = pd.DataFrame({"size": np.where(X[:, 0] > 0.5, np.nan, X[:, 0]), "kind": kinds})
    pipe = make_pipeline(TableEncoder(), quick(NetClassifier)).set_output(transform="pandas")
    pipe.fit(frame, y)
    features = pipe[0].transform(frame)
    assert list(features) == ["size", "size_missing", "kind_garden", "kind_wild"]
    np.testing.assert_array_equal(features, pipe[0].transformer_.transform(frame))
    twin = pickle.loads(pickle.dumps(pipe))
    np.testing.assert_array_equal(twin.predict(frame), pipe.predict(frame))
    with pytest.raises(ValueError, match="feature names"):
        pipe.predict(frame.rename(columns={"kind": "sort"}))
    with pytest.raises(
        TypeError, match=r"preprocess: expected what takes arrays, got a Table.*pip"
    ):
        EnsembleClassifier(preprocess=preprocessing.TableEncoder()).fit(frame, y)


@pytest.mark.parametrize("package", ["pandas", "polars", "pyarrow", "objects"])
@pytest.mark.parametrize("kind", [NetClassifier, NetRegressor])
def test_an_encoder_inside_an_estimator(kind, package):
    """It learns from the training rows alone, and is that of a pipeline."""
    pytest.importorskip("narwhals")
    X, y = flowers()
    y = (y == y[0]).astype(int)
    columns = {
        "size": np.where(X[:, 0] > 0.5, np.nan, X[:, 0]),
        "kind": np.where(X[:, 1] > 0.3, "garden", "wild"),
    }
    if package == "objects":
        rows = np.column_stack([values.astype(object) for values in columns.values()])
    else:
        module = pytest.importorskip(package)
        make = module.table if package == "pyarrow" else module.DataFrame
        rows = make({name: values.tolist() for name, values in columns.items()})
    encoder = preprocessing.TableEncoder(clip=3.0)
    model = quick(kind, preprocess=encoder, early_stopping=False).fit(rows, y)
    assert not encoder.__sklearn_is_fitted__()
    assert model.n_features_in_ == 2
    assert list(getattr(model, "feature_names_in_", columns)) == list(columns)
    outside = TableEncoder(clip=3.0).fit(rows)
    twin = quick(kind, preprocess=None, early_stopping=False).fit(outside.transform(rows), y)
    expected = twin.predict(outside.transform(rows))  # of float32, in a network of float64
    np.testing.assert_allclose(model.predict(rows), expected, rtol=1e-5)
    again = pickle.loads(pickle.dumps(clone(model).fit(rows, y)))
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    stops = quick(kind, preprocess=encoder, early_stopping=True).fit(rows, y)
    assert stops.net_.preprocess[0].n_samples_seen_ < len(y)
    weights = np.arange(len(y)) % 2
    halves = quick(kind, preprocess=encoder, early_stopping=False)
    halves.fit(rows, y, sample_weight=weights)
    assert halves.net_.preprocess[0].n_samples_seen_ == weights.sum()
    given = quick(kind, preprocess=outside.transformer_).fit(rows, y, validation_data=(rows, y))
    assert given.score(rows, y) > 0
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(rows, y[:-1])


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_grid_search_in_processes(kind):
    X, y = flowers()
    grid = {"hidden_layer_sizes": [(4,), (8,)]}
    search = GridSearchCV(quick(kind), grid, n_jobs=2, cv=3).fit(X, y)
    alone = GridSearchCV(quick(kind), grid, cv=3).fit(X, y)
    assert search.best_params_ == alone.best_params_
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )
    assert search.best_score_ > 0.6


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_pipeline_voting_calibration(kind):
    X, y = flowers()
    pipeline = make_pipeline(StandardScaler(), quick(kind))
    voting = VotingClassifier([("a", pipeline), ("b", quick(kind))], voting="soft").fit(X, y)
    assert voting.score(X, y) > 0.9
    calibrated = CalibratedClassifierCV(quick(kind), cv=3).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_sample_weight_is_routed(kind):
    X, y = flowers(kind)
    weights = np.linspace(0.5, 2, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = (
            quick(kind).set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        )
        cross_validate(estimator, X, y, params={"sample_weight": weights}, cv=3)


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_columns(kind):
    pandas = pytest.importorskip("pandas")
    X, y = flowers(kind)
    frame = pandas.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    estimator = quick(kind).fit(frame, y)
    assert list(estimator.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(frame[frame.columns[::-1]])


@pytest.mark.parametrize("kind", [*KINDS, EnsembleClassifier])
def test_a_fit_that_failed_is_none(kind):
    X, y = flowers(kind, 60)
    X[3, 2] = np.nan
    estimator = kind()
    with pytest.raises(ValueError, match=f"Input X contains NaN.\n{kind.__name__}"):
        estimator.fit(X, y)
    for _ in range(2):
        with pytest.raises(NotFittedError):
            estimator.predict(X[:3])
    with pytest.raises(ValueError, match="requires y to be passed"):
        kind().fit(X, None)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_labels_that_are_missing(kind):
    X, _ = flowers(n=20)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        kind().fit(X, np.where(np.arange(20) == 3, np.nan, np.arange(20) % 2))


@pytest.mark.parametrize("mode", ["r", "c"])
@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit_of_what_is_mapped_from_a_file(kind, mode, tmp_path):
    X, y = flowers(kind, 60)
    estimator = kind(hidden_layer_sizes=(8,), random_state=0)
    estimator.partial_fit(X, y, None, *[np.unique(y)] * (kind in CLASSIFIERS))
    joblib.dump(estimator, tmp_path / "estimator")
    twin = joblib.load(tmp_path / "estimator", mmap_mode=mode).partial_fit(X, y)
    np.testing.assert_array_equal(twin.predict(X), estimator.partial_fit(X, y).predict(X))


def test_log_probabilities_of_an_ensemble():
    X, y = flowers(n=60)
    net = EnsembleClassifier(4, n_members=2, epochs=2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(net.predict_log_proba(X), np.log(net.predict_proba(X)))


def test_workers_share_the_cores():
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        counts = joblib.Parallel()(joblib.delayed(fanin.get_num_threads)() for _ in range(4))
    assert set(counts) == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_lists_ints_and_strides(kind):
    X, y = flowers(kind, 60)
    X = np.round(8 * X)
    estimator = quick(kind).fit(X, y)
    expected = estimator.predict(X)
    wide = np.repeat(X, 2, axis=1)
    for same in (X.tolist(), X.astype(np.int64), np.asfortranarray(X), wide[:, ::2]):
        np.testing.assert_array_equal(quick(kind).fit(same, list(y)).predict(same), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_sparse(kind):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    X, y = flowers(kind, 60)
    estimator = quick(kind).fit(scipy_sparse.csr_matrix(X), y)
    expected = quick(kind).fit(X, y).predict(X)
    np.testing.assert_array_equal(estimator.predict(scipy_sparse.csc_matrix(X)), expected)


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize("labels", [[False, True], [3, 7], [-1.0, 1.0], ["no", "yes"]], ids=repr)
def test_labels_of_any_kind(kind, labels):
    X, y = flowers(n=100)
    labels = np.array(labels)
    y = labels[(y == "setosa").astype(int)]
    estimator = quick(kind).fit(X, y)
    assert estimator.predict(X).dtype == labels.dtype
    assert estimator.score(X, y) > 0.95
    assert estimator.predict_proba(X).shape == (100, 2)


def test_parameters_are_changed_between_calls():
    """Attributes that a user sets are what predicts."""
    X, y = flowers()
    estimator = quick(MLPClassifier).fit(X, y)
    expected = estimator.predict_proba(X)
    estimator.coefs_ = [w.copy() for w in estimator.coefs_]
    np.testing.assert_array_equal(estimator.predict_proba(X), expected)
    estimator.coefs_[0][:] = 0
    assert not np.array_equal(estimator.predict_proba(X), expected)


def test_partial_fit_is_absent_for_lbfgs():
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
    assert hasattr(MLPClassifier(), "partial_fit")


def test_nonfinite_weights_raise():
    X, y = flowers(MLPRegressor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="non-finite parameter weights"):
            MLPRegressor(solver="sgd", learning_rate_init=1e30, random_state=0).fit(1e10 * X, y)


def test_without_scikit_learn():
    code = "import sys; sys.modules['sklearn'] = None\nimport fanin.estimators"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install fanin[sklearn]" in done.stderr


ALL = [
    *(quick(kind) for kind in KINDS),
    EnsembleClassifier((8,), n_members=2, epochs=10, random_state=0),
    SearchCV(
        NetClassifier((4,), epochs=5, random_state=0),
        {"reg": loguniform(1e-6, 1e-2), "hidden_layer_sizes": [(4,), (8,)]},
        n_trials=2,
        cv=2,
        random_state=0,
    ),
    *(ZeroCenter(), Normalize(), PCA(3), Whiten(3), Augmenter()),
]


@pytest.mark.parametrize("estimator", ALL, ids=lambda e: type(e).__name__)
def test_skops(estimator):
    skops = pytest.importorskip("skops.io")
    X, y = flowers(type(estimator), 60)
    fitted = clone(estimator).fit(X, y)
    dumped = skops.dumps(fitted)
    twin = skops.loads(dumped, trusted=skops.get_untrusted_types(data=dumped))
    call = "predict" if hasattr(fitted, "predict") else "transform"
    np.testing.assert_array_equal(getattr(twin, call)(X), getattr(fitted, call)(X))


@pytest.mark.parametrize("protocol", [0, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize("estimator", ALL[len(KINDS) :], ids=lambda e: type(e).__name__)
def test_pickle_of_the_others(estimator, protocol):
    X, y = flowers(n=60)
    fitted = clone(estimator).fit(X, y)
    twin = pickle.loads(pickle.dumps(fitted, protocol))
    call = "predict" if hasattr(fitted, "predict") else "transform"
    np.testing.assert_array_equal(getattr(twin, call)(X), getattr(fitted, call)(X))
    assert type(estimator).__name__ in fitted._repr_html_()


@pytest.mark.parametrize(
    ("estimator", "names"),
    [(Normalize(), ["a", "b", "c"]), (PCA(2), ["pca0", "pca1"]), (Augmenter(), ["a", "b", "c"])],
    ids=lambda e: type(e).__name__,
)
def test_set_output(estimator, names):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=["a", "b", "c"])
    out = clone(estimator).set_output(transform="pandas").fit_transform(X)
    assert list(out.columns) == names
    assert list(clone(estimator).fit(X).get_feature_names_out()) == names


@pytest.mark.parametrize("kind", [ZeroCenter, Normalize, PCA, Whiten])
def test_transformers_are_those_of_preprocessing(kind):
    X, _ = flowers()
    ours, theirs = kind().fit(X), getattr(fanin.preprocessing, kind.__name__)().fit(X)
    np.testing.assert_array_equal(ours.transform(X), theirs.transform(X))
    np.testing.assert_array_equal(ours.mean_, theirs.mean_)
    back = ours.inverse_transform(ours.transform(X))
    np.testing.assert_allclose(back, X, atol=1e-6)
    parts = kind().partial_fit(X[:100]).partial_fit(X[100:])
    np.testing.assert_allclose(parts.transform(X), ours.transform(X), atol=1e-6)
    assert set(kind().get_params()) == set(theirs.get_params())


def test_augmenter_is_for_training_data_only():
    (X, y), _ = fanin.datasets.load("digits")
    flat = X.reshape(len(X), -1)
    transforms = [RandomCrop(8, padding=1), HorizontalFlip()]
    expected = fanin.augment.Compose(transforms, 5)(X, epoch=0)
    augmenter = Augmenter(transforms, image_shape=(8, 8), seed=5)
    np.testing.assert_array_equal(augmenter.fit_transform(flat), expected.reshape(flat.shape))
    np.testing.assert_array_equal(augmenter.transform(flat), flat)
    np.testing.assert_array_equal(
        clone(augmenter).set_params(image_shape=None).fit_transform(X), expected
    )
    unit = (flat / flat.max()).astype(np.float64)
    assert augmenter.fit_transform(unit).dtype == np.float64
    net = NetClassifier((8,), epochs=2, random_state=0)
    pipeline = make_pipeline(augmenter, net).fit(flat, y)
    same = clone(net).fit(augmenter.fit_transform(flat), y)
    np.testing.assert_array_equal(pipeline.predict(flat), same.predict(flat))
    with pytest.raises(ValueError, match="transforms: expected images to stay 8 x 8"):
        Augmenter([RandomCrop(6)], image_shape=(8, 8)).fit(flat)
    with pytest.raises(ValueError, match="image_shape: expected"):
        Augmenter(transforms, image_shape=(8, 9)).fit(flat)
