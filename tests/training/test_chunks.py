"""Data in chunks: the order, the bits, what is held, what is refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import memory
import numpy as np
import pytest
from children import printed_by

import fanin
from fanin import arrays, augment, preprocessing
from fanin._core import TrainingData
from fanin.datasets import Chunks
from fanin.training import blocks

N, D, C = 230, 6, 3
RNG = np.random.default_rng(0)
X = RNG.normal(2, 3, (N, D)).astype(np.float32)
Y = RNG.integers(0, C, N)
WEIGHTS = RNG.uniform(0.5, 2, N)
BYTES = RNG.integers(0, 256, (N, D), np.uint8)
VALUES = RNG.normal(50, 20, (N, 2))
OF_NET = {"loss", "keep", "norm", "dtype", "classes"}
OPTIONS = {"epochs": 3, "batch_size": 16, "progress": False, "preprocess": "standardize"}


def parts(*arrays: Any, size: int = 50) -> list[tuple[Any, ...]]:
    """Chunks of so many rows, the last of fewer."""
    return [tuple(a[i : i + size] for a in arrays) for i in range(0, len(arrays[0]), size)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block has two steps, so that steps begin anywhere in blocks, chunks and windows."""
    monkeypatch.setattr(blocks, "steps_of_a_block", lambda *_: 2)


CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "standardize": (X, Y, {"keep": 0.8}),
    "auto, floats": (X / 8, Y, {"preprocess": "auto"}),
    "auto, bytes": (BYTES, Y, {"preprocess": "auto"}),
    "normalize and whiten": (
        X,
        Y,
        {"preprocess": [preprocessing.Normalize(), preprocessing.Whiten()]},
    ),
    "float64": (X.astype(np.float64) / 3, Y, {"dtype": "float64"}),
    "values": (X, VALUES, {"loss": "mse"}),
    "counts": (X, RNG.poisson(3, (N, 2)), {"loss": "poisson"}),
    "text labels": (X, np.array(["no", "perhaps", "yes"])[Y], {}),
    "class weights": (X, Y, {"class_weight": "balanced"}),
    "batch norm": (X, Y, {"norm": "batch", "batch_size": 15}),
}


def net_of(**options: Any) -> fanin.MLP:
    loss = options.get("loss", "softmax")
    return fanin.MLP([D, 8, C if loss == "softmax" else 2], **options)


def trained(data: Any, y: Any = None, **options: Any) -> fanin.MLP:
    """A network trained on data; options of the network and of fit."""
    of_net = {name: options.pop(name) for name in OF_NET & options.keys()}
    net = net_of(**of_net)
    net.fit(data, y, **(OPTIONS | options))
    return net


def same(a: fanin.MLP, b: fanin.MLP) -> None:
    np.testing.assert_array_equal(a.get_parameters(), b.get_parameters())
    assert a.history is not None
    assert b.history is not None
    assert a.history.history == b.history.history


@pytest.mark.parametrize("name", CASES)
def test_one_chunk_is_the_array_in_memory(name: str) -> None:
    data, y, options = CASES[name]
    expected = trained(data, y, **options)
    for chunks in (Chunks([(data, y)]), Chunks(lambda: iter([(data, y)]))):
        same(trained(chunks, **options), expected)


@pytest.mark.parametrize("name", CASES)
def test_what_is_fitted_on_chunks_is_that_of_the_array(name: str) -> None:
    data, y, options = CASES[name]
    memory = trained(data, y, **options, epochs=1)
    chunked = trained(Chunks(parts(data, y)), **options, epochs=1)
    arrays_of = [facts(net) for net in (memory, chunked)]
    assert arrays_of[0].keys() == arrays_of[1].keys()
    for one, values in arrays_of[0].items():
        np.testing.assert_allclose(arrays_of[1][one], values, rtol=1e-9, atol=1e-15, err_msg=one)
    assert memory.inputs.range == chunked.inputs.range
    np.testing.assert_array_equal(memory.classes_, chunked.classes_)


def facts(net: fanin.MLP) -> dict[str, Any]:
    """What a fit has recorded of its data."""
    found = {"target mean": net.targets.mean, "target scale": net.targets.scale}
    steps = net.preprocess
    if isinstance(steps, tuple):
        found |= {"mean": steps[0], "scale": steps[1]}
    elif steps is not None:
        for i, step in enumerate(steps):
            found |= {f"{i} {name}": values for name, values in step.state_arrays().items()}
    return {name: values for name, values in found.items() if values is not None}


