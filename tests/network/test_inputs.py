"""Preprocessing inside a network: fitted with it, folded into its loop, saved with it."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanin
from fanin import checkpoint
from fanin.network.inputs import blocks
from fanin.preprocessing import PCA, Normalize, Whiten, ZeroCenter

P1, P2 = pytest.mark.row("P1"), pytest.mark.row("P2")
STORED = [np.uint8, np.float32, np.float64]
OPTIONS: dict[str, Any] = {"epochs": 2, "batch_size": 64, "progress": False}


def data(n: int = 200, d: int = 12, stored: Any = np.float32, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = 100 + rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * np.geomspace(20, 3, d)
    return np.clip(x, 0, 255).astype(stored)


def labels(n: int = 200, classes: int = 3) -> np.ndarray:
    return np.arange(n) * 7 % classes


PIPELINES: dict[str, tuple[Any, int]] = {
    "centre": (ZeroCenter(), 12),
    "normalize": (Normalize(), 12),
    "both": ([ZeroCenter(), Normalize(eps=0.5)], 12),
    "pca": (PCA(5), 5),
    "normalize, pca": ([Normalize(), PCA(5)], 5),
    "pca, normalize": ([PCA(5), Normalize()], 5),
    "a share": ([PCA(0.9)], 0),
    "whiten": (Whiten(7), 7),
    "zca": ([ZeroCenter(), Whiten(method="zca", eps=0.1)], 12),
    "all": ([Normalize(), PCA(9), Normalize(), Whiten(6), ZeroCenter(), Normalize()], 6),
}


def by_hand(given: Any, X: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Fitted copies, one after the other, and what they make of X."""
    steps = [type(s)(**s.get_params()) for s in (given if isinstance(given, list) else [given])]
    for step in steps:
        X = step.fit_transform(X)
    return steps, X


@P1
@P2
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("name", PIPELINES)
def test_a_network_sees_what_the_transformers_make(name: str, stored: Any) -> None:
    given, width = PIPELINES[name]
    X, new = data(stored=stored), data(50, stored=stored, seed=1)
    steps, rows = by_hand(given, X)
    net = fanin.MLP([width or rows.shape[1], 8, 3], dtype="float64", seed=1)
    plain = net.copy()
    net.set_preprocess(given, X)
    atol = 1e-9 if stored is np.float64 else 1e-4
    for x in (X, new):
        expected = x
        for step in steps:
            expected = step.transform(expected)
        np.testing.assert_allclose(net.scores(x), plain.scores(expected), rtol=1e-3, atol=atol)
        prepared = net.prepare(x)
        seen, mean, scale = prepared.X, prepared.mean, prepared.scale
        if mean is not None:
            seen = (seen - mean) * scale
        np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=50 * atol)
    assert repr(net.preprocess) == repr(given if isinstance(given, list) else [given])
    for one in given if isinstance(given, list) else [given]:
        assert not one.__sklearn_is_fitted__()


@P1
@P2
@pytest.mark.parametrize("name", PIPELINES)
def test_every_pass_over_data_is_preprocessed(name: str) -> None:
    given, width = PIPELINES[name]
    images = data(stored=np.uint8).reshape(200, 2, 2, 3)
    rows, y = by_hand(given, images)[1], labels()
    net = fanin.MLP([width or rows.shape[1], 8, 3], dtype="float64", seed=1)
    plain = net.copy()
    seen = net.fit(images, y, validation_data=(images, y), preprocess=given, **OPTIONS)
    expected = plain.fit(rows, y, validation_data=(rows, y), preprocess=None, **OPTIONS)
    for key, values in expected.history.items():
        np.testing.assert_allclose(seen.history[key], values, rtol=1e-4, atol=1e-4, err_msg=key)
    assert net.evaluate(images, y)["loss"] == seen.history["val_loss"][-1]
    np.testing.assert_array_equal(net.predict(images), net.scores(images).argmax(axis=1))
    np.testing.assert_allclose(
        net.predict_proba(images), fanin.losses.softmax(net.scores(images)), rtol=1e-12
    )
    loss, grads = net.loss_and_grads(images, y)
    plain.set_parameters(net.get_parameters())
    expected_loss, expected_grads = plain.loss_and_grads(rows, y)
    assert loss == pytest.approx(expected_loss, rel=1e-4)
    for key, value in expected_grads.items():
        np.testing.assert_allclose(grads[key], value, atol=1e-4, err_msg=key)


