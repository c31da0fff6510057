"""Data in whatever holds them: the same numbers, the same bits; what would be lost is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fanin
from fanin.preprocessing import PCA, Normalize

N, D, C = 90, 7, 3
VALUES = np.random.default_rng(0).integers(-20, 300, (N, D)).astype(np.float64) / 4
LABELS = np.arange(N) % C


def with_gaps(X: np.ndarray) -> np.ndarray:
    wide = np.zeros((2 * len(X), 3 * X.shape[1]), X.dtype)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def shifted(X: np.ndarray) -> np.ndarray:
    """At an address that is no multiple of the item's size."""
    raw = np.empty(X.nbytes + 1, np.uint8)[1:].view()
    out = np.frombuffer(raw.data, X.dtype).reshape(X.shape)
    out[...] = X
    return out


class Holder:
    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array


class Capsule(Holder):
    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


CONTAINERS: dict[str, Callable[[np.ndarray], Any]] = {
    "by columns": np.asfortranarray,
    "with gaps": with_gaps,
    "backwards": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "columns apart": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "unaligned": shifted,
    "swapped": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "list": lambda X: X.tolist(),
    "list of arrays": list,
    "__array__": Holder,
    "dlpack": Capsule,
    "memoryview": lambda X: memoryview(np.ascontiguousarray(X)),
}


def trained(X: Any, y: Any = LABELS, **options: Any) -> tuple[fanin.MLP, Any]:
    net = fanin.MLP([options.pop("width", D), 8, C], seed=3, dtype=options.pop("dtype", "float32"))
    settings = {"epochs": 2, "batch_size": 16, "preprocess": "standardize", "progress": False}
    history = net.fit(X, y, validation_data=(X, y), **(settings | options))
    return net, history.history


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_every_layout_gives_the_bits_of_a_plain_array(kind: str, dtype: str) -> None:
    X = np.abs(VALUES).astype(dtype)
    held = CONTAINERS[kind](X)
    net, history = trained(X)
    other, its_history = trained(held)
    np.testing.assert_array_equal(net.get_parameters(), other.get_parameters())
    assert history == its_history
    np.testing.assert_array_equal(net.scores(X), other.scores(held))
    assert net.evaluate(X, LABELS) == other.evaluate(held, list(LABELS))
    assert net.loss(X, LABELS) == other.loss(held, LABELS)
    loss, grads = net.loss_and_grads(X, LABELS)
    its_loss, its_grads = other.loss_and_grads(held, LABELS)
    assert loss == its_loss
    np.testing.assert_array_equal(grads["W1"], its_grads["W1"])


@pytest.mark.parametrize("dtype", ["int64", "int16", "bool", "float16"])
def test_other_numbers_give_the_bits_of_floats(dtype: str) -> None:
    X = VALUES.round().astype(dtype)
    net, history = trained(X.astype(np.float64))
    for held in (X, np.asfortranarray(X), X.tolist()):
        other, its_history = trained(held)
        np.testing.assert_array_equal(net.get_parameters(), other.get_parameters())
        assert history == its_history


@pytest.mark.parametrize("step", [Normalize(), PCA(4), [Normalize(), PCA(4)]], ids=str)
@pytest.mark.parametrize("kind", ["by columns", "with gaps"])
def test_transformers_take_every_layout(step: Any, kind: str) -> None:
    width = D if isinstance(step, Normalize) else 4
    net, _ = trained(VALUES, preprocess=step, width=width)
    other, _ = trained(CONTAINERS[kind](VALUES), preprocess=step, width=width)
    np.testing.assert_array_equal(net.get_parameters(), other.get_parameters())


def test_rows_by_columns_are_not_copied() -> None:
    X = np.asfortranarray(VALUES)
    net, _ = trained(X)
    assert np.shares_memory(net.prepare(X).X, X)


def test_a_memory_map_is_read_where_it_lies(tmp_path: Any) -> None:
    path = tmp_path / "X.dat"
    VALUES.astype(np.float32).tofile(path)
    mapped = np.memmap(path, np.float32, "r", shape=VALUES.shape)
    net, _ = trained(VALUES.astype(np.float32))
    other, _ = trained(mapped)
    np.testing.assert_array_equal(net.get_parameters(), other.get_parameters())
    assert np.shares_memory(other.prepare(mapped).X, mapped)


def test_images_of_any_strides() -> None:
    images = np.random.default_rng(1).integers(0, 256, (20, 4, 3, 2), np.uint8)
    net = fanin.MLP([24, C])
    net.set_preprocess("auto", images)
    for held in (np.asfortranarray(images), images[:, ::-1].copy()[:, ::-1], images.tolist()):
        np.testing.assert_array_equal(net.scores(held), net.scores(images))


def test_a_batch_beyond_the_rows_is_all_of_them() -> None:
    net = fanin.MLP([D, 8, C])
    with pytest.warns(UserWarning, match="batch_size: 1000 is more than .* all 90 make a step"):
        history = net.fit(VALUES / 100, LABELS, epochs=1, batch_size=1000, progress=False)
    assert history.params["batch_size"] == N


