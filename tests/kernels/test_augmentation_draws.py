"""What the compiled pipeline draws: functions of seed, epoch and sample; laws of each operation."""

from __future__ import annotations

import numpy as np
import pytest
from augmentation_cases import (
    ERASE,
    FLIP,
    GRAY,
    JITTER,
    boxes,
    choose,
    crop,
    draw,
    flip,
    gate,
    resized_crop,
)

from fanin import _core


def test_draws_are_a_function_of_seed_epoch_and_sample() -> None:
    ops = [crop(28, 4), FLIP, JITTER, ERASE]
    aug = _core.Augmentation(ops, 11)
    n = 400
    height, width = np.full(n, 32), np.full(n, 32)
    drawn = aug.draw(np.arange(n), 3, height, width)
    some = np.array([399, 5, 5, 17])
    again = aug.draw(some, 3, height[:4], width[:4])
    for first, second in zip(drawn, again, strict=True):
        assert first.keys() == second.keys()
        for name, values in first.items():
            np.testing.assert_array_equal(second[name], values[some])
    others = [
        aug.draw(np.arange(n), 4, height, width),
        _core.Augmentation(ops, 12).draw(np.arange(n), 3, height, width),
    ]
    for other in others:
        assert (boxes(other[0])[:, :2] != boxes(drawn[0])[:, :2]).mean() > 0.7
    top = drawn[0]["top"]
    assert set(top) == set(range(13))
    assert abs(top.mean() - 6) < 4 * 3.75 / np.sqrt(n)
    orders = {tuple(order) for order in drawn[2]["order"]}
    assert len(orders) == 24
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)


@pytest.mark.parametrize("p", [0.0, 0.2, 1.0])
def test_p_is_p_within_groups(p: float) -> None:
    """A gate's members happen together, and one group of a choice."""
    n = 3000
    ops = [
        gate(p, 2),
        flip("hflip"),
        flip("vflip", 0.5),
        choose(1, 2),
        GRAY,
        flip("hflip"),
        flip("vflip"),
    ]
    drawn = draw(ops, n, 8, 8)
    applied = np.stack([d["applied"] for d in drawn], axis=1)
    error = 4 * np.sqrt(n / 4) / n
    np.testing.assert_array_equal(applied[:, 0], applied[:, 1])
    assert abs(applied[:, 1].mean() - p) <= (error if 0 < p < 1 else 0)
    assert not (applied[:, 2] & ~applied[:, 1]).any()
    assert abs(applied[:, 2].mean() - p / 2) <= error
    second = drawn[3]["group"] == 1
    assert abs(second.mean() - 0.5) <= error
    np.testing.assert_array_equal(applied[:, 5], second)
    np.testing.assert_array_equal(applied[:, 6], second)
    assert not applied[second, 4].any()


def test_alternating_flips_take_turns() -> None:
    turns = [flip("hflip", alternating=True)]
    flips = np.stack([draw(turns, 500, 8, 8, epoch=e)[0]["applied"] for e in range(4)])
    assert 150 < flips[0].sum() < 350
    np.testing.assert_array_equal(flips[1], ~flips[0])
    np.testing.assert_array_equal(flips[2], flips[0])


def test_resized_crops_obey_their_laws() -> None:
    (drawn,) = draw([resized_crop(24, scale=(0.2, 0.5), ratio=(0.5, 2))], 2000, 200, 300)
    top, left, height, width = boxes(drawn).T
    assert (top >= 0).all()
    assert (top + height <= 200).all()
    assert (left >= 0).all()
    assert (left + width <= 300).all()
    area, ratio = height * width / 60000, width / height
    assert 0.19 < area.min() < 0.22
    assert 0.47 < area.max() < 0.51
    assert 0.49 < ratio.min() < 0.55
    assert 1.8 < ratio.max() < 2.05
    assert abs(np.log(ratio).mean()) < 0.06


def test_resized_crop_falls_back_to_the_middle() -> None:
    (drawn,) = draw([resized_crop(8, scale=(1, 1), ratio=(0.75, 4 / 3))], 5, 10, 100)
    np.testing.assert_array_equal(boxes(drawn), [[0, 43, 10, 13]] * 5)
