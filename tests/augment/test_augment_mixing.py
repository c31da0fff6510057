"""Mixup and CutMix as the last of a pipeline: images, labels, lambdas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from augment_cases import noise
from reference_augment import augmented

from fanin import layers
from fanin.augment import Compose, CutMix, Cutout, HorizontalFlip, Mixup, Normalize, RandomCrop

PLAIN = [RandomCrop(16, padding=2), HorizontalFlip()]


def expected_labels(y: np.ndarray, lambdas: np.ndarray, classes: int) -> np.ndarray:
    soft = np.eye(classes)[y] if y.ndim == 1 else y.astype(np.float64)
    partner = np.roll(soft, 1, axis=0)
    return lambdas[:, None] * soft + (1 - lambdas[:, None]) * partner


@pytest.mark.row("A6")
@pytest.mark.parametrize("mode", ["batch", "sample"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("n", [1, 2, 15, 17])
def test_mixup_is_its_formula(n: int, layout: str, dtype: Any, mode: str) -> None:
    images, y = noise(n, 16, 17, dtype=dtype), np.arange(n) % 3
    aug = Compose([*PLAIN, Mixup(0.4, mode=mode, num_classes=3)], seed=1)
    before = Compose(PLAIN, seed=1)(images, epoch=2, layout=layout).astype(np.float64)
    *_, drawn = aug.parameters(images, epoch=2)
    share = drawn["lambda"].reshape(-1, 1, 1, 1)
    x, soft = aug(images, y, epoch=2, layout=layout)
    expected = share * before + (1 - share) * np.roll(before, 1, axis=0)
    bound = 0.501 if dtype == np.uint8 else 1e-6
    np.testing.assert_allclose(x, expected, rtol=0, atol=bound)
    assert x.dtype == dtype
    assert soft.dtype == np.float32
    np.testing.assert_allclose(soft, expected_labels(y, drawn["lambda"], 3), rtol=0, atol=1e-7)
    np.testing.assert_array_equal(drawn["partner"], (np.arange(n) - 1) % n)
    assert len(np.unique(drawn["lambda"])) == (1 if mode == "batch" else n)


@pytest.mark.row("A7")
@pytest.mark.parametrize("mode", ["batch", "sample"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_cutmix_pastes_and_lambda_is_the_area_left(layout: str, dtype: Any, mode: str) -> None:
    n, height, width = 33, 19, 24
    images, y = noise(n, height, width, dtype=dtype), np.arange(n) % 5
    aug = Compose([CutMix(1.0, mode=mode, num_classes=5)], seed=2)
    (drawn,) = aug.parameters(images)
    result, soft = aug(images, y, layout=layout)
    result = result if layout == "NHWC" else result.transpose(0, 2, 3, 1)
    for i in range(n):
        t, left, b, r = (int(drawn[k][i]) for k in ("top", "left", "bottom", "right"))
        expected = images[i].copy()
        expected[t:b, left:r] = images[i - 1][t:b, left:r]
        np.testing.assert_array_equal(result[i], expected)
        assert drawn["lambda"][i] == 1 - (b - t) * (r - left) / (height * width)
    np.testing.assert_array_equal(soft, expected_labels(y, drawn["lambda"], 5).astype(np.float32))


@pytest.mark.row("A6")
@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_lambda_has_the_moments_of_beta(alpha: float) -> None:
    n = 40000
    aug = Compose([Mixup(alpha, mode="sample")], seed=3)
    share = aug.parameters((n, 2, 2))[0]["lambda"]
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(share.mean() - 0.5) < 5 * np.sqrt(variance / n)
    fourth = 3 * variance**2 * (2 * alpha + 1) / (2 * alpha + 3)
    assert abs(((share - 0.5) ** 2).mean() - variance) < 5 * np.sqrt((fourth - variance**2) / n)
    stats = pytest.importorskip("scipy.stats")
    assert stats.kstest(share, "beta", (alpha, alpha)).pvalue > 1e-3


@pytest.mark.row("A7")
def test_cutmix_cuts_the_share_that_lambda_says_before_the_border() -> None:
    """Where the rectangle touches no border its sides are sqrt(1 - lambda) of the image's."""
    (drawn,) = Compose([CutMix(1.0, mode="sample")], seed=4).parameters((20000, 1000, 2000))
    inside = (drawn["top"] > 0) & (drawn["left"] > 0)
    inside &= (drawn["bottom"] < 1000) & (drawn["right"] < 2000)
    h = (drawn["bottom"] - drawn["top"])[inside]
    w = (drawn["right"] - drawn["left"])[inside]
    assert inside.sum() > 3000
    assert np.abs(w - 2 * h).max() <= 4
    np.testing.assert_allclose(1 - drawn["lambda"][inside], h / 1000 * (w / 2000), atol=1e-12)


