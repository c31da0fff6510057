"""Mixup and CutMix in compiled code: what is drawn, what is written, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanin import _core

SIZES = [(1, 1), (3, 5), (15, 16), (17, 33), (32, 32)]


def draw(kind, alpha, n=1000, p=1.0, per_sample=True, seed=0, epoch=0, height=32, width=32):
    indices = np.arange(n)
    return _core.draw_mix(kind, alpha, p, per_sample, seed, indices, epoch, height, width)


def mix(kind, images, alpha=1.0, planar=False, per_sample=True, indices=None, n_threads=0, **more):
    if indices is None:
        indices = np.arange(len(images))
    out = np.empty_like(images)
    options = {"p": 1.0, "seed": 0, "epoch": 0} | more
    lambdas, boxes, _ = _core.mix_images(
        kind=kind,
        alpha=alpha,
        per_sample=per_sample,
        images=images,
        planar=planar,
        indices=indices,
        out=out,
        n_threads=n_threads,
        **options,
    )
    return out, lambdas, boxes


def pictures(shape, dtype=np.uint8, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return values if dtype == np.uint8 else (values / np.float32(255)).astype(np.float32)


def blended(own, partner, lam):
    """fma(lambda, a - b, b) of float32: exact in float64 for bytes, then rounded once."""
    a, b = own.astype(np.float64), partner.astype(np.float64)
    difference = (own.astype(np.float32) - partner.astype(np.float32)).astype(np.float64)
    assert own.dtype != np.uint8 or np.array_equal(difference, a - b)
    return (np.float64(np.float32(lam)) * difference + b).astype(np.float32)


@pytest.mark.row("A6")
@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.5, 1.0, 1.5, 8.0, 1000.0])
def test_lambda_has_the_moments_of_beta(alpha):
    n = 40_000
    lambdas, boxes = draw("mixup", alpha, n)
    assert not boxes.any()
    assert lambdas.min() >= 0
    assert lambdas.max() <= 1
    variance = 1 / (4 * (2 * alpha + 1))
    fourth = 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3))  # of a symmetric beta, about 1/2
    assert abs(lambdas.mean() - 0.5) < 5 * np.sqrt(variance / n)
    assert abs(np.mean((lambdas - 0.5) ** 2) - variance) < 5 * np.sqrt((fourth - variance**2) / n)


@pytest.mark.parametrize("alpha", [0.2, 0.4, 1.0, 2.0, 30.0])
def test_lambda_has_the_law_of_beta(alpha):
    stats = pytest.importorskip("scipy.stats")
    lambdas, _ = draw("mixup", alpha, 40_000, seed=3)
    assert stats.kstest(lambdas, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_small_shares_are_not_lost_to_rounding():
    lambdas, _ = draw("mixup", 0.05, 40_000)
    small = lambdas[lambdas < 1e-20]
    # P(x < t) is t^a / (a B(a, a)) for small t; B(0.05, 0.05) = 39.8381
    assert len(small) / len(lambdas) == pytest.approx(1e-20**0.05 / (0.05 * 39.8381), abs=0.005)
    assert len(np.unique(small)) == len(small)


@pytest.mark.parametrize("alpha", [1e-300, 1e-8, 1e8, 1e300])
def test_lambda_is_finite_for_any_alpha(alpha):
    lambdas, _ = draw("mixup", alpha)
    assert np.all((lambdas >= 0) & (lambdas <= 1))
    if alpha < 1:
        assert set(lambdas) == {0.0, 1.0}
    else:
        np.testing.assert_allclose(lambdas, 0.5, atol=1e-3)


def test_probability_is_of_each_sample():
    lambdas, _ = draw("mixup", 1.0, 40_000, p=0.3)
    assert np.mean(lambdas < 1) == pytest.approx(0.3, abs=0.012)
    mixed = lambdas[lambdas < 1]
    assert mixed.mean() == pytest.approx(0.5, abs=0.015)
    assert np.all(draw("mixup", 1.0, 1000, p=0.0)[0] == 1)


def test_draws_depend_on_seed_epoch_and_sample_alone():
    lambdas, boxes = draw("cutmix", 1.0, 100)
    some = np.array([7, 3, 99])
    again, boxes_again = _core.draw_mix("cutmix", 1.0, 1.0, True, 0, some, 0, 32, 32)
    np.testing.assert_array_equal(again, lambdas[some])
    np.testing.assert_array_equal(boxes_again, boxes[some])
    for other in ({"seed": 1}, {"epoch": 1}):
        assert np.mean(draw("mixup", 1.0, 100, **other)[0] == draw("mixup", 1.0, 100)[0]) < 0.05


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_a_batch_takes_the_draw_of_its_first_sample(kind):
    each, boxes = draw(kind, 1.0, 50)
    order = np.array([31, 4, 17, 0])
    lambdas, batch_boxes = _core.draw_mix(kind, 1.0, 1.0, False, 0, order, 0, 32, 32)
    np.testing.assert_array_equal(lambdas, np.full(4, each[31]))
    np.testing.assert_array_equal(batch_boxes, np.tile(boxes[31], (4, 1)))


@pytest.mark.row("A7")
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_lambda_of_cutmix_is_the_area_left(height, width):
    lambdas, boxes = draw("cutmix", 1.0, 500, height=height, width=width)
    top, left, bottom, right = boxes.T
    assert np.all((top >= 0) & (top <= bottom) & (bottom <= height))
    assert np.all((left >= 0) & (left <= right) & (right <= width))
    area = (bottom - top) * (right - left)
    np.testing.assert_array_equal(lambdas, 1 - area / (height * width))


def test_boxes_of_cutmix_follow_the_formula():
    shares, _ = draw("mixup", 1.0, 2000)
    _, boxes = draw("cutmix", 1.0, 2000, height=32, width=48)
    half_height = (0.5 * np.sqrt(1 - shares) * 32).astype(int)
    half_width = (0.5 * np.sqrt(1 - shares) * 48).astype(int)
    top, left, bottom, right = boxes.T
    free = (top > 0) & (bottom < 32) & (left > 0) & (right < 48)
    assert free.sum() > 200
    np.testing.assert_array_equal((bottom - top)[free], 2 * half_height[free])
    np.testing.assert_array_equal((right - left)[free], 2 * half_width[free])
    small = half_height < 4
    centres = ((top + bottom) / 2)[small & (top > 0) & (bottom < 32)]
    assert np.histogram(centres, bins=4, range=(0, 32))[0].min() > 0.15 * len(centres)


@pytest.mark.row("A6")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_mixup_is_the_formula(dtype, size, channels):
    images = pictures((7, *size, channels), dtype)
    out, lambdas, _ = mix("mixup", images)
    for i in range(7):
        expected = blended(images[i], images[i - 1], lambdas[i])
        if dtype == np.uint8:
            np.testing.assert_array_equal(out[i], np.rint(expected))
        else:
            np.testing.assert_allclose(out[i], expected, rtol=0, atol=6e-8)


@pytest.mark.row("A7")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_cutmix_pastes_the_box_exactly(dtype, planar, size):
    images = pictures((9, 3, *size) if planar else (9, *size, 3), dtype)
    out, _, boxes = mix("cutmix", images, planar=planar)
    for i, (top, left, bottom, right) in enumerate(boxes):
        expected = images[i].copy()
        box = (slice(top, bottom), slice(left, right))
        if planar:
            box = (slice(None), *box)
        expected[box] = images[i - 1][box]
        np.testing.assert_array_equal(out[i], expected)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("none", [{"alpha": 0.0}, {"p": 0.0}])
def test_images_that_are_not_mixed_stay(kind, dtype, none):
    images = pictures((5, 9, 11, 3), dtype)
    out, lambdas, boxes = mix(kind, images, **none)
    np.testing.assert_array_equal(out, images)
    assert np.all(lambdas == 1)
    assert not boxes.any()


def test_a_single_image_is_its_own_partner():
    images = pictures((1, 8, 8, 3))
    for kind in ("mixup", "cutmix"):
        np.testing.assert_array_equal(mix(kind, images)[0], images)


def test_empty_batches_and_images():
    for shape in [(0, 8, 8, 3), (4, 0, 8, 3), (4, 8, 0, 3)]:
        out, lambdas, boxes = mix("cutmix", np.empty(shape, np.uint8))
        assert out.shape == shape
        assert lambdas.shape == (shape[0],)
        assert boxes.shape == (shape[0], 4)


def test_mixup_takes_arrays_of_any_shape():
    images = pictures((6, 32, 32, 3))
    expected = mix("mixup", images)[0]
    for shape in [(6, 3072), (6, 32, 96), (6, 2, 16, 32, 3)]:
        np.testing.assert_array_equal(
            mix("mixup", images.reshape(shape))[0], expected.reshape(shape)
        )


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**39), st.integers(0, 2**63 - 1))
def test_any_seed_epoch_and_sample(sample, epoch, seed):
    indices = np.array([sample])
    lambdas, boxes = _core.draw_mix("cutmix", 1.0, 1.0, True, seed, indices, epoch, 17, 9)
    top, left, bottom, right = boxes[0]
    assert 0 <= top <= bottom <= 17
    assert 0 <= left <= right <= 9
    assert lambdas[0] == 1 - (bottom - top) * (right - left) / (17 * 9)


BITS = """
    import hashlib
    import numpy as np
    from fanin import _core

    rng = np.random.default_rng(0)
    found = hashlib.sha256()
    for n, size in [(64, (33, 31, 3)), (5, (1, 7, 1)), (300, (32, 32, 3))]:
        images = rng.integers(0, 256, (n, *size), dtype=np.uint8)
        for batch in (images, images.astype(np.float32) / 255):
            for kind in ("mixup", "cutmix"):
                out = np.empty_like(batch)
                drawn = _core.mix_images(
                    kind, 0.4, 0.8, True, 5, batch, False, np.arange(n), 2, out, 0
                )
                for part in (out, *drawn[:2]):
                    found.update(part.tobytes())
    print(found.hexdigest())
