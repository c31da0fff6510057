"""Data sets known by name: where they are found, downloads, damaged files."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile

import numpy as np
import pytest

from fanin import datasets
from fanin.datasets import named

pytestmark = pytest.mark.usefixtures("no_data_of_this_machine")

IDX_NAMES = {
    "X": "train-images-idx3-ubyte",
    "y": "train-labels-idx1-ubyte",
    "X_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def images(rng, n, *shape):
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n, dtype=np.int64) % 10


def idx(array):
    array = array.astype(np.uint8)
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write_idx(folder, packed=True):
    """A small MNIST; gives its arrays."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    X, y = images(rng, 30, 28, 28)
    X_test, y_test = images(rng, 20, 28, 28)
    arrays = {"X": X, "y": y, "X_test": X_test, "y_test": y_test}
    for name, array in arrays.items():
        path = folder / (IDX_NAMES[name] + (".gz" if packed else ""))
        path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    return arrays


def assert_is(loaded, arrays):
    for got, name in zip((*loaded[0], *loaded[1]), ("X", "y", "X_test", "y_test"), strict=True):
        assert got.dtype == arrays[name].dtype
        assert got.flags.c_contiguous
        assert np.array_equal(got, arrays[name])


def cifar_rows(X, y):
    planes = X.transpose(0, 3, 1, 2).reshape(len(X), -1)
    return np.hstack([y[:, None].astype(np.uint8), planes]).tobytes()


def cifar(n=4):
    rng = np.random.default_rng(1)
    X, y = images(rng, 5 * n, 32, 32, 3)
    X_test, y_test = images(rng, n, 32, 32, 3)
    files = {
        f"data_batch_{i + 1}.bin": cifar_rows(X[i * n : i * n + n], y[i * n : i * n + n])
        for i in range(5)
    }
    files["test_batch.bin"] = cifar_rows(X_test, y_test)
    return {"X": X, "y": y, "X_test": X_test, "y_test": y_test}, files


def cifar_archive(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_digits_are_the_ucis():
    (X, y), (X_test, y_test), info = datasets.load("digits", return_info=True)
    assert X.shape == (1437, 8, 8)
    assert X_test.shape == (360, 8, 8)
    assert X.dtype == X_test.dtype == np.uint8
    assert y.dtype == np.int64
    assert X.max() == 16
    share = np.bincount(y_test) / np.bincount(np.concatenate([y, y_test]))
    assert np.all(np.abs(share - 0.2) < 0.007)
    assert info.class_names == tuple("0123456789")
    assert "Alpaydin" in info.source
    assert "CC BY 4.0" in info.source


def test_digits_are_scikit_learns_and_the_split_is_the_documented_one():
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    theirs = sklearn_datasets.load_digits()
    test = np.sort(np.argsort(theirs.target, kind="stable")[::5])
    train = np.setdiff1d(np.arange(1797), test)
    (X, y), (X_test, y_test) = datasets.load("digits")
    assert np.array_equal(X, theirs.images[train])
    assert np.array_equal(y, theirs.target[train])
    assert np.array_equal(X_test, theirs.images[test])
    assert np.array_equal(y_test, theirs.target[test])


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_idx_files_from_fanin_data(tmp_path, monkeypatch, name, packed):
    arrays = write_idx(tmp_path / "mine" / name, packed)
    monkeypatch.setenv("FANIN_DATA", str(tmp_path / "mine"))
    *loaded, info = datasets.load(name, return_info=True)
    assert_is(loaded, arrays)
    assert info.class_names[0] == ("0" if name == "mnist" else "T-shirt/top")


def test_fanin_data_comes_before_the_system_and_the_system_before_the_cache(tmp_path, monkeypatch):
    write_idx(tmp_path / "cache" / "fanin" / "mnist")
    source = lambda: datasets.load("mnist", return_info=True)[2].source  # noqa: E731
    assert source() == str(tmp_path / "cache" / "fanin" / "mnist")
    write_idx(tmp_path / "system" / "mnist")
    assert source() == str(tmp_path / "system" / "mnist")
    write_idx(tmp_path / "mine" / "mnist")
    monkeypatch.setenv("FANIN_DATA", str(tmp_path / "mine"))
    assert source() == str(tmp_path / "mine" / "mnist")


def test_debians_fashion_mnist(monkeypatch):
    monkeypatch.undo()
    if not (named.SYSTEM_FOLDER / "fashion-mnist").is_dir():
        pytest.skip("needs Debian's dataset-fashion-mnist")
    monkeypatch.delenv("FANIN_DATA", raising=False)
    (X, y), (X_test, y_test) = datasets.load("fashion-mnist")
    assert X.shape == (60000, 28, 28)
    assert X_test.shape == (10000, 28, 28)
    assert np.array_equal(np.bincount(y), [6000] * 10)
    assert np.array_equal(np.bincount(y_test), [1000] * 10)
    assert hashlib.sha256(idx(X)).hexdigest().startswith("c59f468a2f672dc8")


@pytest.mark.parametrize("kind", ["folder", "bare", "archive"])
def test_cifar10_of_all_kinds(tmp_path, monkeypatch, kind):
    arrays, files = cifar()
    home = tmp_path / "cifar10"
    inner = home / "cifar-10-batches-bin" if kind == "folder" else home
    inner.mkdir(parents=True)
    if kind == "archive":
        (home / "cifar-10-binary.tar.gz").write_bytes(cifar_archive(files))
    else:
        for name, content in files.items():
            (inner / name).write_bytes(content)
    monkeypatch.setenv("FANIN_DATA", str(tmp_path))
    *loaded, info = datasets.load("cifar10", return_info=True)
    assert_is(loaded, arrays)
    assert info.class_names[-1] == "truck"


def test_cifar10_from_an_npz_beside_its_folder(tmp_path, monkeypatch):
    X, y = images(np.random.default_rng(2), 50, 32, 32, 3)
    np.savez(tmp_path / "cifar100.npz", x=X[:1], y=y[:1])  # another data set
    np.savez(tmp_path / "cifar10_train.npz", x=X, y=y)
    monkeypatch.setenv("FANIN_DATA", str(tmp_path))
    (X_train, _), (X_test, _), info = datasets.load("cifar10", return_info=True)
    assert X_train.shape == (40, 32, 32, 3)
    assert X_test.shape == (10, 32, 32, 3)
    assert info.class_names[0] == "airplane"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\0\0\x08\x01",
        b"\0\0\x0d\x01" + bytes(8),
        idx(np.zeros((9, 9)))[:-1],
        idx(np.zeros((9, 9))) + b"x",
        b"\0\0\x08\x03" + b"\xff" * 12,
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_idx_file_is_named(tmp_path, content, packed):
    path = tmp_path / ("bad.gz" if packed else "bad")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match=r"bad.*IDX file"):
        named.read_idx(path)


