"""Compose: composition, probabilities, independence, the same bits, round trips."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
from augment_cases import check, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_augment import augmented

import fanin
from fanin import augment
from fanin.augment import (
    CenterCrop,
    ColorJitter,
    Compose,
    CutMix,
    Cutout,
    FiveCrop,
    GaussianNoise,
    HorizontalFlip,
    LensDistortion,
    Mixup,
    Normalize,
    OneOf,
    RandomAffine,
    RandomApply,
    RandomCrop,
    RandomErasing,
    RandomGrayscale,
    RandomResizedCrop,
    RandomRotation,
    Resize,
    TenCrop,
    VerticalFlip,
    parse,
)
from fanin.augment.catalogue import TRANSFORMS

# Of every transform one with its options away from their defaults.
EVERY: list[Any] = [
    HorizontalFlip(0.25),
    VerticalFlip(alternating=True),
    RandomCrop((24, 28), padding=(1, 2, 3, 4), padding_mode="reflect", fill=(1, 2, 3)),
    CenterCrop((20, 24)),
    Resize(18, antialias=False),
    Resize((17, 19)),
    RandomResizedCrop((16, 18), scale=(0.5, 0.9), ratio=(0.9, 1.1), antialias=False),
    ColorJitter(0.1, (0.5, 1.5), 0.3, (-0.1, 0.2), p=0.9),
    RandomGrayscale(0.3),
    GaussianNoise(0.1, 0.2, clip=False, p=0.8),
    RandomAffine((-5, 9), (0.1, 0.2), (0.8, 1.2), (0.9, 1.1), (1, 2, 3, 4), fill=4, p=0.7),
    RandomRotation(7, fill=(1, 2, 3), p=0.6),
    LensDistortion(0.1, (0.0, 0.1), fill=3, p=0.5),
    RandomApply([OneOf([HorizontalFlip(1), GaussianNoise()]), VerticalFlip()], p=0.4),
    Normalize((0.1, 0.2, 0.3), 0.5),
    RandomErasing(0.9, (0.1, 0.2), (0.5, 2), value="random"),
    Cutout((3, 4), border="inside", value=(1, 2, 3), p=0.9),
    Mixup(0.3, p=0.9, mode="sample", num_classes=7),
]
ALONE: list[Any] = [FiveCrop((8, 9)), TenCrop(8, vertical_flip=True), CutMix(0.5, 0.5, "sample", 3)]


def test_every_transform_is_among_the_cases() -> None:
    seen = {type(t).__name__ for t in [*EVERY, *ALONE]} | {"OneOf"}
    assert seen == set(TRANSFORMS)
    assert set(TRANSFORMS) <= set(augment.__all__)


@pytest.mark.parametrize("steps", [EVERY, *([t] for t in ALONE), []])
def test_pipelines_survive_every_round_trip(steps: list[Any]) -> None:
    aug = Compose(steps, seed=2**64 - 1)
    names = {name: getattr(augment, name) for name in augment.__all__}
    images = noise(5, 30, 31)
    expected = aug(images, epoch=1)
    for twin in (
        Compose.from_dict(aug.to_dict()),
        Compose.from_json(aug.to_json(indent=2)),
        Compose.from_dict(json.loads(json.dumps(aug.to_dict()))),
        eval(repr(aug), names),
        pickle.loads(pickle.dumps(aug)),
        copy.deepcopy(aug),
    ):
        assert twin == aug
        assert hash(twin) == hash(aug)
        assert repr(twin) == repr(aug)
        assert twin.to_dict() == aug.to_dict()
        np.testing.assert_array_equal(twin(images, epoch=1), expected)


def test_pipelines_differ_by_any_option() -> None:
    aug = Compose(EVERY, seed=1)
    assert aug != Compose(EVERY, seed=2)
    assert aug != Compose(EVERY[1:], seed=1)
    assert HorizontalFlip(0.5) != HorizontalFlip(0.4)
    assert HorizontalFlip() != VerticalFlip()
    assert RandomCrop(8) == RandomCrop((8, 8)) == RandomCrop(size=[8, 8], padding=0)
    assert Resize(8) != Resize((8, 8))


def test_the_whole_pipeline_is_the_reference() -> None:
    steps = [t for t in EVERY[:-1] if not isinstance(t, (Resize, GaussianNoise, RandomErasing))]
    images = noise(40, 32, 36)
    check(Compose(steps, seed=3), images, tolerance=2.0, epoch=5)


ANY_ORDER: list[Any] = [
    HorizontalFlip(),
    VerticalFlip(alternating=True),
    RandomCrop((14, 15), padding=4, fill=60),
    RandomCrop(14, padding=6, padding_mode="reflect"),
    RandomAffine(20, (0.1, 0.1), (0.8, 1.3), (0.9, 1.1), 10, fill=90),
    RandomRotation(30, fill=128, p=0.5),
    LensDistortion(0.3, fill=33),
    ColorJitter(0.4, 0.4, 0.4, 0.1),
    ColorJitter(contrast=0.5, p=0.5),
    RandomGrayscale(0.5),
    Cutout(4, value=99),
    RandomErasing(value=(1, 2, 3)),
    OneOf([VerticalFlip(), ColorJitter(0.5), Cutout(3)]),
    RandomApply([HorizontalFlip(1), ColorJitter(0, 0.5), LensDistortion(0.1)]),
]


@settings(max_examples=100)
@given(st.lists(st.sampled_from(ANY_ORDER), max_size=5), st.integers(0, 1000))
def test_any_order_is_the_reference(steps: list[Any], seed: int) -> None:
    """Except for pixels where two borders meet, whose side a rounding decides."""
    aug = Compose(steps, seed=seed)
    images = noise(4, 16, 17)
    expected = augmented(aug, images, epoch=2)
    far = np.abs(aug(images, epoch=2) - np.clip(expected, 0, 255)) > 0.75
    assert far.mean() < 0.02


@pytest.mark.parametrize(
    "transform",
    [
        RandomAffine(1e300, scale=(1e-30, 1e-30), fill=7),
        RandomAffine(180, scale=(1e30, 1e30), fill=7),
        RandomAffine(180, (1, 1), (1e-3, 1e-3), (1e-5, 1e-5), (89, 89, 89, 89), fill=7),
        LensDistortion((1e30, 1e30), (-1, -1), fill=7),
        LensDistortion((-1, -1), (1e38, 1e38), fill=7),
        GaussianNoise(-1, 1, clip=False),
        ColorJitter((1e30, 1e30), (1e30, 1e30), (1e30, 1e30), 0.5),
        RandomCrop(300, padding=1000, padding_mode="reflect"),
        RandomResizedCrop(300, scale=(1e-9, 1e-9)),
        RandomErasing(1.0, (1e-9, 1), (1e-9, 1e9)),
        Resize((1, 1000)),
        Resize((1000, 1), antialias=False),
    ],
)
def test_nothing_is_read_beyond_an_image(transform: Any) -> None:
    """However wild the numbers: values are the image's or the fill, and no test tool complains."""
    for height, width in [(1, 1), (1, 70), (70, 1), (17, 19)]:
        images = np.full((3, height, width, 3), 200, np.uint8)
        result = Compose([transform], seed=1)(images)
        assert result.shape[0] == 3
        if isinstance(transform, (RandomResizedCrop, RandomCrop, Resize)):
            assert (result == 200).all()
        floats = Compose([transform], seed=1, value_range=(0, 7))(images / np.float32(255))
        assert np.isfinite(floats).all()


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 63, 65, 333])
def test_batches_of_any_size(size: int) -> None:
    images = noise(size, 8, 9)
    aug = Compose([RandomCrop(8, padding=2), HorizontalFlip(), ColorJitter(0.4)], seed=4)
    result = aug(images, epoch=0)
    assert result.shape == (size, 8, 8, 3)
    single = [aug(images[i : i + 1], indices=[i], epoch=0)[0] for i in range(min(size, 20))]
    np.testing.assert_array_equal(result[:20], np.array(single, np.uint8).reshape(-1, 8, 8, 3))