"""


def test_same_bits_on_every_instruction_set_and_thread_count(run_isa, isa, threads):
    assert run_isa(BITS, isa, threads) == run_isa(BITS, "scalar", 1)


def test_a_split_batch_mixes_alike():
    images = pictures((40, 16, 16, 3))
    whole, lambdas, _ = mix("mixup", images)
    for begin, end in [(3, 20), (21, 40)]:
        part, some, _ = mix("mixup", images[begin:end], indices=np.arange(begin, end))
        np.testing.assert_array_equal(some, lambdas[begin:end])
        np.testing.assert_array_equal(part[1:], whole[begin + 1 : end])


GOOD = {
    "kind": "cutmix",
    "alpha": 1.0,
    "p": 1.0,
    "per_sample": True,
    "seed": 0,
    "images": np.zeros((4, 8, 8, 3), np.uint8),
    "planar": False,
    "indices": np.arange(4),
    "epoch": 0,
    "out": np.zeros((4, 8, 8, 3), np.uint8),
    "n_threads": 1,
}
READ_ONLY = np.zeros((4, 8, 8, 3), np.uint8)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"kind": "cutout"}, ValueError, "kind: expected one of mixup, cutmix; got 'cutout'"),
        ({"alpha": -0.5}, ValueError, "alpha: expected a finite number of at least 0, got -0.5"),
        ({"alpha": np.nan}, ValueError, "alpha: expected a finite number of at least 0, got nan"),
        ({"alpha": np.inf}, ValueError, "alpha: expected a finite number of at least 0, got inf"),
        ({"p": 1.5}, ValueError, "p: expected a probability in [0, 1], got 1.5"),
        ({"p": np.nan}, ValueError, "p: expected a probability in [0, 1], got nan"),
        (
            {"images": np.zeros((4, 8, 8, 3))},
            TypeError,
            "images: expected a plain array of uint8 or float32, got (4, 8, 8, 3) float64",
        ),
        (
            {"images": np.ma.zeros((4, 8, 8, 3), np.uint8)},
            TypeError,
            "images: expected a plain array of uint8 or float32, got a masked array",
        ),
        (
            {"images": np.zeros((4, 64), np.uint8)},
            ValueError,
            "images: expected shape (N, H, W), (N, H, W, C) or (N, C, H, W), got (4, 64) uint8",
        ),
        (
            {"images": np.zeros((4, 8, 16, 3), np.uint8)[:, :, ::2]},
            ValueError,
            "images: expected uint8 C-contiguous",
        ),
        (
            {"indices": np.arange(5)},
            ValueError,
            "indices: expected shape (4,) int64, got (5,) int64",
        ),
        ({"indices": np.arange(4.0)}, TypeError, "indices: expected shape (4,) int64"),
        (
            {"indices": np.array([0, 1, -2, 3])},
            ValueError,
            "indices: expected numbers of samples from 0, got -2 at 2",
        ),
        (
            {"out": np.zeros((4, 8, 8, 1), np.uint8)},
            ValueError,
            "out: expected shape (4, 8, 8, 3) uint8, got (4, 8, 8, 1) uint8",
        ),
        (
            {"out": np.zeros((4, 8, 8, 3), np.float32)},
            TypeError,
            "out: expected shape (4, 8, 8, 3)",
        ),
        ({"out": READ_ONLY}, ValueError, "out: expected a writable array"),
        ({"out": GOOD["images"]}, ValueError, "out: expected an array apart from images"),
    ],
)
def test_bad_input_is_refused(bad, error, message):
    with pytest.raises(error, match=re.escape(message)):
        _core.mix_images(**(GOOD | bad))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
@pytest.mark.parametrize("n", [0, 1, 2, 33])
def test_the_extremes_of_floats_are_told(kind, n, threads):
    images = np.random.default_rng(n).normal(size=(n, 5, 7, 3)).astype(np.float32)
    out = np.empty_like(images)
    told = _core.mix_images(kind, 1.0, 0.5, True, 3, images, False, np.arange(n), 0, out, threads)
    assert told[2] == (_core.extremes(images) if n else None)
    bytes_ = np.zeros((2, 5, 7, 3), np.uint8)
    assert (
        _core.mix_images(
            kind, 1.0, 0.5, True, 3, bytes_, False, np.arange(2), 0, np.empty_like(bytes_), 1
        )[2]
        is None
    )


@given(n=st.integers(0, 40), classes=st.integers(1, 20), seed=st.integers(0, 99))
def test_mixed_labels_are_their_formula(n, classes, seed):
    rng = np.random.default_rng(seed)
    lambdas, labels = rng.random(n), rng.integers(0, classes, n, dtype=np.int32)
    soft = rng.random((n, classes), dtype=np.float32)
    for y, target in [(labels, np.eye(classes)[labels]), (soft, soft.astype(np.float64))]:
        own, rest = lambdas[:, None], 1 - lambdas[:, None]
        expected = (own * target + rest * np.roll(target, 1, axis=0)).astype(np.float32)
        assert np.array_equal(_core.mix_labels(y, lambdas, classes), expected)


@pytest.mark.parametrize(
    ("y", "lambdas", "message"),
    [
        (np.zeros(3, np.int32), np.zeros(2), "lambdas: expected shape (3,) float64, got (2,)"),
        (np.zeros((3, 4), np.float32), np.zeros(3), "y: expected shape (3, 5) float32"),
        (np.zeros(3, np.int64), np.zeros(3), "y: expected shape (3,) int32"),
    ],
)
def test_labels_that_cannot_be_mixed_are_refused(y, lambdas, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        _core.mix_labels(y, lambdas, 5)