# Frames


def frames() -> dict[str, Callable[[np.ndarray], Any]]:
    names = [f"c{i}" for i in range(D)]
    return {
        "pandas": lambda X: pytest.importorskip("pandas").DataFrame(X, columns=names),
        "polars": lambda X: pytest.importorskip("polars").DataFrame(X, schema=names),
        "pyarrow": lambda X: pytest.importorskip("pyarrow").table(
            [np.ascontiguousarray(c) for c in X.T], names=names
        ),
    }


@pytest.mark.parametrize("kind", frames())
def test_frames_give_the_bits_of_arrays_and_keep_their_columns(kind: str, tmp_path: Any) -> None:
    pytest.importorskip("narwhals")
    frame = frames()[kind](VALUES)
    net, history = trained(VALUES)
    other, its_history = trained(frame)
    np.testing.assert_array_equal(net.get_parameters(), other.get_parameters())
    assert history == its_history
    other.save(tmp_path / "net.fanin")
    other = fanin.MLP.load(tmp_path / "net.fanin")
    assert other.inputs.names == tuple(f"c{i}" for i in range(D))
    np.testing.assert_array_equal(net.scores(VALUES), other.scores(frame))
    turned = (
        frame.select([f"c{i}" for i in range(D)][::-1]) if kind != "pandas" else frame.iloc[:, ::-1]
    )
    with pytest.raises(ValueError, match=r"X: .* the 7 columns .* got a frame 'c6' where 'c0'"):
        other.predict(turned)


def test_columns_of_frames_that_are_no_numbers_are_refused_by_name() -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    net = fanin.MLP([2, C])
    frame = pd.DataFrame({"size": [1.0, 2.0, 3.0], "kind": ["a", "b", "c"]})
    with pytest.raises(TypeError, match="X: expected numbers in column 'kind', got"):
        net.fit(frame, [0, 1, 2], progress=False)
    frame = pd.DataFrame({"size": [1.0, None, 3.0], "count": [1, 2, 3]})
    with pytest.raises(ValueError, match="column 'size', got none in 1 of 3"):
        net.predict(frame)
    frame = pd.DataFrame({"size": [1.0, 2.0], "id": [1, 2**60]})
    with pytest.raises(ValueError, match=r"column 'id': expected whole numbers within 2\*\*53"):
        net.predict(frame)


def test_mixed_columns_of_a_frame_are_the_array_that_holds_them() -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("narwhals")
    X = np.column_stack([VALUES[:, 0], VALUES[:, 1].round(), LABELS == 1])
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1].astype(np.int32), "c": LABELS == 1})
    net, _ = trained(X, width=3)
    other, _ = trained(frame, pd.Series(LABELS), width=3)
    np.testing.assert_array_equal(net.get_parameters(), other.get_parameters())


# Sparse rows


@pytest.mark.parametrize("layout", ["csr", "csc", "coo"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int64"])
def test_sparse_rows_give_the_bits_of_dense_ones(layout: str, dtype: str) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.where(np.abs(VALUES) > 40, np.abs(VALUES).round(), 0).astype(dtype)
    X = sparse.coo_array(dense).asformat(layout)
    for preprocess in ("standardize", None, Normalize()):
        net, history = (
            trained(dense / 1, preprocess=preprocess) if preprocess != "auto" else trained(dense)
        )
        other, its_history = (
            trained(X, preprocess=preprocess or None) if preprocess != "auto" else trained(X)
        )
        np.testing.assert_array_equal(net.get_parameters(), other.get_parameters())
        assert history == its_history
        np.testing.assert_array_equal(net.scores(dense), other.scores(X))


def test_bad_sparse_rows_are_refused_by_row() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X = sparse.csr_matrix(np.eye(N, D))
    X.data[3] = np.inf
    with pytest.raises(ValueError, match="X: expected finite values, got inf in row 3, column 3"):
        fanin.MLP([D, C]).predict(X)
    with pytest.raises(ValueError, match=r"X: expected shape \(N, 6\)"):
        fanin.MLP([6, C]).predict(sparse.csr_matrix(np.eye(N, D)))


def test_rows_of_the_core_are_checked() -> None:
    from fanin.arrays import SparseRows

    engine = fanin.MLP([D, C]).engine
    lying = SparseRows(np.ones(3, np.float32), np.zeros(3), np.array([0, 9, 3]), D)
    with pytest.raises(ValueError, match="X: expected starts that rise within its values"):
        engine.scores(fanin.network.TrainingData(lying), 1)
    far = SparseRows(np.ones(3, np.float32), np.array([0, 1, 99]), np.array([0, 2, 3]), D)
    assert engine.scores(fanin.network.TrainingData(far), 1).shape == (
        2,
        C,
    )  # and reads nothing else