def test_a_window_of_all_chunks_is_shuffled_as_one() -> None:
    """Minibatches have rows of several chunks."""
    chunks = Chunks(parts(X, Y, WEIGHTS))
    wide = trained(Chunks(parts(X, Y, WEIGHTS), window=9))
    assert np.abs(wide.get_parameters() - trained(chunks).get_parameters()).max() > 1e-3
    for threads in (1, 2):
        again = trained(Chunks(parts(X, Y, WEIGHTS), window=9), n_threads=threads)
        same(again, wide)


def test_sample_weights_come_with_the_chunks() -> None:
    same(trained(Chunks([(X, Y, WEIGHTS)])), trained(X, Y, sample_weight=WEIGHTS))


def rows_of(
    source: Any, epoch: int, step: int = 0, *, window: int = 1
) -> tuple[list[int], list[int]]:
    """The first steps of the blocks, and the numbers of the rows in their order."""
    numbers = np.arange(N, dtype=np.float32).reshape(-1, 1)
    chunks = Chunks(source(numbers), window=window)

    def ready(_: int, chunk: Any) -> TrainingData:
        return TrainingData(chunk.X, None, None, chunk.y)

    lengths = [50, 50, 50, 50, 30]
    stream = blocks.ChunkedRows(chunks, lengths, ready, steps=2, batch=16)
    steps, rows = [], []
    for first, data in stream.blocks(7, epoch, step):
        steps.append(first)
        rows += data.X[:, 0].astype(int).tolist()
        np.testing.assert_array_equal(data.labels, data.X[:, 0].astype(np.int32))
    return steps, rows


def in_any_order(numbers: np.ndarray) -> list[Any]:
    labels = numbers[:, 0].astype(np.int32)
    return [partial(tuple, part) for part in parts(numbers, labels)]


def one_after_another(numbers: np.ndarray) -> Callable[[], Iterator[Any]]:
    return lambda: iter(in_any_order(numbers))


@pytest.mark.parametrize("source", [in_any_order, one_after_another])
@pytest.mark.parametrize("window", [1, 2, 3, 5, 8])
def test_an_epoch_has_each_row_once(source: Any, window: int) -> None:
    steps, rows = rows_of(source, 0, window=window)
    assert sorted(rows) == list(range(N))
    assert steps == list(range(0, 15, 2))
    assert rows_of(source, 0, window=window) == (steps, rows)
    assert rows_of(source, 1, window=window) != (steps, rows)
    for step in (1, 4, 7, 14):  # a resumed epoch
        assert rows_of(source, 0, step, window=window)[1] == rows[step * 16 :]


