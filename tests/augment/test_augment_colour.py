"""Jitter, grey, noise, normalisation and erasing: against the reference and torchvision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from augment_cases import check, in_units_of, noise
from oracles import torchvision_functional
from reference_augment import augmented

from fanin.augment import (
    ColorJitter,
    Compose,
    Cutout,
    GaussianNoise,
    HorizontalFlip,
    Normalize,
    RandomCrop,
    RandomErasing,
    RandomGrayscale,
    RandomResizedCrop,
    RandomRotation,
)

COLOURS = {
    "brightness": [ColorJitter(brightness=0.8)],
    "contrast": [ColorJitter(contrast=0.8)],
    "saturation": [ColorJitter(saturation=2.0)],
    "hue": [ColorJitter(hue=0.5)],
    "all": [ColorJitter(0.4, 0.4, 0.4, 0.1)],
    "grey": [RandomGrayscale(0.5)],
    "twice": [ColorJitter(0.4, 0.4), RandomGrayscale(0.3), ColorJitter(0, 0.4, 0.4, 0.1, p=0.5)],
    "noise": [GaussianNoise(0.05, 0.2)],
    "noisy": [ColorJitter(contrast=0.5), GaussianNoise(clip=False, p=0.5), Cutout(3)],
    "turned": [RandomRotation(20), ColorJitter(0.4, 0.4, 0.4, 0.1), HorizontalFlip()],
    "resized": [RandomResizedCrop(20), ColorJitter(0.4, 0.4, 0.4, 0.1)],
}


@pytest.mark.row("A3")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_the_reference(name: str, channels: int, dtype: Any) -> None:
    for height, width in [(1, 1), (17, 65), (33, 15)]:
        if name in ("turned", "resized") and height == 1:
            continue
        images = noise(6, height, width, channels, dtype)
        check(Compose(COLOURS[name], seed=1), images, tolerance=0.02, epoch=3)


@pytest.mark.row("A3")
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_each_factor_is_torchvisions(name: str, dtype: Any) -> None:
    torchvision = torchvision_functional()
    torch = pytest.importorskip("torch")
    images = noise(10, 40, 41, dtype=dtype)
    adjust = getattr(torchvision, f"adjust_{name}")
    # Below a saturation of 1/2 what torchvision truncates twice, L and the result, may come to 2.
    low, high = {"hue": (-0.5, 0.5), "saturation": (0.5, 2.0)}.get(name, (0.0, 2.0))
    aug = Compose([ColorJitter(**{name: (low, high)})], seed=2)
    (drawn,) = aug.parameters(images)
    for i, x in enumerate(aug(images)):
        tensor = torch.from_numpy(images[i]).permute(2, 0, 1)
        expected = adjust(tensor, float(drawn[name][i])).permute(1, 2, 0).numpy()
        bound = 1 if dtype == np.uint8 else 1e-5
        assert np.abs(x.astype(np.float64) - expected).max() <= bound


@pytest.mark.row("A3")
def test_a_whole_jitter_is_torchvisions() -> None:
    """On floats, which torchvision does not truncate between the steps."""
    torchvision = torchvision_functional()
    torch = pytest.importorskip("torch")
    images = noise(20, 24, 25, dtype=np.float32)
    aug = Compose([ColorJitter(0.4, 0.4, 0.4, 0.1)], seed=3)
    (drawn,) = aug.parameters(images)
    names = ("brightness", "contrast", "saturation", "hue")
    for i, x in enumerate(aug(images)):
        tensor = torch.from_numpy(images[i]).permute(2, 0, 1)
        for which in drawn["order"][i]:
            factor = float(drawn[names[which]][i])
            tensor = getattr(torchvision, f"adjust_{names[which]}")(tensor, factor)
        assert np.abs(x - tensor.permute(1, 2, 0).numpy()).max() <= 1e-4


@pytest.mark.row("A3")
def test_grey_is_torchvisions() -> None:
    torchvision = torchvision_functional()
    torch = pytest.importorskip("torch")
    images = noise(3, 40, 41)
    expected = torchvision.rgb_to_grayscale(torch.from_numpy(images).permute(0, 3, 1, 2), 3)
    result = Compose([RandomGrayscale(1)])(images)
    assert np.abs(result.astype(int) - expected.permute(0, 2, 3, 1).numpy()).max() <= 1


def test_the_order_of_a_jitter_is_each_as_likely() -> None:
    (drawn,) = Compose([ColorJitter(0.4, 0.4, 0.4, 0.1)], seed=4).parameters((24000, 8, 8))
    orders, counts = np.unique(drawn["order"], axis=0, return_counts=True)
    assert len(orders) == 24
    assert (np.sort(orders, axis=1) == np.arange(4)).all()
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_factors_are_uniform_in_their_range() -> None:
    stats = pytest.importorskip("scipy.stats")
    (drawn,) = Compose([ColorJitter(0.4, (2, 3), 1.5, 0.1)], seed=5).parameters((20000, 8, 8))
    ranges = {"brightness": (0.6, 1.4), "contrast": (2, 3), "saturation": (0, 2.5)}
    for name, (low, high) in (ranges | {"hue": (-0.1, 0.1)}).items():
        assert stats.kstest(drawn[name], "uniform", (low, high - low)).pvalue > 1e-3


def test_noise_is_normal_and_apart() -> None:
    images = np.full((6, 65, 70, 3), 0.5, np.float32)
    aug = Compose([GaussianNoise(0.1, 0.05, clip=False), GaussianNoise(0, 0.05)], seed=6)
    z = (aug(images) - 0.6) / (0.05 * np.sqrt(2))
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1) < 0.01
    flat = z.reshape(6, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(6)).max() < 0.05
    channels = z.reshape(-1, 3)
    assert np.abs(np.corrcoef(channels.T) - np.eye(3)).max() < 0.05
    again = (aug(images, epoch=1) - 0.6).reshape(6, -1)
    assert abs(np.corrcoef(again.ravel(), flat.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalised_values(channels: int, dtype: Any, layout: str) -> None:
    images = noise(5, 17, 19, channels, dtype)
    mean, std = [0.2, 0.5, 0.7, 0.1][:channels], [0.3, 0.1, 0.25, 2.0][:channels]
    aug = Compose([HorizontalFlip(), RandomCrop(16, padding=3), Normalize(mean, std)], seed=7)
    result = aug(images, layout=layout)
    assert result.dtype == np.float32
    expected = augmented(aug, images)
    if layout == "NCHW":
        expected = expected.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=2e-6)


def test_normalising_is_torchvisions() -> None:
    torchvision = torchvision_functional()
    torch = pytest.importorskip("torch")
    images = noise(4, 9, 10)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    result = Compose([Normalize(mean, std)])(images, layout="NCHW")
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    expected = torchvision.normalize(tensor, mean, std).numpy()
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_bytes_become_floats_of_a_255th() -> None:
    images = noise(3, 9, 10)
    for steps in ([], [HorizontalFlip(1)], [ColorJitter(0.4)]):
        aug = Compose(steps, seed=8)
        expected = augmented(aug, images) / 255
        result = aug(images, dtype="float32", layout="NCHW").transpose(0, 2, 3, 1)
        np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-7)


ERASED = {
    "erasing": [RandomErasing(value=7)],
    "channels": [RandomErasing(1.0, value=(7, 100, 3.0))],
    "random": [RandomErasing(1.0, value="random")],
    "cutout": [Cutout(8)],
    "odd": [Cutout((7, 3), value=255)],
    "inside": [Cutout((9, 5), border="inside", value=(1, 2, 3))],
    "larger": [Cutout(100)],
    "before": [Cutout(6, value=200), HorizontalFlip(), ColorJitter(brightness=0.3)],
    "several": [HorizontalFlip(), RandomErasing(), Cutout(5, value=9), Cutout(5, value=30)],
}


@pytest.mark.row("A5")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("name", ERASED)
def test_erasing_is_exact(name: str, dtype: Any) -> None:
    for height, width in [(10, 9), (33, 65)]:
        images = noise(12, height, width, dtype=dtype)
        tolerance = 0.02 if name in ("before", "random") else 0
        if name == "random" and dtype == np.uint8:
            continue
        check(
            Compose(in_units_of(dtype, ERASED[name]), seed=9), images, tolerance=tolerance, epoch=1
        )


@pytest.mark.row("A5")
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("value", [0.0, (1.5, -2.0, 0.25), "random"])
def test_erasing_after_normalising_has_normalised_values(value: Any, layout: str) -> None:
    images = noise(10, 20, 21)
    aug = Compose([Normalize(0.4, 0.2), RandomErasing(1.0, value=value)], seed=10)
    result = aug(images, layout=layout)
    result = result if layout == "NHWC" else result.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(result, augmented(aug, images), rtol=1e-5, atol=5e-6)
    drawn = aug.parameters(images)[1]
    i = int(np.argmax(drawn["height"] * drawn["width"]))
    t, left = drawn["top"][i], drawn["left"][i]
    box = result[i, t : t + drawn["height"][i], left : left + drawn["width"][i]]
    if value == "random":
        assert abs(box.mean()) < 5 / np.sqrt(box.size)
        assert abs(box.std() - 1) < 5 / np.sqrt(box.size)
    else:
        np.testing.assert_array_equal(box, np.broadcast_to(np.float32(value), box.shape))


@pytest.mark.row("A5")
def test_erasing_follows_its_laws() -> None:
    stats = pytest.importorskip("scipy.stats")
    transform = RandomErasing(1.0, scale=(0.05, 0.3), ratio=(0.5, 2.0))
    (drawn,) = Compose([transform], seed=11).parameters((20000, 2000, 2000))
    h, w = drawn["height"], drawn["width"]
    assert drawn["applied"].all()
    assert stats.kstest(h * w / 2000**2, "uniform", (0.05, 0.25)).pvalue > 1e-3
    assert stats.kstest(np.log(h / w), "uniform", (np.log(0.5), 2 * np.log(2))).pvalue > 1e-3


def test_a_rectangle_that_never_fits_leaves_the_image() -> None:
    aug = Compose([RandomErasing(1.0, scale=(1, 1))])
    images = noise(4, 8, 8)
    np.testing.assert_array_equal(aug(images), images)
    (drawn,) = aug.parameters(images)
    assert not drawn["applied"].any()


@pytest.mark.row("A5")
@pytest.mark.parametrize("size", [(8, 8), (7, 12)])
def test_cutout_follows_the_law_of_its_area(size: tuple[int, int]) -> None:
    """Its centre is uniform over all pixels, and what lies beyond the border is lost."""
    n, edge = 40000, 32
    (drawn,) = Compose([Cutout(size)], seed=12).parameters((n, edge, edge))
    for name, length in zip(("height", "width"), size, strict=True):
        begin = np.arange(edge) - length // 2
        kept = np.minimum(begin + length, edge) - np.maximum(begin, 0)
        lengths, expected = np.unique(kept, return_counts=True)
        found = np.array([(drawn[name] == v).sum() for v in lengths])
        assert found.sum() == n
        expected = expected / edge * n
        assert (np.abs(found - expected) < 5 * np.sqrt(expected)).all()
    area = drawn["height"] * drawn["width"]
    images = np.ones((50, edge, edge), np.uint8)
    erased = (Compose([Cutout(size)], seed=12)(images) == 0).sum(axis=(1, 2))
    np.testing.assert_array_equal(erased, area[:50])


@pytest.mark.row("A5")
def test_a_cutout_inside_always_has_its_whole_area() -> None:
    images = np.ones((500, 20, 24), np.uint8)
    aug = Compose([Cutout((9, 5), border="inside")], seed=13)
    assert ((aug(images) == 0).sum(axis=(1, 2)) == 45).all()
    (drawn,) = aug.parameters((20000, 20, 24))
    assert (np.bincount(drawn["top"], minlength=12) > 0).all()
    assert drawn["top"].max() == 11
    assert drawn["left"].max() == 19
