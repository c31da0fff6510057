"""How data enter a network is recorded at fit, and goes by value: no dtype changes an answer."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanin
from fanin import checkpoint
from fanin.ensemble import Ensemble
from fanin.network import UnitsWarning
from fanin.preprocessing import PCA, Normalize, Whiten, ZeroCenter

WHOLE = ["uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "uint64"]
DTYPES = [*WHOLE, "float16", "float32", "float64"]
WAYS: dict[str, Any] = {
    "none": None,
    "standardize": "standardize",
    "pair": (3.3, 1 / 7),
    "far": (1e5 + 0.3, 1.0),
    "normalize": Normalize(),
    "both": [ZeroCenter(), Normalize()],
    "pca": [Normalize(), PCA(12)],
    "whiten": [Whiten(12)],
}
OPTIONS: dict[str, Any] = {"epochs": 2, "batch_size": 32, "progress": False}


def pixels(n: int = 90, seed: int = 0) -> np.ndarray:
    """Images of 4 x 5 pixels from 0 to 16, of three classes."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 17, (n, 4, 5), dtype=np.uint8)
    X[0, 0, :2] = 0, 16
    return X


def labels(n: int = 90) -> np.ndarray:
    return np.arange(n) * 7 % 3


def trained(way: Any = "auto", dtype: str = "float32", data: str = "uint8") -> fanin.MLP:
    width = 12 if way in (WAYS["pca"], WAYS["whiten"]) else 20
    net = fanin.MLP([width, 9, 3], dtype=dtype, seed=1)
    net.fit(pixels().astype(data), labels(), preprocess=way, **OPTIONS)
    return net


@pytest.mark.row("B1")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", ["auto", *WAYS])
def test_every_pass_takes_every_dtype(way: str, dtype: str) -> None:
    net = trained(WAYS.get(way, way), dtype)
    X, y = pixels(40, seed=1), labels(40)
    seen = set()
    for name in DTYPES:
        x = X.astype(name)
        loss, grads = net.loss_and_grads(x, y)
        results = (net.scores(x), net.predict(x), net.predict_proba(x), grads["W1"])
        seen.add((str(net.evaluate(x, y)), loss, *(r.tobytes() for r in results)))
    assert len(seen) == 1
    flags = X > 8
    np.testing.assert_array_equal(net.scores(flags), net.scores(flags.astype("float64")))


@pytest.mark.parametrize("way", WAYS)
def test_training_takes_every_dtype(way: str) -> None:
    """The parameters, and the validation data's loss, whatever their dtype."""
    seen = set()
    for name in DTYPES:
        net = fanin.MLP([12 if way in ("pca", "whiten") else 20, 9, 3], seed=1)
        judge = (pixels(40, seed=1).astype(DTYPES[-DTYPES.index(name)]), labels(40))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            history = net.fit(
                *(pixels().astype(name), labels()),
                preprocess=WAYS[way],
                validation_data=judge,
                **OPTIONS,
            )
        seen.add((net.get_parameters().tobytes(), str(history.history["val_loss"])))
    assert len(seen) == 1


def test_whole_numbers_are_bytes_by_their_values() -> None:
    """One mean and one deviation where they lie in 0 ... 255; other numbers enter as they are."""
    X = pixels()
    for name in WHOLE:
        pair = trained(data=name).preprocess
        assert isinstance(pair, tuple)
        np.testing.assert_allclose(pair, [[X.mean()], [1 / X.std()]], rtol=1e-12)
    net = fanin.MLP([20, 3])
    net.set_preprocess("auto", X.astype(np.int16) - 8)
    assert net.preprocess is None
    net.set_preprocess("auto", X / 16)  # none was recorded that could stay
    assert net.preprocess is None


@pytest.mark.parametrize("data", ["uint8", "float64"])
def test_a_second_fit_keeps_what_the_first_recorded(data: str) -> None:
    X = pixels()
    once = trained()
    again = once.copy()
    once.fit(X, labels(), **OPTIONS)
    again.fit(X.astype(data), labels(), **OPTIONS)
    np.testing.assert_array_equal(again.get_parameters(), once.get_parameters())
    again.fit(X, labels(), preprocess=None, **OPTIONS)
    assert again.preprocess is None
    np.testing.assert_array_equal(again.scores(X), again.scores(X.astype("int32")))


WAYS_TO_COPY: dict[str, Callable[[fanin.MLP, Path], fanin.MLP]] = {
    "copy": lambda net, _: net.copy(),
    "deepcopy": lambda net, _: copy.deepcopy(net),
    "pickle": lambda net, _: pickle.loads(pickle.dumps(net)),
    "save": lambda net, path: net.save(path) or fanin.MLP.load(path),  # type: ignore[func-returns-value]
}