def test_windows_hold_their_own_chunks_only() -> None:
    _, rows = rows_of(in_any_order, 0, window=1)
    chunks = [row // 50 for row in rows]
    order = sorted(set(chunks), key=chunks.index)
    assert chunks == sorted(chunks, key=order.index)
    assert order != sorted(order)
    _, rows = rows_of(one_after_another, 0, window=2)
    assert {row // 50 for row in rows[:100]} == {0, 1}


def test_an_epoch_that_is_resumed_reads_only_what_it_needs() -> None:
    read: list[int] = []

    def reading(i: int, part: Any) -> Any:
        read.append(i)
        return part

    def source(numbers: np.ndarray) -> Any:
        labels = numbers[:, 0].astype(np.int32)
        return [partial(reading, i, part) for i, part in enumerate(parts(numbers, labels))]

    rows_of(source, 0, step=14)
    assert len(read) == 1


def test_validation_data_in_chunks() -> None:
    held = Chunks(parts(X, Y, size=40))
    names = ["balanced_accuracy", "log_loss"]
    chunked = trained(X, Y, validation_data=held, metrics=names)
    memory = trained(X, Y, validation_data=(X, Y), metrics=names)
    for net in (chunked, trained(Chunks([(X, Y)]), validation_data=held, metrics=names)):
        np.testing.assert_array_equal(net.get_parameters(), memory.get_parameters())
        assert net.history.params == memory.history.params
        for name, values in memory.history.history.items():
            np.testing.assert_allclose(net.history.history[name], values, rtol=1e-5, err_msg=name)


def test_less_than_two_chunks_are_held() -> None:
    rows, width, count = 4096, 64, 4
    chunk_bytes = rows * width * 4

    def read(seed: int) -> tuple[np.ndarray, np.ndarray]:
        chunk = np.full((rows, width), seed, np.float32)
        return chunk, np.arange(rows) % 2

    net = fanin.MLP([width, 4, 2])
    tracemalloc.start()
    try:
        chunks = Chunks([partial(read, seed) for seed in range(count)])
        net.fit(chunks, epochs=2, progress=False, preprocess="standardize")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * chunk_bytes


def test_a_large_memory_map_is_trained_on_as_an_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "LARGE_MAP", 0)
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", np.float32, "r", shape=X.shape)
    by_columns = np.memmap(tmp_path / "F", np.float32, "w+", shape=X.shape, order="F")
    by_columns[...] = X
    for options in ({"sample_weight": WEIGHTS}, {"sampling": "replacement"}):
        expected = trained(X, Y, **options)
        same(trained(mapped, Y, **options), expected)
        same(trained(by_columns, Y, **options), expected)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak")
def test_a_large_memory_map_stays_out_of_memory(tmp_path: Path) -> None:
    rows, width = 6400, 2**14  # 400 MB, a hole in the disk
    with (tmp_path / "X").open("wb") as file:
        file.truncate(rows * width * 4)
    mapped = np.memmap(tmp_path / "X", np.float32, "r", shape=(rows, width))
    net = fanin.MLP([width, 2])
    before = memory.begin()
    net.fit(mapped, np.arange(rows) % 2, epochs=1, preprocess=None, progress=False)
    assert memory.peak() - before < 250


class Shrinking(list[Any]):
    """Chunks of which the last has fewer rows each time."""

    def __getitem__(self, i: Any) -> Any:
        chunk = super().__getitem__(i)
        if i == 1:
            self[1] = tuple(part[:-1] for part in chunk)
        return chunk


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        (
            [(X, Y), (X[:, :4], Y)],
            ValueError,
            r"X of chunk 1: expected shape \(N, 6\) .* got \(230, 4\)",
        ),
        ([(X, Y), (X[:0], Y[:0])], ValueError, "X of chunk 1: expected .* at least one row"),
        (
            [(X, Y), (X.astype(float), Y)],
            TypeError,
            "X of chunk 1: expected float32, as in chunk 0",
        ),
        ([(X, Y), (X, Y[:9])], ValueError, "y of chunk 1: expected 230 targets, got"),
        (
            [(X, Y), (X, np.full(N, np.nan))],
            ValueError,
            "y of chunk 1: expected whole-number labels",
        ),
        ([(X, Y), (X, Y.astype(str))], TypeError, "y of chunk 1: expected labels of the kind"),
        ([(X, Y), (X, np.full(N, 7))], ValueError, "y: expected labels .* 4 different: 0, 1, 2, 7"),
        ([(X, np.zeros(N, int))], ValueError, "y: expected at least two classes"),
        ([(X, Y), (X, np.eye(C)[Y])], TypeError, "y of chunk 1: expected labels, as in chunk 0"),
        (
            [(X, Y), (X, Y, WEIGHTS)],
            TypeError,
            "sample_weight of chunk 1: expected none, as in chunk 0",
        ),
        ([(X, Y, WEIGHTS), (X, Y, -WEIGHTS)], ValueError, "sample_weight of chunk 1: expected fin"),
        ([(X, Y), (X.tolist(), Y)], TypeError, "expected float32, as in chunk 0, got no single"),
        ([(X, Y), (np.where(X > 5, np.nan, X), Y)], ValueError, "X of chunk 1: expected finite"),
        ([(X, Y), X], TypeError, r"chunk 1: expected \(X, y\) or .*, got \(230, 6\) float32"),
        ([(X,)], TypeError, "chunk 0: expected .* got 1 of them"),
        (lambda: iter([]), ValueError, "at least one chunk"),
        (lambda: 3, TypeError, "expected a function of an iterable, got int"),
    ],
)
def test_chunks_that_do_not_go_together(source: Any, kind: type[Exception], message: str) -> None:
    net = net_of()
    before = net.get_parameters()
    with pytest.raises(kind, match=message):
        net.fit(Chunks(source), **OPTIONS)
    np.testing.assert_array_equal(net.get_parameters(), before)


def test_a_chunk_that_changes() -> None:
    source = Shrinking([(X[:50], Y[:50]), (X[50:], Y[50:])])
    with pytest.raises(ValueError, match="chunk 1: expected its 180 rows in each pass"):
        net_of().fit(Chunks(source), **OPTIONS)