@pytest.mark.parametrize(
    "transform",
    [
        HorizontalFlip(0.3),
        VerticalFlip(0.3),
        ColorJitter(0.4, p=0.3),
        RandomGrayscale(0.3),
        GaussianNoise(p=0.3),
        RandomAffine(5, p=0.3),
        RandomRotation(5, p=0.3),
        LensDistortion(p=0.3),
        RandomErasing(0.3),
        Cutout(3, p=0.3),
        RandomApply([HorizontalFlip(1)], p=0.3),
        RandomApply([RandomApply([HorizontalFlip(1)], p=0.6)], p=0.5),
        RandomApply([HorizontalFlip(0.6)], p=0.5),
        OneOf([VerticalFlip(0.3), HorizontalFlip(0.3)]),
    ],
)
def test_p_is_p(transform: Any) -> None:
    """Not p squared, not of the batch, and not the same in the next epoch."""
    n = 40000
    aug = Compose([transform], seed=5)
    bound = 5 * np.sqrt(0.21 / n)
    applied = [
        np.any([d["applied"] for d in aug.parameters((n, 16, 16), epoch=e)], axis=0) for e in (0, 1)
    ]
    for a in applied:
        assert abs(a.mean() - 0.3) < bound
    assert abs((applied[0] & applied[1]).mean() - 0.09) < 5 * np.sqrt(0.09 * 0.91 / n)
    assert abs((applied[0][1:] & applied[0][:-1]).mean() - 0.09) < 5 * np.sqrt(0.09 * 0.91 / n)