@pytest.mark.parametrize("way", ["auto", *WAYS])
@pytest.mark.parametrize("how", WAYS_TO_COPY)
def test_copies_carry_range_and_shape(how: str, way: str, tmp_path: Path) -> None:
    net = trained(WAYS.get(way, way))
    twin = WAYS_TO_COPY[how](net, tmp_path / "net")
    assert twin.inputs.range == (0.0, 16.0)
    assert twin.inputs.shape == (4, 5)
    for name in DTYPES:
        x = pixels(40, seed=1).astype(name)
        np.testing.assert_array_equal(twin.scores(x), net.scores(x))
    with pytest.warns(UnitsWarning, match=r"X reaches 4080, training data reached 16"):
        twin.predict(pixels() * np.float32(255))
    with pytest.raises(ValueError, match=r"\(4, 5\).*\(5, 4\)"):
        twin.predict(pixels().reshape(-1, 5, 4))


def test_files_from_before_a_range_was_recorded_load(tmp_path: Path) -> None:
    for way in (None, "standardize"):
        state = trained(way).__getstate__()
        arrays = {n: a for n, a in state.pop("arrays").items() if n not in ("range", "shape")}
        checkpoint.save_archive(tmp_path / "old", state | {"kind": "network"}, arrays)
        old = fanin.MLP.load(tmp_path / "old")
        np.testing.assert_array_equal(old.scores(pixels()), trained(way).scores(pixels()))
        old.predict(pixels() * np.float32(1e6))  # nothing is outside
        before = repr(old.preprocess)
        old.fit(pixels(), labels(), **OPTIONS)  # what it has been trained with stays
        assert repr(old.preprocess) == before


FAR = {
    "bytes for pixels of 0 ... 1": (1 / 16, 1.0, r"X reaches 16, .* reached 1: not divided\?"),
    "divided twice in training": (1 / 255, 1.0, r"X reaches 16, .* 0.06275: divided twice\?"),
    "divided twice": (1.0, 1 / 255 / 16, r"X reaches 0.003922, .* reached 16: divided twice\?"),
}


@pytest.mark.row("B1")
@pytest.mark.parametrize("case", FAR)
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_other_units_are_named(case: str, name: str) -> None:
    before, after, message = FAR[case]
    net = fanin.MLP([20, 3])
    X, y = (pixels() * before).astype(name), labels()
    net.fit(X, y, preprocess=None, **OPTIONS)
    other = (pixels() * after).astype(name)
    models = (net, Ensemble([net, net.copy()]))
    calls: list[Callable[[], Any]] = [
        lambda: net.fit(other, y, **OPTIONS),
        lambda: net.fit(X, y, validation_data=(other, y), **OPTIONS),
        # Of a first fit too, whose range is that of its training data.
        lambda: fanin.MLP([20, 3]).fit(
            X, y, preprocess=None, validation_data=(other, y), **OPTIONS
        ),
    ]
    for one in models:
        calls += [lambda one=one: one.predict(other), lambda one=one: one.evaluate(other, y)]
    for call in calls:
        with pytest.warns(UnitsWarning, match=message.removeprefix("X ")) as caught:
            call()
        assert {w.filename for w in caught} == {__file__}


@pytest.mark.parametrize("way", ["auto", "none", "standardize", "pair"])
@pytest.mark.parametrize("name", ["uint8", "float32", "float64"])
def test_a_first_fit_looks_for_its_range_once(
    way: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def counted(rows: np.ndarray) -> Any:
        seen.append(len(rows))
        return extremes(rows)

    extremes = fanin._core.extremes
    monkeypatch.setattr(fanin._core, "extremes", counted)
    net, judge = fanin.MLP([20, 3]), (pixels(40, seed=1).astype(name), labels(40))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnitsWarning)
        net.fit(
            *(pixels().astype(name), labels()),
            preprocess=WAYS.get(way, way),
            validation_data=judge,
            **OPTIONS,
        )
    assert sorted(seen) == [40, 90]
    assert net.inputs.range == (0.0, 16.0)


def test_other_offsets_are_named() -> None:
    years = np.linspace(1990, 2020, 90)[:, None]
    net = fanin.MLP([1, 3])
    net.fit(years, labels(), preprocess="standardize", **OPTIONS)
    with pytest.warns(UnitsWarning, match="goes from 15 to 15, training data from 1990 to 2020"):
        net.predict(np.array([[15.0]]))


