"""The folds of cross-validation."""

from __future__ import annotations

import numpy as np
import pytest

from fanin.datasets import folds


def test_each_row_is_held_out_once_in_each_repeat():
    y = np.arange(103) % 4
    found = folds(y, 5, repeats=3, seed=2)
    assert len(found) == 15
    for repeat in range(3):
        held = np.concatenate([h for _, h in found[5 * repeat : 5 * repeat + 5]])
        assert np.array_equal(np.sort(held), np.arange(103))
    for train, held in found:
        assert np.array_equal(np.sort(np.concatenate([train, held])), np.arange(103))
        assert set(np.diff(np.sort(train))) <= set(range(1, 104))
    assert not np.array_equal(found[0][1], found[5][1])


def test_classes_are_shared_out_evenly():
    y = np.repeat([0, 1, 2], [100, 23, 7])
    for _, held in folds(y):
        counts = np.bincount(y[held], minlength=3)
        assert counts[0] == 20
        assert counts[1] in (4, 5)
        assert counts[2] in (1, 2)


def test_the_only_row_of_a_class_stays_in_training():
    y = np.append(np.arange(20) % 2, 2)
    for train, held in folds(y, 4):
        assert 20 in train
        assert 20 not in held


def test_the_same_seed_gives_the_same_folds():
    y = np.arange(50) % 3
    for one, other in zip(folds(y, seed=4), folds(y, seed=4), strict=True):
        assert np.array_equal(one[1], other[1])
    assert not np.array_equal(folds(y, seed=4)[0][1], folds(y, seed=5)[0][1])
    assert np.array_equal(folds(y, repeats=2)[0][1], folds(y, repeats=1)[0][1])


def test_groups_stay_together():
    groups = np.repeat(np.arange(12), np.arange(1, 13))
    y = np.arange(len(groups)) % 2
    sizes = []
    for train, held in folds(y, 3, groups=groups):
        assert not set(groups[train]) & set(groups[held])
        sizes.append(len(held))
    assert sum(sizes) == len(groups)
    assert max(sizes) - min(sizes) <= 12
    names = np.array([f"patient {g}" for g in groups])
    for one, other in zip(folds(y, 3, groups=groups), folds(y, 3, groups=names), strict=True):
        assert len(one[1]) + len(one[0]) == len(other[0]) + len(other[1])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n_folds": 1}, "n_folds: expected between 2 and 10, got 1"),
        ({"n_folds": 11}, "n_folds: expected between 2 and 10, got 11"),
        ({"repeats": 0}, "repeats: expected at least 1"),
        ({"groups": np.zeros(9)}, r"groups: expected shape \(10,\)"),
        ({"groups": np.zeros(10)}, "groups: expected at least 5 groups, got 1"),
    ],
)
def test_bad_input(options, text):
    with pytest.raises(ValueError, match=text):
        folds(np.arange(10) % 2, **options)


def test_labels_are_whole_numbers():
    with pytest.raises(ValueError, match=r"y: expected shape .* whole numbers, got"):
        folds(np.zeros(10))


def test_no_fold_is_empty():
    with pytest.raises(ValueError, match=r"y: expected at least 5 rows, one .* several, got 0"):
        folds(np.arange(40), 5)
    few = np.array([0, 0, 1, 1, 2, 3, 4])  # of which three are single
    with pytest.raises(ValueError, match="several, got 4"):
        folds(few, 5)
    assert all(len(train) and len(held) for train, held in folds(few, 4))