@pytest.mark.row("A6")
@pytest.mark.row("A7")
@pytest.mark.parametrize("mix", [Mixup(0.3, num_classes=4), CutMix(num_classes=4, mode="sample")])
def test_the_loss_of_mixed_labels_is_the_mix_of_losses(mix: Any) -> None:
    n, y = 24, np.arange(24) % 4
    aug = Compose([mix], seed=5)
    (drawn,) = aug.parameters((n, 8, 8))
    x, soft = aug(noise(n, 8, 8, 1), y)
    W = np.random.default_rng(0).standard_normal((64, 4))
    scores = (x.reshape(n, -1) / 255.0) @ W
    share = drawn["lambda"]

    def losses(labels: np.ndarray) -> np.ndarray:
        rows = [layers.softmax_loss(scores[i : i + 1], labels[i : i + 1])[0] for i in range(n)]
        return np.array(rows)

    expected = share * losses(y) + (1 - share) * losses(np.roll(y, 1))
    loss, _ = layers.softmax_loss(scores, soft.astype(np.float64))
    assert loss == pytest.approx(expected.mean(), rel=1e-6)


@pytest.mark.parametrize("kind", [Mixup, CutMix])
def test_alpha_zero_and_p_zero_mix_nothing(kind: Any) -> None:
    images, y = noise(9, 8, 9), np.arange(9)
    for mix in (kind(0.0, num_classes=9), kind(1.0, p=0.0, num_classes=9)):
        x, soft = Compose([mix], seed=6)(images, y)
        np.testing.assert_array_equal(x, images)
        np.testing.assert_array_equal(soft, np.eye(9, dtype=np.float32))


@pytest.mark.parametrize("kind", [Mixup, CutMix])
def test_p_is_of_the_batch_or_of_each_sample(kind: Any) -> None:
    n = 20000
    each = Compose([kind(1.0, p=0.3, mode="sample")], seed=7).parameters((n, 64, 64))[0]
    drawn = each["applied"].mean() if kind is Mixup else (each["bottom"] > each["top"]).mean()
    assert abs(drawn - 0.3) < 5 * np.sqrt(0.21 / n) + (0 if kind is Mixup else 0.01)
    whole = Compose([kind(1.0, p=0.3)], seed=7)
    of_batch = [whole.parameters((3, 64, 64), epoch=e)[0]["applied"] for e in range(500)]
    assert all(len(set(a.tolist())) == 1 for a in of_batch)
    assert abs(np.mean([a[0] for a in of_batch]) - 0.3) < 5 * np.sqrt(0.21 / 500)


def test_soft_labels_are_mixed_as_they_are() -> None:
    images = noise(6, 8, 8)
    y = np.random.default_rng(0).dirichlet(np.ones(3), 6).astype(np.float32)
    aug = Compose([Mixup(1.0, mode="sample")], seed=8)
    _, soft = aug(images, y)
    share = aug.parameters(images)[0]["lambda"]
    np.testing.assert_array_equal(soft, expected_labels(y, share, 3).astype(np.float32))


def test_mixing_needs_no_labels_and_comes_after_normalising() -> None:
    images = noise(6, 8, 8)
    steps = [HorizontalFlip(), Normalize(0.5, 0.25), Cutout(3)]
    aug = Compose([*steps, Mixup(0.5)], seed=9)
    result = aug(images, layout="NCHW")
    assert result.dtype == np.float32
    before = augmented(Compose(steps, seed=9), images).transpose(0, 3, 1, 2)
    share = aug.parameters(images)[-1]["lambda"].reshape(-1, 1, 1, 1)
    expected = share * before + (1 - share) * np.roll(before, 1, axis=0)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("mix", [Mixup(0.4, num_classes=3), CutMix(mode="sample", num_classes=3)])
def test_mixing_into_out_and_as_floats(mix: Any) -> None:
    images, y = noise(7, 16, 17), np.arange(7) % 3
    for steps in ([], PLAIN):
        aug = Compose([*steps, mix], seed=10)
        expected, soft = aug(images, y, epoch=0, dtype="float32", layout="NCHW")
        out = np.full_like(expected, -1)
        got, again = aug(images, y, epoch=0, dtype="float32", layout="NCHW", out=out)
        assert got is out
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(again, soft)
        assert expected.dtype == np.float32
        assert 0.3 < expected.mean() < 0.7


@pytest.mark.parametrize("mix", [Mixup(0.4), CutMix(0.4), Mixup(0.0)])
@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1.5, -0.01])
def test_floats_out_of_range_are_refused_wherever_they_stand(mix: Any, bad: float) -> None:
    for at in [(0, 0, 0, 0), (6, 8, 4, 2), (3, 2, 1, 0)]:
        images = noise(7, 9, 5, dtype=np.float32)
        images[at] = bad
        with pytest.raises(ValueError, match="images: expected") as flipped:
            Compose([HorizontalFlip()])(images)
        with pytest.raises(ValueError, match="images: expected") as mixed:
            Compose([mix])(images)
        assert str(mixed.value) == str(flipped.value)


def test_soft_labels_may_lie_in_any_order() -> None:
    images, soft = noise(4, 5, 5), np.random.default_rng(0).random((4, 3), dtype=np.float32)
    aug = Compose([Mixup()], seed=0)
    expected = aug(images, soft, epoch=0)[1]
    wide = np.repeat(soft, 2, axis=1)[:, ::2]
    for labels in (np.asfortranarray(soft), wide, soft[::-1][::-1], soft.astype(np.float64)):
        assert np.array_equal(aug(images, labels, epoch=0)[1], expected)
