"""``class_weight``: the same bits as sample weights of these values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fanin

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4)).astype(np.float32)
y = np.repeat([0, 1, 3], [100, 15, 5])  # no row of class 2
OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 32, "progress": False}


def trained(network: Any = None, **options: Any) -> Any:
    net = fanin.MLP([4, 6, 4], **(network or {}))
    net.fit(options.pop("X", X), options.pop("y", y), **{**OPTIONS, **options})
    return net.get_parameters()


@pytest.mark.parametrize("loss", ["softmax", "svm", "mse"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int32])
def test_it_equals_sample_weights(loss: str, dtype: str, kind: Any) -> None:
    network = {"loss": loss, "dtype": dtype}
    balanced = np.array([120 / (3 * 100), 120 / (3 * 15), 1.0, 120 / (3 * 5)])[y]
    labels = y.astype(kind)
    both = [
        trained(network, y=labels, sample_weight=balanced),
        trained(network, y=labels, class_weight="balanced"),
    ]
    assert np.array_equal(*both)
    given = {0: 0.25, 3: 7}
    both = [
        trained(network, y=labels, sample_weight=np.array([0.25, 1, 1, 7.0])[y]),
        trained(network, y=labels, class_weight=given),
    ]
    assert np.array_equal(*both)
    assert not np.array_equal(both[0], trained(network, y=labels))


def test_balanced_is_scikit_learns() -> None:
    utils = pytest.importorskip("sklearn.utils.class_weight")
    weights = utils.compute_sample_weight("balanced", y)
    assert np.array_equal(trained(sample_weight=weights), trained(class_weight="balanced"))


def test_beside_sample_weights_it_is_their_product() -> None:
    weights = RNG.random(120)
    both = [
        trained(sample_weight=weights * np.array([0.5, 2, 1, 1])[y]),
        trained(sample_weight=weights, class_weight={0: 0.5, 1: 2}),
    ]
    assert np.array_equal(*both)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (
            {"class_weight": {4: 1.0}},
            ValueError,
            r"class_weight: expected labels in 0 \.\. 3, got 4",
        ),
        ({"class_weight": {-1: 1.0}}, ValueError, "class_weight: .* got -1"),
        ({"class_weight": {"0": 1.0}}, ValueError, "class_weight: .* got '0'"),
        ({"class_weight": {True: 1.0}}, ValueError, "class_weight: .* got True"),
        ({"class_weight": {0: -1.0}}, ValueError, r"class_weight\[0\]: expected at least 0"),
        ({"class_weight": {0: np.nan}}, ValueError, r"class_weight\[0\]: .*got nan"),
        ({"class_weight": {0: np.inf}}, ValueError, r"class_weight\[0\]: .*got inf"),
        ({"class_weight": {0: "2"}}, TypeError, r"class_weight\[0\]: expected a number"),
        ({"class_weight": {0: 0, 1: 0, 3: 0}}, ValueError, "class_weight: .*only zeros"),
        (
            {"class_weight": "even"},
            ValueError,
            "class_weight: expected one of balanced; got 'even'",
        ),
        ({"class_weight": [1, 2]}, TypeError, "class_weight: expected 'balanced', None or a dict"),
        (
            {"class_weight": "balanced", "y": np.eye(4)[y]},
            ValueError,
            "class_weight: expected labels to go with",
        ),
        (
            {"class_weight": "balanced", "mix": fanin.augment.Mixup(0.2)},
            ValueError,
            "class_weight: expected None with Mixup",
        ),
    ],
)
def test_what_is_refused(options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        trained(**options)


def test_values_of_a_regression_are_refused() -> None:
    net = fanin.MLP([4, 1], loss="mse")
    with pytest.raises(ValueError, match="class_weight: expected labels to go with"):
        net.fit(X, y.astype(float), class_weight="balanced", **OPTIONS)


@pytest.mark.filterwarnings("ignore::fanin.metrics.RareClassWarning")
def test_it_finds_the_rare_class() -> None:
    rng = np.random.default_rng(3)
    labels = (np.arange(2000) < 60).astype(int)
    data = rng.normal(size=(2000, 4)).astype(np.float32) + labels[:, None].astype(np.float32)

    def balanced_accuracy(**options: Any) -> float:
        net = fanin.MLP([4, 8, 2])
        net.fit(data, labels, epochs=20, batch_size=64, progress=False, **options)
        return net.evaluate(data, labels, metrics=["balanced_accuracy"])["balanced_accuracy"]

    assert balanced_accuracy(class_weight="balanced") > balanced_accuracy() + 0.1


def test_a_search_may_vary_it() -> None:
    space = {"class_weight": fanin.tuning.choice([None, "balanced", {0: 1.0, 1: 3.0}])}
    result = fanin.tuning.search(
        space, (X, y), 3, strategy="grid", validation_data=(X, y), epochs=2, hidden=6,
        monitor="val_balanced_accuracy", progress=False,
    )  # fmt: skip
    assert [t.status for t in result] == ["done"] * 3
    assert len({t.curves["loss"][-1] for t in result}) == 3
    fixed = fanin.tuning.search(
        {"lr": fanin.tuning.choice([1e-3])}, (X, y), 1, class_weight="balanced", epochs=2,
        validation_data=(X, y), hidden=6, progress=False,
    )  # fmt: skip
    assert fixed.trials[0].curves["loss"] == result.trials[1].curves["loss"]
