"""Labels of any kind: mapped to classes that the network keeps, and given back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fanin

N, D, C = 60, 4, 3
X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
POSITIONS = np.arange(N) % C
LABELS: dict[str, Any] = {
    "text": np.array(["ant", "bee", "cat"]),
    "objects": np.array(["ant", "bee", "cat"], object),
    "whole floats": np.array([0.0, 1.0, 2.0]),
    "others": np.array([-1, 4, 70]),
    "unsigned": np.array([1, 2, 3], np.uint8),
}


def fitted(y: Any, **options: Any) -> fanin.MLP:
    net = fanin.MLP([D, 8, C], seed=1, **options)
    net.fit(X, y, epochs=2, batch_size=16, validation_data=(X, y), progress=False)
    return net


@pytest.mark.parametrize("kind", LABELS)
def test_labels_come_back_as_given(kind: str, tmp_path: Any) -> None:
    classes = LABELS[kind]
    y = classes[POSITIONS]
    plain, net = fitted(POSITIONS), fitted(y)
    np.testing.assert_array_equal(net.get_parameters(), plain.get_parameters())
    np.testing.assert_array_equal(net.predict(X), classes[plain.predict(X)])
    assert net.evaluate(X, y) == plain.evaluate(X, POSITIONS)
    assert net.evaluate(X, y.tolist()) == plain.evaluate(X, POSITIONS)
    assert net.loss(X, y) == plain.loss(X, POSITIONS)
    net.save(tmp_path / "net.fanin")
    for again in (fanin.MLP.load(tmp_path / "net.fanin"), net.copy()):
        np.testing.assert_array_equal(again.predict(X), net.predict(X))
        assert again.classes_.dtype.kind == np.array(classes.tolist()).dtype.kind


def test_two_truth_values_are_two_classes() -> None:
    net = fanin.MLP([D, 2])
    net.fit(X, POSITIONS == 0, epochs=1, progress=False)
    assert net.predict(X).dtype == bool
    assert net.evaluate(X, POSITIONS == 0)["accuracy"] == np.mean(
        net.predict(X) == (POSITIONS == 0)
    )


def test_labels_from_zero_on_stay_as_they_are() -> None:
    net = fitted(POSITIONS)
    np.testing.assert_array_equal(net.classes_, [0, 1, 2])
    assert "classes" not in net.config()
    assert net.evaluate(X, POSITIONS.astype(float)) == net.evaluate(X, POSITIONS)


def test_the_classes_can_be_named_at_once() -> None:
    net = fanin.MLP([D, 8, C], seed=1, classes=["cat", "ant", "bee"])
    y = np.array(["cat", "ant", "bee"])[POSITIONS]
    net.fit(X, y, epochs=2, batch_size=16, progress=False)
    np.testing.assert_array_equal(net.get_parameters(), fitted(POSITIONS).get_parameters())
    assert net.classes_.tolist() == ["cat", "ant", "bee"]
    net.fit(X[:10], y[:10], epochs=1, progress=False)
    with pytest.raises(ValueError, match="classes: expected 3 different labels"):
        fanin.MLP([D, C], classes=["a", "b", "a"])
    with pytest.raises(ValueError, match="classes: expected None with loss='mse'"):
        fanin.MLP([D, C], loss="mse", classes=["a", "b", "c"])


def test_a_fit_may_lack_classes_that_are_named_or_known() -> None:
    X = np.random.default_rng(0).normal(size=(20, 4))
    for labels in ([0, 1, 2], ["a", "b", "c"]):
        net = fanin.MLP([4, 3], classes=labels)
        assert fanin.MLP(**net.config()).targets.classes_given
        net.fit(X, np.array(labels)[[1] * 20], epochs=1)
        assert net.predict(X[:2]).tolist() == [labels[1]] * 2
    net = fanin.MLP([4, 3])
    with pytest.raises(ValueError, match="y: expected at least two classes, got only class 1"):
        net.fit(X, np.ones(20, int))
    net.fit(X, np.arange(20) % 3, epochs=1)
    net.fit(X, np.ones(20, int), epochs=1)  # more rows of what it has learnt


def test_unseen_labels_are_refused_by_name() -> None:
    net = fitted(LABELS["text"][POSITIONS])
    with pytest.raises(ValueError, match=r"classes ant, bee, cat; got .*dog.* row 1"):
        net.evaluate(X[:2], ["ant", "dog"])
    with pytest.raises(TypeError, match=r"y: expected text as labels, .* got .*int64"):
        net.evaluate(X, POSITIONS)
    with pytest.raises(ValueError, match="validation y: expected one of the classes"):
        fanin.MLP([D, C]).fit(
            X, LABELS["text"][POSITIONS], validation_data=(X[:1], ["dog"]), progress=False
        )
    with pytest.raises(ValueError, match=r"labels of 3 classes, .* got 2 different: a, b"):
        fanin.MLP([D, C]).fit(X, np.array(["a", "b"])[POSITIONS % 2], progress=False)


def test_class_weights_go_by_the_labels() -> None:
    y = LABELS["text"][POSITIONS]
    options = {"epochs": 2, "progress": False}
    net, plain = fanin.MLP([D, C]), fanin.MLP([D, C])
    net.fit(X, y, class_weight={"bee": 3.0}, **options)
    plain.fit(X, POSITIONS, class_weight={1: 3.0}, **options)
    np.testing.assert_array_equal(net.get_parameters(), plain.get_parameters())
    with pytest.raises(ValueError, match="expected labels among ant, bee, cat, got 1"):
        net.fit(X, y, class_weight={1: 3.0}, **options)


def test_a_failed_fit_leaves_no_classes() -> None:
    net = fanin.MLP([D, C])
    with pytest.raises(ValueError, match="batch_size"):
        net.fit(X, LABELS["text"][POSITIONS], batch_size=0, progress=False)
    np.testing.assert_array_equal(net.classes_, [0, 1, 2])


def test_categories_of_a_series() -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    y = pd.Series(LABELS["text"][POSITIONS]).astype("category")
    assert fitted(y).classes_.tolist() == ["ant", "bee", "cat"]
    two = y[y != "cat"]
    net = fanin.MLP([D, C])
    net.fit(X[(y != "cat").to_numpy()], two, epochs=1, progress=False)
    assert net.classes_.tolist() == ["ant", "bee", "cat"]


def test_ensembles_search_and_guide_map_labels() -> None:
    y = LABELS["text"][POSITIONS]
    options: dict[str, Any] = {"epochs": 2, "progress": False}
    ensemble = fanin.ensemble.from_datasets([D, 8, C], X, y, n_members=2, **options)
    plain = fanin.ensemble.from_datasets([D, 8, C], X, POSITIONS, n_members=2, **options)
    np.testing.assert_array_equal(ensemble.predict(X), LABELS["text"][plain.predict(X)])
    assert ensemble.evaluate(X, y)["loss"] == plain.evaluate(X, POSITIONS)["loss"]
    space = {"lr": fanin.tuning.loguniform(1e-3, 1e-1)}
    found = fanin.tuning.search(space, (X, y), n_trials=2, epochs=2, progress=False)
    assert set(found.best.network.predict(X)) <= set(LABELS["text"])