def test_a_cut_gzip_is_named(tmp_path):
    whole = gzip.compress(idx(np.random.default_rng(0).integers(0, 256, (64, 64))))
    for content in (whole[:-9], whole[: len(whole) // 2], b"\x1f\x8b", b"not gzip"):
        (tmp_path / "cut.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"cut\.gz"):
            named.read_idx(tmp_path / "cut.gz")


def test_a_damaged_cifar10_is_named(tmp_path, monkeypatch):
    _, files = cifar()
    home = tmp_path / "cifar10"
    home.mkdir()
    monkeypatch.setenv("FANIN_DATA", str(tmp_path))
    whole = cifar_archive(files)
    for content in (b"nothing", whole[:5000]):
        (home / "cifar-10-binary.tar.gz").write_bytes(content)
        with pytest.raises(ValueError, match="damaged archive"):
            datasets.load("cifar10")
    (home / "cifar-10-binary.tar.gz").write_bytes(
        cifar_archive(files | {"test_batch.bin": files["test_batch.bin"][:-1]})
    )
    with pytest.raises(ValueError, match=r"test_batch\.bin: expected rows of 3073 bytes"):
        datasets.load("cifar10")


def serve(monkeypatch, tmp_path, name="mnist", checksum=None):
    """Makes ``name`` downloadable from a folder; gives its arrays."""
    site = tmp_path / "site"
    arrays = write_idx(site)
    known = named.KNOWN[name]
    sums = {f: checksum or hashlib.sha256((site / f).read_bytes()).hexdigest() for f in known.files}
    monkeypatch.setitem(
        named.KNOWN, name, named.Known(f"{site.as_uri()}/", sums, known.class_names)
    )
    return arrays


def test_a_download_is_checked_and_kept(tmp_path, monkeypatch):
    arrays = serve(monkeypatch, tmp_path)
    assert_is(datasets.load("mnist"), arrays)
    for file in (tmp_path / "site").iterdir():
        file.unlink()
    assert_is(datasets.load("mnist"), arrays)
    kept = {path.name for path in (tmp_path / "cache" / "fanin" / "mnist").iterdir()}
    assert kept == set(named.KNOWN["mnist"].files)


def test_a_download_with_the_wrong_checksum_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    serve(monkeypatch, tmp_path, checksum="0" * 64)
    with pytest.raises(OSError, match=r"SHA-256 is [0-9a-f]{64}, expected 0000"):
        datasets.load("mnist")
    assert not any((tmp_path / "cache" / "fanin" / "mnist").iterdir())


def test_offline_the_message_says_where_files_would_go(tmp_path, monkeypatch):
    serve(monkeypatch, tmp_path)
    for file in (tmp_path / "site").iterdir():
        file.unlink()
    with pytest.raises(OSError, match="FANIN_DATA") as caught:
        datasets.load("mnist")
    assert str(tmp_path / "cache" / "fanin" / "mnist") in str(caught.value)
    assert "train-images-idx3-ubyte.gz" in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_every_known_file_has_a_sha256_and_https():
    for known in named.KNOWN.values():
        assert known.url.startswith("https://")
        assert len(known.class_names) == 10
        assert all(len(bytes.fromhex(checksum)) == 32 for checksum in known.files.values())
