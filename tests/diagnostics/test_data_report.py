"""The data report finds each planted fault, in the right place, and nothing where nothing is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import fanin
from fanin.datasets import named
from fanin.diagnostics import DataFinding, Finding, data_report
from fanin.random import Generator


def table(n=600, columns=7, dtype="float64", seed=0):
    return Generator(seed).standard_normal((n, columns), dtype=dtype)


def images(n=300, dtype=np.uint8):
    """Smooth blobs on a dark background: neighbours correlate, borders are constant."""
    g = Generator(5)
    y, x = np.mgrid[0:12, 0:12]
    centre = g.uniform(4, 8, (n, 2), dtype="float64")
    far = (y - centre[:, :1, None]) ** 2 + (x - centre[:, 1:, None]) ** 2
    values = np.maximum(255 * np.exp(-far / 6) - 20, 0)
    return values.astype(dtype)


def only(report, name):
    """The one finding, which has that name."""
    assert report.names == (name,), str(report)
    return report.findings[0]


@pytest.mark.row("P4")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(4))
def test_clean_tables_have_no_faults(seed, dtype):
    X = table(dtype=dtype, seed=seed)
    report = data_report(X, Generator(1).integers(0, 3, len(X)))
    assert report.names == ()
    assert "no faults found" in str(report)
    assert "only where they should weigh the same" in report.cautions[0]
    evenly = Generator(seed).random((40, 5), dtype=dtype)
    assert data_report(evenly).names == ()


@pytest.mark.row("P4")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scale(dtype):
    X = table(dtype=dtype)
    X[:, 3] *= 3000
    X[:, 5] /= 200
    found = only(data_report(X), "scale")
    assert found.columns.tolist() == [3, 5]
    assert "column 3" in found.evidence
    assert "column 5" in found.evidence
    assert "not blindly" in found.advice
    moderate = table(dtype=dtype) * np.array([1, 2, 4, 8, 16, 32, 1]).astype(dtype)
    assert data_report(moderate).names == ()


def test_findings_on_data_are_findings():
    X = table()
    X[:, 2] += 40
    found = only(data_report(X), "bias")
    assert DataFinding is Finding
    assert found.advice == found.action
    assert found.to_dict() == {k: getattr(found, k) for k in ("name", "evidence", "action")}
    assert Finding.from_dict(found.to_dict()) == found
    assert (found.columns.tolist(), found.rows.tolist()) == ([2], [])


@pytest.mark.row("P4")
def test_all_features_far_from_one():
    found = only(data_report(table() * 1e4), "scale")
    assert found.columns.tolist() == list(range(7))
    assert "far from 1" in found.evidence
    assert only(data_report(table() * 1e-3), "scale").columns.size == 7


@pytest.mark.row("P4")
def test_bias():
    X = table()
    X[:, 2] += 40
    X[:, 6] -= 4
    X[:, 1] += 1
    found = only(data_report(X), "bias")
    assert found.columns.tolist() == [2, 6]
    assert "column 2 has mean 39.99" in found.evidence
    assert "ZeroCenter" in found.advice


@pytest.mark.row("P4")
@pytest.mark.parametrize("value", [0.0, -7.25, 0.1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constant(value, dtype):
    X = table(dtype=dtype)
    X[:, [0, 4]] = value
    found = only(data_report(X), "constant")
    assert found.columns.tolist() == [0, 4]
    assert "columns 0, 4 of 7" in found.evidence


def test_constant_up_to_rounding_and_not_beyond():
    X = table()
    X[:, 1] = np.where(X[:, 0] > 0, 0.3, 0.1 + 0.2)
    assert only(data_report(X), "constant").columns.tolist() == [1]
    X[:, 1] = 1e8 + table(seed=3)[:, 0]
    assert only(data_report(X), "bias").columns.tolist() == [1]


@pytest.mark.row("P4")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_duplicate_columns(dtype):
    X = table(dtype=dtype)
    X[:, 4] = X[:, 1]
    X[:, 6] = X[:, 1]
    X[:, 5] = X[:, 0]
    X[:, 0] *= 1  # signed zeros are equal
    X[0, 0], X[0, 5] = 0.0, -0.0
    found = only(data_report(X), "duplicate-columns")
    assert found.columns.tolist() == [0, 1, 4, 5, 6]
    assert "columns 1, 4, 6" in found.evidence


def test_columns_of_the_same_values_in_another_order_are_no_duplicates():
    rng = np.random.default_rng(0)
    values = np.arange(500.0) % 2
    X = np.stack([rng.permutation(values) for _ in range(6)], axis=1) - 0.5
    assert "duplicate-columns" not in data_report(X).names
    X[:, 5] = X[:, 3]
    found = data_report(X).findings[0]
    assert (found.name, found.columns.tolist()) == ("duplicate-columns", [3, 5])


@pytest.mark.row("P4")
@pytest.mark.parametrize("columns", [6, 1500])
def test_correlated(columns):
    X = table(n=500, columns=columns)
    X[:, 4] = -2.5 * X[:, 1] + 0.1 * X[:, 4]
    X[:, -1] = X[:, 2] + 0.05 * X[:, -1]
    found = only(data_report(X), "correlated")
    assert found.columns.tolist() == sorted([1, 2, 4, columns - 1])
    r = np.corrcoef(X[:, [1, 4]], rowvar=False)[0, 1]
    assert f"{r:.3f} between columns 1, 4" in found.evidence
    assert "2 of magnitude" in found.evidence
    X = table(n=500)
    X[:, 4] = X[:, 1] + X[:, 4]  # 0.7
    assert data_report(X).names == ()


@pytest.mark.row("P4")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outliers(dtype):
    X = table(dtype=dtype)
    X[17, 3], X[400, 3], X[8, 0] = 500, -90, 60
    found = only(data_report(X), "outliers")
    assert found.columns.tolist() == [0, 3]
    assert found.rows.tolist() == [8, 17, 400]
    assert "3 values" in found.evidence
    assert "500 in row 17, column 3" in found.evidence
    heavy = -np.log(1 - Generator(3).random((600, 7), dtype="float64"))
    assert data_report(heavy).names == ()  # a tail is no outlier


@pytest.mark.row("P4")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_that_are_not_finite(dtype):
    X = table(dtype=dtype)
    X[10, 2], X[11, 2], X[500, 6] = np.nan, np.inf, -np.inf
    report = data_report(X)
    found = only(report, "not-finite")
    assert (found.rows.tolist(), found.columns.tolist()) == ([10, 11, 500], [2, 6])
    assert "1 NaN and 2 infinite values" in found.evidence
    assert "rows out" in found.evidence


@pytest.mark.row("P4")
def test_other_faults_are_found_beside_values_that_are_not_finite():
    X = table()
    X[::2, 1] = np.nan  # a column that is hardly there is left out, not half of the rows
    X[:, 4] += 50
    X[599, 6] = 1000
    report = data_report(X)
    assert report.names == ("not-finite", "bias", "outliers")
    assert "columns out" in report.findings[0].evidence
    assert report.findings[1].columns.tolist() == [4]
    assert report.findings[2].columns.tolist() == [6]
    X = table()
    X[3, 1], X[300, 2] = np.nan, 1000
    report = data_report(X)
    assert report.findings[1].rows.tolist() == [300]  # as the data count them


@pytest.mark.row("P4")
@pytest.mark.parametrize("kind", [int, str, bool])
def test_class_balance(kind):
    y = np.zeros(600, int)
    y[:20] = 1
    labels = np.array(["cat", "dog"], dtype=object)[y] if kind is str else y.astype(kind)
    found = only(data_report(table(), labels), "class-balance")
    for number in ("20 rows", "580 of class", "29 times", "96.7%"):
        assert number in found.evidence
    assert "sample_weight" in found.advice
    if kind is str:
        assert "'dog'" in found.evidence
    one = only(data_report(table(), np.zeros(600, int)), "class-balance")
    assert "all 600 rows are of class 0" in one.evidence


def test_values_to_be_predicted_are_no_classes():
    X = table()
    assert data_report(X, X[:, 0] ** 3).names == ()
    assert data_report(X, np.arange(600)).names == ()


@pytest.mark.row("P4")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_duplicate_rows(dtype):
    X = table(dtype=dtype)
    X[100:110] = X[300:310]
    y = np.arange(600) % 3
    y[100:110] = y[300:310]
    y[104] += 1
    found = only(data_report(X, y % 3), "duplicate-rows")
    assert found.rows.tolist() == [*range(100, 110), *range(300, 310)]
    assert "10 of 600 rows" in found.evidence
    assert "1 of 10 groups have different labels" in found.evidence


@pytest.mark.row("P4")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_images_are_images(dtype):
    X = images(dtype=dtype) if dtype == np.uint8 else images(dtype=dtype) / dtype(255)
    report = data_report(X)
    assert report.names == ()  # neighbours correlate, borders are constant: images do
    assert "PCA and whitening are seldom used for images" in report.cautions[0]
    assert "12 x 12" in str(report)
    if dtype != np.uint8:
        wide = images(dtype=dtype) * dtype(8)
        assert "divide all by one number" in only(data_report(wide), "scale").advice
        X[5, 3, 3] = 1000
        found = only(data_report(X), "outliers")
        assert (found.rows.tolist(), found.columns.tolist()) == ([5], [39])
        assert "pixel (3, 3)" in found.evidence


@pytest.mark.row("P4")
def test_a_stuck_pixel_and_a_bright_image():
    X = images()
    X[:, 4, 5] = 200
    found = only(data_report(X), "constant")
    assert (found.columns.tolist(), "pixel (4, 5)" in found.evidence) == ([53], True)
    X = 200 + images() // 16
    assert only(data_report(X), "bias").columns.size > 14


@pytest.mark.row("P4")
def test_no_false_alarms_on_real_images():
    (X, y), _ = fanin.datasets.load("digits")
    assert data_report(X, y).names == ("byte-range",)  # 0 to 16
    assert "bytes from 0 to 16" in data_report(X, y).findings[0].evidence
    assert data_report(X.reshape(len(X), -1), y).names == ("byte-range",)
    assert data_report(X * 15, y).names == ()
    flags = (X > 8).reshape(len(X), -1).astype(np.uint8)
    assert "byte-range" not in data_report(flags, y).names
    path = os.environ.get("FANIN_CIFAR10")
    if path and Path(path).is_file():
        with np.load(path) as data:
            assert data_report(data["x"], data["y"]).names == ()


def test_no_false_alarms_on_fashion_mnist():
    if named.installed("fashion-mnist") is None:
        pytest.skip("needs Fashion-MNIST on this machine")
    (X, y), _ = fanin.datasets.load("fashion-mnist")
    assert data_report(X, y).names == ()


def test_features_of_flowers_and_wine():
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_iris(return_X_y=True)
    report = data_report(X, y)
    assert report.names == ("bias", "correlated")
    assert report.findings[1].columns.tolist() == [2, 3]  # length and width of petals
    X, y = datasets.load_wine(return_X_y=True)
    scale = data_report(X, y).findings[0]
    assert (scale.name, 12 in scale.columns) == ("scale", True)  # proline


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_few_rows_and_columns(dtype):
    one = data_report(np.ones((1, 1), dtype), np.zeros(1, int))
    assert one.names == ("few-rows",)
    assert data_report(np.ones((1, 9), dtype)).names == ("few-rows",)
    two = np.array([[1, 2, 3, 4], [5, 6, 7, 9]], dtype)
    assert data_report(two).names == ("few-rows",)
    column = (np.arange(50) * 3).astype(dtype).reshape(50, 1)
    assert set(data_report(column).names) <= {"scale"}
    equal = data_report(np.full((40, 3), 7, dtype))
    assert equal.names == ("constant", "duplicate-rows")
    assert equal.findings[0].columns.tolist() == [0, 1, 2]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e300, 1e308, 1e-300, 1e-310])
def test_values_whose_squares_are_not_doubles(size):
    X = np.clip(table(), -1.5, 1.5)
    X[:, 3] *= size
    report = data_report(X)
    found = only(report, "scale")
    assert found.columns.tolist() == [3]
    assert "inf" not in found.evidence
    assert "nan" not in found.evidence
    assert only(data_report(np.clip(table(), -1.5, 1.5) * size), "scale").columns.size == 7


def test_nothing_but_values_that_are_not_finite():
    report = data_report(np.full((30, 3), np.nan))
    assert report.names == ("not-finite", "few-rows")
    assert "90 NaN" in report.findings[0].evidence


def test_the_report_does_not_depend_on_threads():
    X = table(n=5000, columns=300)
    X[:, 7] = X[:, 8] + 0.05 * X[:, 7]
    reports = {str(data_report(X, n_threads=n)) for n in (1, 2, 3)}
    assert len(reports) == 1
    assert "correlated" in reports.pop()


def test_the_data_are_not_changed_and_blocks_join(monkeypatch):
    from fanin.diagnostics import data_statistics

    X = table(n=1000)
    X[999, 2], X[3, 4], X[500, 1] = 80, np.nan, -70
    X[:, 6] = X[:, 0]
    before, whole = X.copy(), data_report(X)
    monkeypatch.setattr(data_statistics, "BLOCK", 100)
    parts = data_report(X)
    np.testing.assert_array_equal(X, before)
    assert whole.names == parts.names == ("not-finite", "outliers", "duplicate-columns")
    for a, b in zip(whole.findings, parts.findings, strict=True):
        assert a.evidence == b.evidence
        np.testing.assert_array_equal(a.rows, b.rows)
        np.testing.assert_array_equal(a.columns, b.columns)
    assert parts.findings[1].rows.tolist() == [500, 999]


@pytest.mark.parametrize(
    ("error", "X", "y", "match"),
    [
        (TypeError, [[1.0]], None, "X: expected a NumPy array, got list"),
        (TypeError, np.ones((3, 2), int), None, r"X: expected shape \(N, 2\) uint8, float32"),
        (ValueError, np.ones(3), None, r"X: expected shape \(N, D\) or \(N, ...\)"),
        (ValueError, np.ones((0, 3)), None, r"at least one row and column, got \(0, 3\)"),
        (ValueError, np.ones((3, 4)).T, None, "X: expected an array C-contiguous"),
        (ValueError, np.ones((3, 2)), np.ones(2, int), r"y: expected shape \(3,\) of labels"),
        (TypeError, np.ones((3, 2)), [0, 1, 1], "y: expected a NumPy array, got list"),
        (TypeError, np.ones((3, 2)), np.array([1, "a", None], object), "y: expected whole"),
        (ValueError, np.ones((3, 2)), np.array([1, np.nan, 2]), "y: .* got nan in row 1"),
    ],
)
def test_errors_name_the_argument(error, X, y, match):
    with pytest.raises(error, match=match):
        data_report(X, y)
