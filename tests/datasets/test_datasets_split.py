"""The split of a data set into a training and a test part."""

from __future__ import annotations

import numpy as np
import pytest

from fanin import datasets


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


def test_labels_of_any_kind_are_split_as_numbers_are():
    X, y = np.arange(60).reshape(30, 2), np.arange(30) % 3
    (first, labels), (second, held) = datasets.split(X, y)
    words = np.array(["a", "b", "c"])
    for given in (words[y], words[y].astype(object), words[y].tolist()):
        (rows, found), (others, kept) = datasets.split(X.tolist(), given)
        assert np.array_equal(rows, first)
        assert np.array_equal(others, second)
        assert found.tolist() == words[labels].tolist()
        assert kept.tolist() == words[held].tolist()
    truth = datasets.split(X, y > 0)[1][1]
    assert truth.dtype == bool
    with pytest.raises(ValueError, match=r"y: expected shape .* of labels or values, got"):
        datasets.split(X, np.array([None, "a"] * 15, object))


def test_split_arguments():
    X, y = np.zeros((4, 1)), np.array([0, 1, 0, 1])
    for share in (0, 1, -0.5, float("nan")):
        with pytest.raises(ValueError, match="test_size: expected a share above 0 and below 1"):
            datasets.split(X, y, test_size=share)
    with pytest.raises(ValueError, match=r"y: expected shape \(4,\) of labels.*got \(3,\)"):
        datasets.split(X, y[:3])
    with pytest.raises(ValueError, match="4 rows of 4 classes"):
        datasets.split(X, np.arange(4), test_size=0.5)