@P1
def test_folded_steps_are_one_pair_and_no_copy() -> None:
    X = data(20_000, 300, np.uint8)
    net = fanin.MLP([300, 3])
    tracemalloc.start()
    net.fit(X, labels(len(X)), preprocess=[ZeroCenter(), Normalize()], **OPTIONS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    prepared = net.prepare(X)
    rows, mean, scale = prepared.X, prepared.mean, prepared.scale
    assert rows.base is X or rows is X
    assert mean is not None
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(1 / scale, X.std(axis=0), rtol=1e-6)
    assert peak < 4 * X.size  # less than a float32 copy; a block is some of it


@P1
def test_a_feature_far_from_zero() -> None:
    X = 1e8 + np.random.default_rng(0).normal(size=(500, 4))
    net = fanin.MLP([4, 3])
    net.set_preprocess([ZeroCenter(), Normalize()], X)
    prepared = net.prepare(X)
    rows, mean, scale = prepared.X, prepared.mean, prepared.scale
    np.testing.assert_allclose(((rows - mean) * scale).std(axis=0), 1, rtol=1e-6)
    expected = fanin.MLP([4, 3]).scores(Normalize().fit_transform(X).astype(np.float32))
    np.testing.assert_allclose(net.scores(X), expected, atol=1e-6)


@P1
@P2
@pytest.mark.parametrize("way", ["copy", "deepcopy", "pickle", "save"])
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("name", PIPELINES)
def test_copies_and_files_carry_it(name: str, stored: Any, way: str, tmp_path: Path) -> None:
    given, width = PIPELINES[name]
    X, y = data(stored=stored), labels()
    width = width or by_hand(given, X)[1].shape[1]
    net = fanin.MLP([width, 8, 3], seed=1)
    net.fit(X, y, preprocess=given, **OPTIONS)
    if way == "copy":
        twin = net.copy()
    elif way == "deepcopy":
        twin = copy.deepcopy(net)
    elif way == "pickle":
        twin = pickle.loads(pickle.dumps(net))
    else:
        net.save(tmp_path / "net")
        twin = fanin.MLP.load(tmp_path / "net")
    assert repr(twin.preprocess) == repr(net.preprocess)
    for x in (X, data(70, stored=np.float64, seed=3), data(70, stored=np.uint8, seed=3)):
        np.testing.assert_array_equal(twin.scores(x), net.scores(x))
    for a, b in zip(twin.preprocess, net.preprocess, strict=True):
        assert a.n_samples_seen_ == b.n_samples_seen_ == 200
        some = data(9, a.n_features_out_)
        np.testing.assert_array_equal(a.inverse_transform(some), b.inverse_transform(some))
    before = net.get_parameters()
    twin.fit(X, y, **OPTIONS)  # goes on with what was stored
    np.testing.assert_array_equal(net.get_parameters(), before)
    net.fit(X, y, **OPTIONS)
    np.testing.assert_array_equal(net.get_parameters(), twin.get_parameters())


def test_files_from_before_there_were_steps_still_load(tmp_path: Path) -> None:
    X = data()
    net = fanin.MLP([12, 3])
    net.set_preprocess("standardize", X)
    state = net.__getstate__()
    arrays = state.pop("arrays")
    assert set(arrays) == {"parameters", "mean", "scale", "range", "stored"}
    del arrays["range"], arrays["stored"]
    assert state.pop("preprocess") == []
    checkpoint.save_archive(tmp_path / "old", state | {"kind": "network"}, arrays)
    np.testing.assert_array_equal(fanin.MLP.load(tmp_path / "old").scores(X), net.scores(X))


BROKEN: dict[str, Any] = {
    "kind": lambda steps, _: steps[0].update(name="Scale"),
    "parameter": lambda steps, _: steps[1]["params"].update(n_component=2),
    "method": lambda steps, _: steps[1]["params"].update(method="cholesky"),
    "width": lambda steps, _: steps[0].update(columns=11),
    "rows": lambda steps, _: steps[0].update(rows=0),
    "no list": lambda steps, _: steps.insert(0, 7),
    "order": lambda steps, _: steps.reverse(),
    "step": lambda steps, _: steps.pop(),
    "array": lambda _, arrays: arrays.pop("step1.vectors"),
    "dtype": lambda _, a: a.update({"step0.mean_": a["step0.mean_"].astype(np.float32)}),
    "shape": lambda _, a: a.update({"step1.variances": a["step1.variances"][:2]}),
    "infinite": lambda _, a: a.update({"step1.vectors": a["step1.vectors"] * np.float32(np.inf)}),
}


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("fault", BROKEN)
def test_files_that_do_not_fit_together_are_refused(fault: str, tmp_path: Path) -> None:
    net = fanin.MLP([5, 3])
    net.set_preprocess([Normalize(), Whiten(5)], data())
    state = net.__getstate__()
    arrays = state.pop("arrays")
    BROKEN[fault](state["preprocess"], arrays)
    checkpoint.save_archive(tmp_path / "net", state | {"kind": "network"}, arrays)
    with pytest.raises(ValueError, match="net: not a usable network"):
        fanin.MLP.load(tmp_path / "net")


@P2
def test_a_fitted_transformer_is_used_as_it_is_and_yours_stays_yours() -> None:
    X, other = data(), data(300, seed=5)
    pca = PCA(4).partial_fit(other)
    net = fanin.MLP([4, 3])
    net.set_preprocess(pca, X)
    held = net.preprocess[0]
    assert held is not pca
    assert held.n_samples_seen_ == 300
    before = net.scores(X)
    pca.partial_fit(X)  # changes pca's sums in place, and not the network's
    np.testing.assert_array_equal(net.scores(X), before)
    with pytest.raises(ValueError, match=r"partial_fit: expected a fit .* that a network holds"):
        held.partial_fit(X)
    again = fanin.MLP([4, 3])  # what one network has, another takes
    again.set_preprocess(net.preprocess, X)
    np.testing.assert_array_equal(again.scores(X), before)


def test_what_is_set_stays_until_something_else_is() -> None:
    X, y = data(stored=np.uint8), labels()
    net = fanin.MLP([12, 3])
    assert net.preprocess is None
    net.fit(X, y, preprocess=[Normalize()], **OPTIONS)
    net.fit(X[:64] // 2, y[:64], **OPTIONS)
    assert net.preprocess[0].n_samples_seen_ == 200
    net.set_preprocess((3, 0.5), X)
    mean, scale = net.preprocess
    assert (mean, scale) == (3, 0.5)
    net.set_preprocess(Normalize(), X[:50])
    assert net.preprocess[0].n_samples_seen_ == 50


class Mine(Normalize):
    """A kind that a file could not name."""


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "width": (
        [Normalize(), PCA(5)],
        ValueError,
        r"preprocess: expected 4 features, the .* dims\[0\], after Normalize.*got 5 from the 12 of",
    ),
    "a share": (PCA(0.999), ValueError, "expected 4 features, .* from the 12 of X"),
    "affine width": (Normalize(), ValueError, r"X: expected shape \(N, 4\) .*got \(200, 12\)"),
    "fitted width": (
        PCA(4).fit(data(50, 9)),
        ValueError,
        r"X: expected shape \(N, 9\), .* makes 4 features, got \(200, 12\) float32",
    ),
    "second's width": (
        [ZeroCenter(), PCA(4).fit(data(50, 9))],
        ValueError,
        r"expected PCA\(n_components=4\) fitted on 12 features, .* on 9",
    ),
    "foreign": (
        [PCA(4), 7],
        TypeError,
        r"preprocess\[1\]: expected ZeroCenter\(\), Normalize\(\), PCA\(\), Whiten\(\), .*got 7",
    ),
    "a name": (["standardize", PCA(4)], TypeError, r"preprocess\[0\]: .*got 'standardize'"),
    "class": (PCA, TypeError, "preprocess: .*got the class PCA"),
    "subclass": (Mine(), TypeError, r"preprocess: .*got Mine\(\)"),
    "option": ([Normalize(eps=-1), PCA(4)], ValueError, "eps: expected at least 0"),
    "components": ([Whiten(400, method="zca"), PCA(4)], ValueError, "n_components: expected betw"),
    "numbers": (
        [3],
        ValueError,
        "preprocess: expected 'auto', None, 'standardize', transformers of",
    ),
    "name": ("normal", ValueError, "preprocess: expected one of auto, standardize; got 'normal'"),
    "callback": (PCA(4), TypeError, "callbacks: expected"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_preprocess_changes_nothing(case: str) -> None:
    given, kind, message = BAD[case]
    net = fanin.MLP([4, 3])
    before = net.inputs
    hooks = [7] if case == "callback" else []
    with pytest.raises(kind, match=message):
        net.fit(data(), labels(), preprocess=given, callbacks=hooks, **OPTIONS)
    assert net.inputs is before
    assert net.epochs_done == 0


def test_no_transformers_at_all() -> None:
    with pytest.raises(
        ValueError, match=r"expected 'auto', None, 'standardize', transformers .*, got \[\]"
    ):
        fanin.MLP([12, 3]).set_preprocess([], data())


def test_a_scikit_learn_transformer_is_refused_with_advice() -> None:
    theirs = pytest.importorskip("sklearn.preprocessing").StandardScaler()
    with pytest.raises(TypeError, match=r"got StandardScaler\(\); apply any other transformer to"):
        fanin.MLP([12, 3]).set_preprocess([theirs, PCA(3)], data())


def test_bad_data_name_the_width_before_preprocessing() -> None:
    X, y = data(), labels()
    net = fanin.MLP([4, 3])
    message = r"validation X: expected shape \(N, 12\), which preprocessing makes 4 features, got"
    with pytest.raises(ValueError, match=message):
        net.fit(X, y, validation_data=(X[:, :4].copy(), y), preprocess=PCA(4), **OPTIONS)
    assert net.preprocess is None
    net.fit(X, y, preprocess=PCA(4), **OPTIONS)
    for call in (net.scores, net.predict, lambda x: net.evaluate(x, y), net.prepare):
        with pytest.raises(ValueError, match=r"X: expected shape \(N, 12\), which .* 4 features"):
            call(X[:, :4].copy())
        bad = X.copy()
        bad[150, 3] = np.nan
        with pytest.raises(ValueError, match="X: expected finite values, got nan in row 150, col"):
            call(bad)
    np.testing.assert_array_equal(net.scores(X[:2].tolist()), net.scores(X[:2]))
    with pytest.raises(ValueError, match=r"X: .*at least one row"):
        net.scores(X[:0])


@P2
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("name", ["normalize, pca", "whiten", "zca", "all"])
def test_a_rows_bits_do_not_depend_on_the_others(name: str, stored: Any) -> None:
    given, width = PIPELINES[name]
    X = data(700, stored=stored)
    net = fanin.MLP([width, 8, 3])
    net.set_preprocess(given, X)
    whole = net.scores(X)
    for part in (slice(0, 1), slice(5, 6), slice(17, 300), slice(299, 700)):
        np.testing.assert_array_equal(net.scores(X[part], n_threads=1), whole[part])
    for step, rows in zip(net.preprocess, [X], strict=False):
        np.testing.assert_array_equal(step.transform(rows[9:10]), step.transform(rows)[9:10])


@P2
def test_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = data(700, stored=np.uint8), labels(700)
    given = [PCA(6), Normalize(), Whiten(5, method="pca")]
    net = fanin.MLP([5, 8, 3], seed=1)
    net.fit(X, y, validation_data=(X, y), preprocess=given, **OPTIONS)
    expected, rows = net.scores(X), net.prepare(X).X
    monkeypatch.setattr("fanin.network.inputs.BLOCK", 12 * 100)
    assert [len(b) for b in blocks(X)] == [100] * 7
    np.testing.assert_array_equal(net.prepare(X).X, rows)
    np.testing.assert_array_equal(net.scores(X), expected)
    bad = X.astype(np.float32)
    bad[555, 2] = np.nan
    with pytest.raises(ValueError, match="got nan in row 555, column 2"):
        net.scores(bad)


BITS = """
    import hashlib
    import numpy as np
    import fanin
    from fanin.preprocessing import PCA, Normalize, Whiten, ZeroCenter

    X = (np.arange(400 * 70) * 2654435761 % 251).astype(np.uint8).reshape(400, 70)
    X = X // (1 + np.arange(70, dtype=np.uint8) // 9)
    y = np.arange(400) * 7 % 10
    digest = hashlib.sha256()
    for stored in (np.uint8, np.float32, np.float64):
        x = X.astype(stored)
        for step in (ZeroCenter(), Normalize(), PCA(30), Whiten(20), Whiten(method="zca")):
            out = step.fit_transform(x)
            digest.update(out.tobytes())
            digest.update(step.inverse_transform(out).tobytes())
            parts = type(step)(**step.get_params()).partial_fit(x[:250]).partial_fit(x[250:])
            digest.update(parts.transform(x).tobytes())
        for steps, width in (([ZeroCenter(), Normalize()], 70), ([Normalize(), PCA(30)], 30)):
            net = fanin.MLP([width, 33, 10], keep=0.8)
            net.fit(x, y, epochs=2, batch_size=128, preprocess=steps, progress=False)
            digest.update(net.get_parameters().tobytes())
            digest.update(net.scores(x).tobytes())
    print(digest.hexdigest())
"""


@P1
@P2
def test_same_bits_on_every_instruction_set_and_thread_count(isa: str, run_isa: Any) -> None:
    """Eigenvectors are LAPACK's: one machine's, whose threads are not ours to set."""
    reference = run_isa(BITS, threads=1)
    for threads in (1, 2, 3):
        assert run_isa(BITS, isa, threads) == reference
