"""Data sets: those known by name, the user's files, and the split."""

import gzip
import hashlib
import io
import struct
import sys
import tarfile

import numpy as np
import pytest

from fanin import _named_data, datasets

IDX_NAMES = {
    "X": "train-images-idx3-ubyte",
    "y": "train-labels-idx1-ubyte",
    "X_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


@pytest.fixture(autouse=True)
def no_data_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.delenv("FANIN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_named_data, "SYSTEM_FOLDER", tmp_path / "system")


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


# Known by name


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
    if not (_named_data.SYSTEM_FOLDER / "fashion-mnist").is_dir():
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
        _named_data.read_idx(path)


def test_a_cut_gzip_is_named(tmp_path):
    whole = gzip.compress(idx(np.random.default_rng(0).integers(0, 256, (64, 64))))
    for content in (whole[:-9], whole[: len(whole) // 2], b"\x1f\x8b", b"not gzip"):
        (tmp_path / "cut.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"cut\.gz"):
            _named_data.read_idx(tmp_path / "cut.gz")


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
    known = _named_data.KNOWN[name]
    sums = {f: checksum or hashlib.sha256((site / f).read_bytes()).hexdigest() for f in known.files}
    monkeypatch.setitem(
        _named_data.KNOWN, name, _named_data.Known(f"{site.as_uri()}/", sums, known.class_names)
    )
    return arrays


def test_a_download_is_checked_and_kept(tmp_path, monkeypatch):
    arrays = serve(monkeypatch, tmp_path)
    assert_is(datasets.load("mnist"), arrays)
    for file in (tmp_path / "site").iterdir():
        file.unlink()
    assert_is(datasets.load("mnist"), arrays)
    kept = {path.name for path in (tmp_path / "cache" / "fanin" / "mnist").iterdir()}
    assert kept == set(_named_data.KNOWN["mnist"].files)


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
    for known in _named_data.KNOWN.values():
        assert known.url.startswith("https://")
        assert len(known.class_names) == 10
        assert all(len(bytes.fromhex(checksum)) == 32 for checksum in known.files.values())


# The user's files


def test_npz_with_its_own_test_part_keeps_it(tmp_path):
    X = np.arange(12, dtype=np.float32).reshape(6, 2)
    np.savez(tmp_path / "d.npz", X=X, y=list("bababa"), X_test=X[:2], y_test=["a", "b"])
    (X_, y), (X_test, y_test), info = datasets.load(tmp_path / "d.npz", return_info=True)
    assert X_.dtype == np.float32
    assert np.array_equal(X_, X)
    assert np.array_equal(y, [1, 0, 1, 0, 1, 0])
    assert np.array_equal(X_test, X[:2])
    assert np.array_equal(y_test, [0, 1])
    assert info == datasets.Info("d", str(tmp_path / "d.npz"), ("a", "b"))


@pytest.mark.parametrize(
    ("stored", "given"),
    [
        (np.uint8, np.uint8),
        (np.float32, np.float32),
        (">f4", np.float32),
        (np.float64, np.float64),
        (">f8", np.float64),
        (np.int16, np.float64),
        (bool, np.float64),
        (np.float16, np.float64),
    ],
)
def test_npz_dtypes(tmp_path, stored, given):
    X = np.arange(40).reshape(20, 2).astype(stored)
    np.savez(tmp_path / "d.npz", x=np.asfortranarray(X), y=np.arange(20)[:, None] % 2 + 5)
    (X_, y), (X_test, _), info = datasets.load(tmp_path / "d.npz", return_info=True)
    assert X_.dtype == X_test.dtype == np.dtype(given)
    assert X_.dtype.isnative
    assert X_.flags.c_contiguous
    assert set(y.tolist()) == {0, 1}
    assert info.class_names == ("5", "6")
    assert sorted(np.vstack([X_, X_test]).tolist()) == sorted(X.tolist())


def test_npz_content_that_does_not_fit(tmp_path):
    X, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    hole = X.copy()
    hole[2, 1] = np.nan
    cases = [
        ({"a": X}, ValueError, "expected arrays X and y, got a"),
        ({"X": X}, ValueError, "expected labels y"),
        ({"X": X, "y": y, "X_test": X}, ValueError, "both X_test and y_test"),
        ({"X": X, "y": y[:3]}, ValueError, r"y: expected shape \(4,\) as X has rows, got \(3,\)"),
        ({"X": X[:, 0], "y": y}, ValueError, r"X: expected shape \(N, ...\).*got \(4,\)"),
        ({"X": X[:0], "y": y[:0]}, ValueError, "at least one row"),
        ({"X": hole, "y": y}, ValueError, "X: .*NaN or infinity in row 2"),
        ({"X": X, "y": y * 1.0}, TypeError, "whole numbers or text as labels, got float64"),
        ({"X": X, "y": y * 0}, ValueError, r"at least two classes, got one \(0\)"),
        ({"X": X.astype(str), "y": y}, TypeError, "X: expected numbers"),
        ({"X": X, "y": y, "X_test": X[:, :1], "y_test": y}, ValueError, r"rows of shape \(2,\)"),
        ({"X": X, "y": y, "X_test": X, "y_test": y + 1}, ValueError, "one of 0, 1; got 2 in row 1"),
        ({"X": X, "y": y, "X_test": X, "y_test": list("abab")}, TypeError, "labels as in y"),
        ({"X": X.astype(object), "y": y}, ValueError, "plain arrays"),
    ]
    for arrays, error, message in cases:
        np.savez(tmp_path / "bad.npz", **arrays)
        with pytest.raises(error, match=message) as caught:
            datasets.load(tmp_path / "bad.npz")
        assert "bad.npz" in str(caught.value)


def test_corrupt_npz(tmp_path):
    np.savez_compressed(tmp_path / "d.npz", X=np.arange(999.0).reshape(-1, 3), y=np.arange(333) % 3)
    whole = (tmp_path / "d.npz").read_bytes()
    flipped = bytearray(whole)
    flipped[200] ^= 0xFF
    single = io.BytesIO()
    np.save(single, np.zeros(3))
    for content in (b"", b"junk", whole[:-40], whole[:100], bytes(flipped), single.getvalue()):
        (tmp_path / "d.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"d\.npz: not a readable \.npz archive"):
            datasets.load(tmp_path / "d.npz")


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


FLOWERS = "width,kind,height\n" + "".join(
    f"{i},{'rose' if i % 2 else 'aster'},{i / 2}\n" for i in range(20)
)


def test_csv_with_text_labels(tmp_path):
    path = write(tmp_path / "flowers.csv", FLOWERS)
    (X, y), (X_test, y_test), info = datasets.load(path, label="kind", return_info=True)
    assert info.class_names == ("aster", "rose")
    assert info.feature_names == ("width", "height")
    assert X.dtype == np.float64
    assert (len(X), len(X_test)) == (16, 4)
    for rows, labels in ((X, y), (X_test, y_test)):
        assert np.array_equal(rows[:, 0] % 2, labels)
        assert np.array_equal(rows[:, 1], rows[:, 0] / 2)


def test_csv_label_column_by_default(tmp_path):
    rows = "".join(f"{i},{i % 2},{i % 3}\n" for i in range(30))
    for header, classes in (("a,Label,class", 2), ("a,class,b", 2), ("a,b,kind", 3)):
        path = write(tmp_path / "d.csv", f"{header}\n{rows}")
        *_, info = datasets.load(path, return_info=True)
        assert len(info.class_names) == classes


def test_csv_number_labels_are_sorted_as_numbers_and_separators_are_seen(tmp_path):
    for separator in ",;\t":
        rows = "".join(f"{i}.5{separator}{i % 11}\r\n" for i in range(110))
        path = tmp_path / "d.csv"
        path.write_bytes(f"\ufeffx{separator}y\r\n{rows}\r\n".encode())
        (X, y), _, info = datasets.load(path, return_info=True)
        assert info.feature_names == ("x",)
        assert info.class_names == tuple(map(str, range(11)))
        assert np.array_equal((X[:, 0] - 0.5) % 11, y)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header line, got an empty file"),
        ("1,2,3\n4,5,6\n", "expected names in the first line"),
        (",a,y\n0,1,2\n", "column 1 has no name.*an index"),
        ("a,a,y\n1,2,0\n", "'a' twice"),
        ("y\n1\n", "at least one feature column"),
        ("a,b,y\n1,2,0\n1,2\n", "line 3: expected 3 values, got 2"),
        ("a,b,y\n1,2,0\n1,red,1\n", "line 3, column 'b': expected a finite number, got 'red'"),
        ("a,b,y\n1,2,0\n1,,1\n", "line 3, column 'b': no value"),
        ("a,b,y\n1,NaN,0\n", "line 2, column 'b': no value"),
        ("a,b,y\n1,NA,0\n", "line 2, column 'b': no value"),
        ("a,b,y\n1,-inf,0\n", "line 2, column 'b': expected a finite number, got '-inf'"),
        ("a,b,y\n1,2, \n", "line 2, column 'y': no value"),
        ("a,y\n1,0\n2,0\n", r"at least two classes, got one \(0\)"),
        ("a,y\n", "at least one row"),
        ("a,y\n" + "".join(f"{i},{i / 7}\n" for i in range(50)), "50 different numbers in 50 rows"),
    ],
)
def test_csv_content_that_does_not_fit(tmp_path, text, message):
    path = write(tmp_path / "bad.csv", text)
    with pytest.raises(ValueError, match=message) as caught:
        datasets.load(path)
    assert "bad.csv" in str(caught.value)


def test_csv_that_is_no_text(tmp_path):
    (tmp_path / "bad.csv").write_bytes(b"a,y\n\xff\xfe,1\n")
    with pytest.raises(ValueError, match=r"bad\.csv: expected UTF-8"):
        datasets.load(tmp_path / "bad.csv")


def test_csv_label_that_is_not_there(tmp_path):
    path = write(tmp_path / "d.csv", FLOWERS)
    with pytest.raises(
        ValueError, match="label: expected one of width, kind, height; got 'colour'"
    ):
        datasets.load(path, label="colour")
    with pytest.raises(ValueError, match=r"label: only a \.csv"):
        datasets.load("digits", label="kind")


def draw(path, size, colour, mode="RGB"):
    image = pytest.importorskip("PIL.Image")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.new(mode, size, colour).save(path)


def test_a_folder_of_images(tmp_path):
    for i in range(10):
        draw(tmp_path / "red" / f"{i}.png", (6, 4), (200 + i, 0, 0))
        draw(tmp_path / "blue" / f"{i}.PNG", (6, 4), (0, 0, 200 + i))
    (tmp_path / "red" / "notes.txt").write_text("no image")
    (X, y), (X_test, y_test), info = datasets.load(tmp_path, return_info=True)
    assert X.shape == (16, 4, 6, 3)
    assert X.dtype == np.uint8
    assert info.class_names == ("blue", "red")
    for rows, labels in ((X, y), (X_test, y_test)):
        assert np.array_equal(rows[:, 0, 0, 0] >= 200, labels == 1)
    assert np.array_equal(datasets.features(tmp_path)[:10, 2, 3, 2], 200 + np.arange(10))


def test_grey_images_have_no_channel_and_colour_wins(tmp_path):
    for i in range(3):
        draw(tmp_path / "train" / "a" / f"{i}.png", (5, 5), i, "L")
        draw(tmp_path / "train" / "b" / f"{i}.png", (5, 5), 100 + i, "L")
        draw(tmp_path / "test" / "a" / f"{i}.png", (5, 5), i, "L")
        draw(tmp_path / "test" / "b" / f"{i}.png", (5, 5), i, "L")
    (X, y), (X_test, y_test) = datasets.load(tmp_path)
    assert X.shape == X_test.shape == (6, 5, 5)
    assert np.array_equal(X[:, 0, 0], [0, 1, 2, 100, 101, 102])
    assert np.array_equal(y, y_test)
    draw(tmp_path / "test" / "b" / "9.png", (5, 5), (1, 2, 3))
    with pytest.raises(ValueError, match=r"one size, got \(5, 5\) in train, \(5, 5, 3\) in test"):
        datasets.load(tmp_path)


def test_images_that_do_not_fit_are_named(tmp_path):
    draw(tmp_path / "a" / "0.png", (5, 5), 1, "L")
    draw(tmp_path / "b" / "1.png", (5, 6), 1, "L")
    with pytest.raises(ValueError, match=r"1\.png: expected 5 x 5 pixels.*got 5 x 6"):
        datasets.load(tmp_path)
    draw(tmp_path / "b" / "1.png", (5, 5), 1, "I;16")
    with pytest.raises(ValueError, match=r"1\.png: expected 8 bits"):
        datasets.load(tmp_path)
    (tmp_path / "b" / "1.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1\.png: not an image"):
        datasets.load(tmp_path)
    rng = np.random.default_rng(0)
    pytest.importorskip("PIL.Image").fromarray(images(rng, 1, 64, 64)[0][0]).save(
        tmp_path / "b" / "1.png"
    )
    draw(tmp_path / "a" / "0.png", (64, 64), 1, "L")
    whole = (tmp_path / "b" / "1.png").read_bytes()
    (tmp_path / "b" / "1.png").write_bytes(whole[:1000])
    with pytest.raises(ValueError, match=r"1\.png: damaged image"):
        datasets.load(tmp_path)
    (tmp_path / "b" / "1.png").unlink()
    with pytest.raises(ValueError, match="one folder of images for each class, got none in 'b'"):
        datasets.load(tmp_path)
    with pytest.raises(ValueError, match="got no folder"):
        datasets.load(tmp_path / "a")


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    draw(tmp_path / "a" / "0.png", (5, 5), 1, "L")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install fanin\[image\]"):
        datasets.load(tmp_path)


def test_what_is_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"one of digits, fashion-mnist, mnist, cifar10, a \.npz"):
        datasets.load("imagenet")
    with pytest.raises(FileNotFoundError, match=r"gone\.csv: no such file"):
        datasets.load(tmp_path / "gone.csv")
    path = write(tmp_path / "d.txt", "x")
    with pytest.raises(ValueError, match=r"expected a \.npz or \.csv file or a folder"):
        datasets.load(path)


def test_features_take_a_csv_by_column_names(tmp_path):
    path = write(tmp_path / "d.csv", "b,note,a\n1,hello,2\n3,there,4\n")
    assert np.array_equal(datasets.features(path, feature_names=["a", "b"]), [[2, 1], [4, 3]])
    with pytest.raises(ValueError, match="expected a column 'c', got b, note, a"):
        datasets.features(path, feature_names=["a", "c"])


def test_features_need_no_labels_and_prefer_a_test_part(tmp_path):
    X = np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "d.npz", X=X)
    assert np.array_equal(datasets.features(tmp_path / "d.npz"), X)
    assert len(datasets.features("digits")) == 360


# The split


@pytest.mark.parametrize("n", [5, 16, 17, 63, 333, 1000])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_split_keeps_proportions_order_and_every_row(n, share):
    y = np.random.default_rng(n).choice(3, n, p=[0.6, 0.3, 0.1])
    X = np.arange(n)[:, None]
    (X1, y1), (X2, y2) = datasets.split(X, y, test_size=share, seed=4)
    at1, at2 = X1[:, 0], X2[:, 0]
    assert np.array_equal(np.sort(np.concatenate([at1, at2])), np.arange(n))
    assert np.all(np.diff(at1) > 0)
    assert np.all(np.diff(at2) > 0)
    assert np.array_equal(y1, y[at1])
    assert np.array_equal(y2, y[at2])
    assert set(y1) == set(y)
    if n >= 100:
        assert len(y2) == round(share * n)
        found, ideal = np.bincount(y2, minlength=3), share * np.bincount(y, minlength=3)
        assert np.all(np.abs(found - ideal) <= 1.5)


def test_split_depends_on_the_seed_alone():
    X, y = np.arange(200)[:, None], np.arange(200) % 4
    first, again, other = (datasets.split(X, y, seed=s)[1][0] for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_split_draws_every_row_equally_often():
    X, y = np.arange(20)[:, None], np.repeat([0, 1], [12, 8])
    chosen = np.zeros(20)
    for seed in range(2000):
        chosen[datasets.split(X, y, test_size=0.25, seed=seed)[1][0][:, 0]] += 1
    for rows in (chosen[:12], chosen[12:]):
        assert np.abs(rows - rows.mean()).max() < 5 * np.sqrt(rows.mean())


def test_split_arguments():
    X, y = np.zeros((4, 1)), np.array([0, 1, 0, 1])
    for share in (0, 1, -0.5, float("nan")):
        with pytest.raises(ValueError, match="test_size: expected a share above 0 and below 1"):
            datasets.split(X, y, test_size=share)
    with pytest.raises(ValueError, match=r"y: expected shape \(4,\) of whole numbers, got \(3,\)"):
        datasets.split(X, y[:3])
    with pytest.raises(ValueError, match="4 rows of 4 classes"):
        datasets.split(X, np.arange(4), test_size=0.5)
