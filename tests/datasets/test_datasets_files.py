"""Data sets from the user's files: .npz, .csv and folders of images."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from fanin import datasets

pytestmark = pytest.mark.usefixtures("no_data_of_this_machine")


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
    pytest.importorskip("PIL.Image").fromarray(rng.integers(0, 256, (64, 64), np.uint8)).save(
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