def test_classes_that_a_network_knows() -> None:
    names = np.array(["no", "perhaps", "yes"])
    net = net_of(classes=["yes", "no", "perhaps"])
    net.fit(Chunks(parts(X, names[Y])), **OPTIONS)
    assert set(net.predict(X)) <= set(names.tolist())
    with pytest.raises(ValueError, match=r"y: expected one of the classes .*; got .*'maybe'"):
        net_of(classes=["yes", "no", "perhaps"]).fit(
            Chunks([(X, names[Y]), (X, np.full(N, "maybe"))]), **OPTIONS
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": Y}, "y: expected None beside Chunks"),
        ({"sample_weight": WEIGHTS}, "sample_weight: expected None beside Chunks"),
        ({"sampling": "replacement"}, "sampling: expected 'epoch' with chunks"),
        ({"augment": augment.Compose([])}, "augment: expected None with chunks"),
        (
            {"preprocess": preprocessing.TableEncoder()},
            "preprocess: expected a fitted encoder with chunks",
        ),
    ],
)
def test_options_that_do_not_go_with_chunks(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        net_of().fit(Chunks([(X, Y)]), **(OPTIONS | options))


def test_what_can_be_read_once_is_no_source() -> None:
    with pytest.raises(TypeError, match="source: expected what can be read once for each epoch"):
        Chunks(chunk for chunk in [(X, Y)])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="source: expected at least one chunk"):
        Chunks([])
    with pytest.raises(ValueError, match="window: expected at least 1"):
        Chunks([(X, Y)], window=0)


def test_chunks_that_end_early() -> None:
    """A function that gives fewer chunks than in the first pass."""
    passes = [parts(X, Y)] * 2 + [parts(X, Y)] + [parts(X, Y)[:2]]
    with pytest.raises(ValueError, match=r"chunks: expected 5 of them in each epoch.* got 2"):
        net_of().fit(Chunks(lambda: iter(passes.pop(0))), **OPTIONS)


def test_chunks_that_become_more() -> None:
    passes = [parts(X, Y)[:2]] * 3 + [parts(X, Y)]
    with pytest.raises(ValueError, match=r"chunks: expected 2 of them in each epoch.* got more"):
        net_of().fit(Chunks(lambda: iter(passes.pop(0))), **OPTIONS)


def test_a_function_that_gives_its_iterator_once() -> None:
    once = iter(parts(X, Y))
    with pytest.raises(ValueError, match="chunks: expected all of them in each pass, got none"):
        net_of().fit(Chunks(lambda: once), **OPTIONS)


def test_a_fitted_encoder_takes_frames() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": X[:, 0], "kind": np.array(["x", "y", "z"])[Y]})
    encoder = preprocessing.TableEncoder().fit(frame)
    options = OPTIONS | {"preprocess": encoder}
    nets = [fanin.MLP([encoder.n_features_out_, 4, C]) for _ in range(2)]
    nets[0].fit(frame, Y, **options)
    nets[1].fit(Chunks([(frame, Y)]), **options)
    same(*nets)


@pytest.mark.filterwarnings("ignore")
def test_dask_arrays() -> None:
    dask = pytest.importorskip("dask.array")
    rows, labels = dask.from_array(X, (100, 3)), dask.from_array(Y, 60)
    expected = trained(Chunks(parts(X, Y, WEIGHTS, size=100)))
    same(trained(rows, labels, sample_weight=WEIGHTS), expected)
    same(trained(rows, Y, sample_weight=dask.from_array(WEIGHTS, 30)), expected)
    with pytest.raises(ValueError, match="y: expected 230 of them, got 3"):
        net_of().fit(rows, Y[:3], **OPTIONS)
    with pytest.raises(ValueError, match="X: expected a Dask array with chunks of known lengths"):
        net_of().fit(rows[rows[:, 0] > 0], Y, **OPTIONS)
    with pytest.raises(ValueError, match="y: expected a Dask array with chunks of known lengths"):
        net_of().fit(rows, labels[labels >= 0], **OPTIONS)
    with pytest.raises(ValueError, match="X: expected a Dask array with rows"):
        net_of().fit(rows[:0], labels[:0], **OPTIONS)


def write_parquet(path: Path, rows: slice) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {f"x{j}": X[rows, j] for j in range(D)}
    table = pyarrow.table({**columns, "label": Y[rows], "weight": WEIGHTS[rows]})
    parquet.write_table(table, path, row_group_size=50)