def test_certain_and_impossible() -> None:
    drawn = Compose([HorizontalFlip(0), HorizontalFlip(1)]).parameters((1000, 4, 4))
    assert [d["applied"].sum() for d in drawn] == [0, 1000]


def test_transforms_draw_apart() -> None:
    """Also two of one kind, and pipelines of other seeds."""
    n = 20000
    a, b = Compose([HorizontalFlip(), HorizontalFlip()], seed=6).parameters((n, 4, 4))
    (c,) = Compose([HorizontalFlip()], seed=7).parameters((n, 4, 4))
    for other in (b, c):
        both = (a["applied"] & other["applied"]).mean()
        assert abs(both - 0.25) < 5 * np.sqrt(0.1875 / n)


def test_one_of_takes_each_as_often() -> None:
    n = 30000
    aug = Compose([OneOf([HorizontalFlip(1), VerticalFlip(1), RandomGrayscale(1)])], seed=8)
    drawn = np.array([d["applied"] for d in aug.parameters((n, 4, 4))])
    assert (drawn.sum(axis=0) == 1).all()
    assert np.abs(drawn.mean(axis=1) - 1 / 3).max() < 5 * np.sqrt(2 / 9 / n)
    check(aug, noise(30, 9, 10), tolerance=0.02)


def test_alternating_flips_show_each_image_both_ways() -> None:
    images = noise(400, 4, 5)
    aug = Compose([HorizontalFlip(alternating=True)], seed=9)
    first, second, third = (aug(images, epoch=e) for e in range(3))
    np.testing.assert_array_equal(second, first[:, :, ::-1])
    np.testing.assert_array_equal(third, first)
    flipped = (first != images).any(axis=(1, 2, 3)).mean()
    assert abs(flipped - 0.5) < 0.15


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**40 - 1),
    st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=12),
)
def test_a_sample_depends_on_seed_epoch_and_number_alone(
    seed: int, epoch: int, indices: list[int]
) -> None:
    images = noise(len(indices), 8, 9)
    steps = [RandomCrop(8, padding=2), HorizontalFlip(), GaussianNoise(), Cutout(3)]
    aug = Compose(steps, seed=seed)
    whole = aug(images, indices=indices, epoch=epoch)
    back = aug(images[::-1].copy(), indices=indices[::-1], epoch=epoch)
    np.testing.assert_array_equal(back[::-1], whole)


BITS = """
    import hashlib
    import numpy as np
    from fanin import augment

    aug = augment.Compose.from_json({pipeline!r})
    images = np.random.default_rng(0).integers(0, 256, (37, 30, 41, 3), np.uint8)
    digest = hashlib.sha256()
    for x in (images, (images / np.float32(255)).astype(np.float32)):
        digest.update(aug(x, epoch=3).tobytes())
        digest.update(aug(x, epoch=0, layout="NCHW", dtype="float32").tobytes())
        rows = [range(i, min(i + 9, 37)) for i in range(0, 37, 9)]
        parts = [aug(x[r.start : r.stop], indices=r, epoch=0) for r in rows]
        assert {mixed} or (np.concatenate(parts) == aug(x, epoch=0)).all()
        for d in aug.parameters(x):
            for name, values in d.items():
                if name != "transform":
                    digest.update(np.ascontiguousarray(values).tobytes())
    print(digest.hexdigest())
"""
PIPELINES = {
    "crop": [RandomCrop(28, padding=4), HorizontalFlip(), Normalize(0.4, 0.2)],
    "resized": [RandomResizedCrop(20), HorizontalFlip(), ColorJitter(0.4, 0.4, 0.4, 0.1)],
    "warped": [RandomAffine(20, (0.1, 0.1), (0.8, 1.2), (0.9, 1.1), 10), LensDistortion(0.2, 0.1)],
    "pixels": [GaussianNoise(), RandomGrayscale(), RandomErasing(0.9, value="random"), Cutout(5)],
    "mixed": [RandomCrop(24), Mixup(0.3, mode="sample")],
    "cut": [RandomCrop(24), CutMix()],
    "every": EVERY,
}


@pytest.mark.parametrize("name", PIPELINES)
def test_the_same_bits(name: str, run_isa: Any) -> None:
    """On every instruction set, for any threads, batch split and process."""
    aug = Compose(PIPELINES[name], seed=11, value_range=(0, 4))  # up to what it fills with
    code = BITS.format(pipeline=aug.to_json(), mixed=aug.mix is not None)
    grid = [(isa, threads) for isa in fanin._core.supported_isas() for threads in (1, 3)]
    results = {(isa, threads): run_isa(code, isa, threads) for isa, threads in grid}
    assert len(set(results.values())) == 1, results