def test_what_lies_near_is_not_warned_of() -> None:
    net = trained(data="float32", way=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.predict(pixels() * np.float32(10))
        net.predict(pixels() / np.float32(99))
        net.predict(np.zeros((90, 20), np.uint8))
        net.predict(pixels()[:15] / np.float32(1e6))  # dark images
        net.predict(np.array([[-100.0] * 20]))
        fanin.MLP([20, 3]).fit(pixels() / 16, labels(), **OPTIONS)


@pytest.mark.parametrize(
    ("scale", "shift", "message"),
    [(100.0, 0, "column 1 is about"), (1, 1e6, "column"), (0.005, 0, "no value exceeds 0.0")],
)
def test_badly_scaled_floats_are_told(scale: float, shift: float, message: str) -> None:
    X = np.random.default_rng(0).normal(size=(300, 4))
    X[:, 1] *= scale
    X = X * (0.005 if scale == 0.005 else 1) + shift
    y = labels(300)
    for first in (X, X.astype(np.float32)):
        with pytest.warns(UnitsWarning, match=f"X: floats enter as they are, and {message}"):
            fanin.MLP([4, 3]).fit(first, y, **OPTIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UnitsWarning)
            fanin.MLP([4, 3]).fit(first, y, preprocess=None, epochs=0)
            fanin.MLP([4, 3]).fit(first, y, preprocess="standardize", **OPTIONS)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_another_shape_are_refused(channels: int) -> None:
    X = np.random.default_rng(0).integers(0, 256, (60, 6, 5, channels), dtype=np.uint8)
    y = labels(60)
    net = fanin.MLP([30 * channels, 3])
    net.fit(X, y, **OPTIONS)
    expected = net.scores(X)
    np.testing.assert_array_equal(net.scores(X.reshape(60, -1)), expected)
    if channels == 1:  # the same numbers in the same order
        np.testing.assert_array_equal(net.scores(X[..., 0]), expected)
        np.testing.assert_array_equal(net.scores(X.reshape(60, 1, 6, 5)), expected)
    others = [np.ascontiguousarray(np.swapaxes(X, 1, 2))]
    if channels == 3:
        others.append(np.ascontiguousarray(np.moveaxis(X, -1, 1)))
    for other in others:
        for call in (
            lambda x=other: net.predict(x),
            lambda x=other: net.evaluate(x, y),
            lambda x=other: net.fit(x, y, **OPTIONS),
            lambda x=other: net.fit(x, y, preprocess=None, **OPTIONS),
            lambda x=other: net.fit(X, y, validation_data=(x, y), **OPTIONS),
            lambda x=other: Ensemble([net]).predict(x),
        ):
            both = f"{re.escape(str(X.shape[1:]))}.*{re.escape(str(other.shape[1:]))}"
            with pytest.raises(ValueError, match=both):
                call()


def test_the_shape_is_that_after_augmentation() -> None:
    from fanin.augment import Compose, RandomCrop

    X = np.random.default_rng(0).integers(0, 256, (60, 8, 7), dtype=np.uint8)
    net = fanin.MLP([30, 3])
    net.fit(X, labels(60), augment=Compose([RandomCrop((6, 5))]), **OPTIONS)
    net.predict(np.ascontiguousarray(X[:, :6, :5]))
    with pytest.raises(ValueError, match=r"expected images of shape \(6, 5, 1\)"):
        net.predict(np.ascontiguousarray(X[:, :5, :6]))


def test_search_and_ensembles_take_every_dtype() -> None:
    space = {"lr": fanin.tuning.choice([1e-2, 1e-1])}
    seen = set()
    for name in WHOLE:
        X, y = pixels().astype(name), labels()
        result = fanin.tuning.search(space, (X, y), 2, epochs=2, hidden=4, progress=False)
        model = fanin.ensemble.from_initializations(
            [20, 4, 3], X, y, n_members=2, epochs=1, progress=False
        )
        scores = [trial.score for trial in result.trials]
        seen.add((str(scores), model.predict_proba(pixels().astype("float64")).tobytes()))
    assert len(seen) == 1


def test_numbers_that_no_float_holds_are_refused() -> None:
    net = fanin.MLP([2, 3])
    with pytest.raises(ValueError, match=r"X: expected whole numbers within 2\*\*53"):
        net.predict(np.array([[2**60, 1]]))
    with pytest.raises(TypeError, match=r"X: expected .*, got .*complex128"):
        net.predict(np.ones((1, 2), complex))
    large = np.array([[2**24 + 1, -5]])
    np.testing.assert_array_equal(net.scores(large), net.scores(large.astype(float)))


def test_doubles_far_from_zero_keep_their_precision() -> None:
    """What float32 does not hold is centred in float64, beside numbers that it holds."""
    X = 1e8 + np.random.default_rng(0).normal(size=(500, 4))
    X[::2] = np.rint(X[::2] / 8) * 8
    net, plain = fanin.MLP([4, 3]), fanin.MLP([4, 3])
    net.set_preprocess("standardize", X)
    expected = plain.scores(((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32))
    np.testing.assert_allclose(net.scores(X), expected, atol=0.01)
    np.testing.assert_allclose(net.scores(X)[1::2], expected[1::2], atol=1e-6)
    single = X[::2].astype(np.float32)
    np.testing.assert_array_equal(net.scores(single), net.scores(single.astype(float)))
