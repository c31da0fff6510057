"""Flips, crops and resizing: against the reference, torchvision, PIL and OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from augment_cases import check, in_units_of, noise
from oracles import torchvision_functional
from reference_augment import augmented

from fanin import augment
from fanin.augment import (
    CenterCrop,
    Compose,
    FiveCrop,
    HorizontalFlip,
    LensDistortion,
    RandomAffine,
    RandomCrop,
    RandomResizedCrop,
    RandomRotation,
    Resize,
    TenCrop,
    VerticalFlip,
)

SIZES = [(1, 1), (15, 16), (17, 63), (65, 33)]


EXACT = {
    "flips": [HorizontalFlip(), VerticalFlip(0.3)],
    "alternating": [HorizontalFlip(alternating=True), VerticalFlip(alternating=True)],
    "constant": [RandomCrop((9, 14), padding=15, fill=(3.0, 200.0, 77.0))],
    "edge": [RandomCrop(12, padding=(13, 11, 15, 12), padding_mode="edge")],
    "symmetric": [RandomCrop((20, 8), padding=(9, 20), padding_mode="symmetric")],
    "both": [RandomCrop(12, padding=12, fill=9), HorizontalFlip(), RandomCrop(13, padding=2)],
    "after": [VerticalFlip(), RandomCrop(16, padding=16, padding_mode="edge"), CenterCrop(5)],
}


@pytest.mark.row("A1")
@pytest.mark.row("A2")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", EXACT)
def test_flips_and_crops_are_exact(name: str, size: tuple[int, int], dtype: Any) -> None:
    aug = Compose(in_units_of(dtype, EXACT[name]), seed=5)
    for epoch in range(2):
        check(aug, noise(9, *size, dtype=dtype), epoch=epoch)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
def test_padding_modes_are_those_of_numpy(mode: str, channels: int) -> None:
    images = noise(20, 17, 33, channels)
    crop = RandomCrop((19, 30), padding=(5, 7, 3, 2), padding_mode=mode, fill=7 if channels else 0)
    aug = Compose([crop], seed=1)
    (drawn,) = aug.parameters(images)
    padding = ((7, 2), (5, 3), (0, 0))
    options = {"constant_values": 7} if mode == "constant" else {}
    result = check(aug, images)
    for i, image in enumerate(images):
        t, left = drawn["top"][i], drawn["left"][i]
        padded = np.pad(image, padding, mode, **options)
        np.testing.assert_array_equal(result[i], padded[t : t + 19, left : left + 30])


@pytest.mark.row("A1")
def test_flips_equal_torchvision() -> None:
    torchvision = torchvision_functional()
    torch = pytest.importorskip("torch")
    images = noise(64, 16, 17)
    aug = Compose([HorizontalFlip(), VerticalFlip()], seed=2)
    across, down = aug.parameters(images)
    for i, x in enumerate(aug(images)):
        tensor = torch.from_numpy(images[i]).permute(2, 0, 1)
        if across["applied"][i]:
            tensor = torchvision.hflip(tensor)
        if down["applied"][i]:
            tensor = torchvision.vflip(tensor)
        np.testing.assert_array_equal(x, tensor.permute(1, 2, 0).numpy())


@pytest.mark.row("A2")
def test_five_and_ten_crops_equal_torchvision() -> None:
    torchvision = torchvision_functional()
    torch = pytest.importorskip("torch")
    for height, width in [(8, 9), (17, 12), (31, 30)]:
        images = noise(3, height, width)
        tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
        for size in [(1, 1), (7, 8), (8, 9)]:
            for transform, crops in (
                (FiveCrop(size), torchvision.five_crop(tensor, list(size))),
                (TenCrop(size), torchvision.ten_crop(tensor, list(size))),
                (TenCrop(size, vertical_flip=True), torchvision.ten_crop(tensor, list(size), True)),
            ):
                expected = torch.stack(list(crops), dim=1).permute(0, 1, 3, 4, 2).numpy()
                np.testing.assert_array_equal(Compose([transform])(images), expected)


@pytest.mark.row("A2")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_corner_crops_are_slices(dtype: Any) -> None:
    images = noise(4, 17, 20, dtype=dtype)
    five = Compose([FiveCrop((8, 11))])(images)
    assert five.shape == (4, 5, 8, 11, 3)
    np.testing.assert_array_equal(five[:, 0], images[:, :8, :11])
    np.testing.assert_array_equal(five[:, 1], images[:, :8, 9:])
    np.testing.assert_array_equal(five[:, 2], images[:, 9:, :11])
    np.testing.assert_array_equal(five[:, 3], images[:, 9:, 9:])
    np.testing.assert_array_equal(five[:, 4], images[:, 4:12, 4:15])  # round(4.5): ties to even
    ten = Compose([TenCrop((8, 11))])(images, layout="NCHW")
    assert ten.shape == (4, 10, 3, 8, 11)
    np.testing.assert_array_equal(ten[:, :5].transpose(0, 1, 3, 4, 2), five)
    np.testing.assert_array_equal(ten[:, 6, 0], images[:, :8, 10::-1, 0])


RESIZES = {
    "up": [Resize((40, 37))],
    "down": [Resize((7, 9))],
    "edge": [Resize(13)],
    "down without": [Resize((7, 9), antialias=False)],
    "up without": [Resize((40, 37), antialias=False)],
    "crop": [RandomResizedCrop(12), HorizontalFlip()],
    "crop without": [HorizontalFlip(), RandomResizedCrop((17, 9), antialias=False), VerticalFlip()],
    "padded": [Resize(8), RandomCrop(16, padding=8, fill=50)],
    "bordered": [RandomCrop(40, padding=20, fill=50), Resize(16)],
    "cropped": [CenterCrop(10), Resize(7)],
}


@pytest.mark.row("A2")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", RESIZES)
def test_resizing_is_the_reference(name: str, channels: int, dtype: Any) -> None:
    for height, width in [(10, 31), (65, 33)]:
        images = noise(5, height, width, channels, dtype)
        check(Compose(in_units_of(dtype, RESIZES[name]), seed=3), images, tolerance=1e-2)


def test_one_pixel_can_be_resized() -> None:
    images = noise(3, 1, 1)
    for antialias in (False, True):
        result = check(Compose([Resize((5, 3), antialias)]), images)
        np.testing.assert_array_equal(result, np.broadcast_to(images, (3, 5, 3, 3)))


@pytest.mark.row("A2")
@pytest.mark.parametrize("size", [(20, 24), (100, 31), (130, 150)])
def test_resizing_is_that_of_pillow(size: tuple[int, int]) -> None:
    image_module = pytest.importorskip("PIL.Image")
    images = noise(2, 91, 120)
    result = Compose([Resize(size)])(images)
    for image, x in zip(images, result, strict=True):
        pil = image_module.fromarray(image).resize(size[::-1], image_module.Resampling.BILINEAR)
        assert np.abs(x.astype(int) - np.asarray(pil)).max() <= 1


@pytest.mark.row("A2")
@pytest.mark.parametrize("size", [(20, 24), (100, 31), (130, 150)])
def test_resizing_without_antialias_is_that_of_opencv(size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    images = noise(2, 91, 120)
    result = Compose([Resize(size, antialias=False)])(images)
    for image, x in zip(images, result, strict=True):
        expected = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
        assert np.abs(x.astype(int) - expected).max() <= 1


@pytest.mark.row("A2")
@pytest.mark.parametrize("antialias", [False, True])
def test_resized_crops_equal_torchvision(antialias: bool) -> None:
    torchvision = torchvision_functional()
    torch = pytest.importorskip("torch")
    images = noise(8, 75, 100)
    aug = Compose([RandomResizedCrop((32, 40), antialias=antialias)], seed=4)
    (drawn,) = aug.parameters(images)
    for i, x in enumerate(aug(images)):
        box = [int(drawn[k][i]) for k in ("top", "left", "height", "width")]
        tensor = torch.from_numpy(images[i]).permute(2, 0, 1)
        expected = torchvision.resized_crop(tensor, *box, [32, 40], antialias=antialias)
        assert np.abs(x.astype(int) - expected.permute(1, 2, 0).numpy()).max() <= 1


def test_the_shorter_edge_is_torchvisions() -> None:
    for height, width, expected in [(48, 64, (16, 21)), (64, 48, (21, 16)), (7, 7, (16, 16))]:
        assert Compose([Resize(16)]).output_size(height, width) == expected


@pytest.mark.row("A2")
def test_resized_crops_follow_their_laws() -> None:
    stats = pytest.importorskip("scipy.stats")
    aug = Compose([RandomResizedCrop(8, scale=(0.1, 0.4), ratio=(0.5, 2.0))], seed=6)
    (drawn,) = aug.parameters((20000, 2000, 2000))
    h, w = drawn["height"], drawn["width"]
    area, ratio = h * w / 2000**2, np.log(w / h)
    assert stats.kstest(area, "uniform", (0.1, 0.3)).pvalue > 1e-3
    assert stats.kstest(ratio, "uniform", (np.log(0.5), 2 * np.log(2))).pvalue > 1e-3
    assert abs(np.corrcoef(area, ratio)[0, 1]) < 0.03
    for start, length in ((drawn["top"], h), (drawn["left"], w)):
        place = (start + 0.5) / (2000 - length + 1)
        assert stats.kstest(place, "uniform").pvalue > 1e-3


def test_a_window_that_never_fits_is_the_largest_in_the_middle() -> None:
    aug = Compose([RandomResizedCrop(8, scale=(1, 1), ratio=(1, 1))])
    (drawn,) = aug.parameters((3, 10, 31))
    assert {k: v.tolist() for k, v in drawn.items() if k not in ("transform", "applied")} == {
        "top": [0] * 3,
        "left": [10] * 3,
        "height": [10] * 3,
        "width": [10] * 3,
    }


def test_crops_are_uniform_over_all_places() -> None:
    (drawn,) = Compose([RandomCrop(28, padding=2)], seed=1).parameters((45000, 28, 28))
    counts = np.bincount(drawn["top"] * 5 + drawn["left"], minlength=25)
    assert len(counts) == 25
    assert np.abs(counts - 1800).max() < 5 * np.sqrt(1800)


@pytest.mark.parametrize(
    "steps",
    [
        [RandomCrop(24, padding=4), HorizontalFlip()],
        [RandomResizedCrop(20), augment.ColorJitter(0.4), VerticalFlip()],
        [RandomAffine(30, (0.1, 0.1)), LensDistortion()],
        [Resize(50), RandomRotation(20), augment.Cutout(9), CenterCrop(31)],
    ],
)
def test_masks_move_with_their_images(steps: list[Any]) -> None:
    """The mask of pixel numbers says where each pixel of the result came from."""
    aug = Compose(steps, seed=12)
    images, masks = noise(7, 32, 40), noise(7, 32, 40, 1)[..., 0]
    result, moved = aug(images, epoch=0, masks=masks)
    assert moved.shape == result.shape[:3]
    np.testing.assert_array_equal(result, aug(images, epoch=0))
    expected = augmented(aug, masks, mask=True)[..., 0]
    assert (moved != expected).mean() < 2e-3
    colours = np.repeat(masks[..., None], 3, axis=3).astype(np.float32)
    _, planar = aug(images, epoch=0, masks=colours, layout="NCHW")
    np.testing.assert_array_equal(planar[:, 1], moved)