def test_lists_of_images_of_one_size_and_of_many() -> None:
    aug = Compose([RandomResizedCrop(12), HorizontalFlip(), ColorJitter(0.3)], seed=12)
    images = noise(6, 20, 21)
    np.testing.assert_array_equal(aug(list(images), epoch=0), aug(images, epoch=0))
    ragged = [noise(1, 20 + i, 40 - i)[0] for i in range(6)]
    result = aug(ragged, indices=[9, 8, 7, 6, 5, 4], epoch=0)
    assert result.shape == (6, 12, 12, 3)
    for i, image in enumerate(ragged):
        np.testing.assert_array_equal(result[i], aug(image[None], indices=[9 - i], epoch=0)[0])
    masks = [image[..., 0].copy() for image in ragged]
    _, moved = aug(ragged, masks=masks)
    assert moved.shape == (6, 12, 12)
    heights = aug.parameters(ragged)[0]["height"]
    assert (heights <= [image.shape[0] for image in ragged]).all()


def test_grey_images_have_no_axis_of_channels() -> None:
    images = noise(5, 20, 22, 1)
    aug = Compose([RandomCrop(18), HorizontalFlip()], seed=13)
    expected = aug(images, epoch=0)[..., 0]
    for layout in ("NHWC", "NCHW"):
        np.testing.assert_array_equal(aug(images[..., 0], epoch=0, layout=layout), expected)
    five = Compose([FiveCrop(9)])
    assert five(images[..., 0]).shape == (5, 5, 9, 9)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_layouts_and_out(dtype: Any) -> None:
    images = noise(7, 20, 22, dtype=dtype)
    for steps in ([], [RandomCrop(18, padding=1)], [ColorJitter(0.3)], [FiveCrop(8)]):
        aug = Compose(steps, seed=14)
        plain, planar = aug(images, epoch=0), aug(images, epoch=0, layout="NCHW")
        np.testing.assert_array_equal(np.moveaxis(planar, -3, -1), plain)
        assert plain.dtype == dtype
        out = np.empty_like(planar)
        assert aug(images, epoch=0, layout="NCHW", out=out) is out
        np.testing.assert_array_equal(out, planar)


def test_results_come_in_the_order_images_labels_masks() -> None:
    images, y, masks = noise(4, 9, 9), np.array(list("abcd")), noise(4, 9, 9, 1)[..., 0]
    aug = Compose([HorizontalFlip(1)])
    x, labels = aug(images, y)
    assert labels is y
    np.testing.assert_array_equal(x, images[:, :, ::-1])
    x, moved = aug(images, masks=masks)
    np.testing.assert_array_equal(moved, masks[:, :, ::-1])
    x, labels, moved = aug(images, y, masks=masks)
    assert labels is y
    assert moved.shape == (4, 9, 9)


def test_nothing_is_changed_in_place() -> None:
    images = noise(9, 16, 16)
    before = images.copy()
    for name in PIPELINES.values():
        Compose(name, seed=1)(noise(9, 40, 40))
    for steps in ([], [HorizontalFlip()], [Cutout(4)], [Mixup()], [CutMix()]):
        Compose(steps)(images)
        np.testing.assert_array_equal(images, before)


def test_no_transforms_copy() -> None:
    images = noise(3, 5, 6)
    result = Compose([])(images)
    np.testing.assert_array_equal(result, images)
    assert not np.shares_memory(result, images)


WORDS = (
    "crop:4,crop,rrc:24,rrc:24x20,rrc,resize:40,resize:40x30,resize,flip,flip:.3,vflip,rotate:15,"
    "rotate,affine,affine:5,lens,lens:.1,jitter,jitter:.4,jitter:.4/.4/.4/.1,gray,gray:.5,"
    "noise:.05,noise,erase,erase:.3,cutout:8,cutout:8x4,cutout,normalize"
)


def test_words_of_a_line() -> None:
    steps = parse(WORDS, size=(32, 32))
    assert len(steps) == len(WORDS.split(","))
    assert Compose(steps)(noise(2, 32, 32)).shape[0] == 2
    assert parse("jitter:.4") == parse("jitter:.4/.4/.4/.1") == [ColorJitter(0.4, 0.4, 0.4, 0.1)]
    assert parse("five", size=32) == [FiveCrop(28)]
    assert parse("ten:9x8") == [TenCrop((9, 8))]
    assert parse(" crop:4 , flip ", size=(28, 30)) == [
        RandomCrop((28, 30), padding=4),
        HorizontalFlip(),
    ]
    assert parse("normalize:imagenet")[0] == Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert parse("normalize:.1/.3")[0] == Normalize(0.1, 0.3)
    assert parse("mixup:.2", num_classes=10) == [Mixup(0.2, num_classes=10)]
    assert parse("cutmix:1") == [CutMix(1.0)]
    assert parse("") == []