def test_a_parquet_dataset(tmp_path: Path) -> None:
    pytest.importorskip("narwhals")
    write_parquet(tmp_path / "a.parquet", slice(100))
    (tmp_path / "deeper").mkdir()
    write_parquet(tmp_path / "deeper" / "b.parquet", slice(100, N))
    chunks = fanin.datasets.parquet(tmp_path, target="label", sample_weight="weight")
    net, expected = trained(chunks), trained(Chunks(parts(X, Y, WEIGHTS)))
    same(net, expected)
    assert net.inputs.names == tuple(f"x{j}" for j in range(D))
    one = fanin.datasets.parquet(tmp_path / "a.parquet", target="label", columns=["x1", "x0"])
    assert [chunk.X.shape for chunk in one.read()] == [(50, 2), (50, 2)]
    with pytest.raises(ValueError, match=r"target: expected one of x0, .* got 'y'"):
        fanin.datasets.parquet(tmp_path, target="y")
    with pytest.raises(ValueError, match="path: expected a Parquet file, or a folder"):
        fanin.datasets.parquet(tmp_path / "deeper" / "none", target="label")
    of: dict[str, Any] = {"target": "label"}
    with pytest.raises(ValueError, match="columns: expected features, got 'label', the target"):
        fanin.datasets.parquet(tmp_path, **of, columns=["x0", "label"])
    with pytest.raises(ValueError, match=r"columns: expected different names.* got \['x0', 'x0'\]"):
        fanin.datasets.parquet(tmp_path, **of, columns=["x0", "x0"])
    with pytest.raises(ValueError, match="sample_weight: expected another column than the target"):
        fanin.datasets.parquet(tmp_path, **of, sample_weight="label")
    (tmp_path / "c.parquet").write_text("no table")
    with pytest.raises(fanin.FileError, match=r"c\.parquet.*expected a Parquet file"):
        fanin.datasets.parquet(tmp_path, **of)


def test_names_of_folders_are_columns(tmp_path: Path) -> None:
    """As pyarrow reads Hive's layout; what is above the folder that is given says nothing."""
    pytest.importorskip("narwhals")
    pyarrow, dataset = map(pytest.importorskip, ("pyarrow", "pyarrow.dataset"))
    root = tmp_path / "h=1"
    for i, part in enumerate(["year=2020/kind=a%20b", "year=2021/kind=c"]):
        (root / part).mkdir(parents=True)
        write_parquet(root / part / "rows.parquet", slice(100 * i, 100 * i + 100))
    chunks = fanin.datasets.parquet(root, target="label")
    expected = dataset.dataset(root, partitioning="hive").to_table()
    got = pyarrow.concat_tables([chunk.X for chunk in chunks.read()])
    assert got.equals(expected.select(got.schema.names))
    assert set(got.schema.names) == set(expected.schema.names) - {"label"}
    of_folders = fanin.datasets.parquet(root, target="kind", columns=["x0"], sample_weight="year")
    read = [(c.y.to_pylist()[0], c.sample_weight.to_pylist()[0]) for c in of_folders.read()]
    assert read == [("a b", 2020)] * 2 + [("c", 2021)] * 2
    (root / "x0=3").mkdir()
    write_parquet(root / "x0=3" / "rows.parquet", slice(10))
    with pytest.raises(ValueError, match=r"path: expected one column 'x0', got two of .*x0=3"):
        fanin.datasets.parquet(root, target="label")
    (root / "x0=3" / "rows.parquet").write_text("no table")
    with pytest.raises(fanin.FileError, match=r"x0=3.*expected a Parquet file"):
        fanin.datasets.parquet(root, target="label")


def test_a_row_group_takes_little_more_than_itself(tmp_path: Path) -> None:
    """Arrow alone reads all its columns at once, with twice their memory."""
    pyarrow, pq = map(pytest.importorskip, ("pyarrow", "pyarrow.parquet"))
    rng = np.random.default_rng(0)
    columns = {f"x{j}": rng.standard_normal(2000) for j in range(200)}
    pq.write_table(pyarrow.table({**columns, "y": np.arange(2000) % 2}), tmp_path / "t.parquet")
    code = """
        import sys
        import fanin
        import pyarrow

        [chunk] = fanin.datasets.parquet(sys.argv[1], target="y").read()
        print(pyarrow.default_memory_pool().max_memory() / chunk.X.nbytes)
    """
    assert float(printed_by(code, str(tmp_path / "t.parquet"))) < 1.3
