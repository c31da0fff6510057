"""Affine maps, rotations and lenses: against the reference, torchvision and OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from augment_cases import check, noise, smooth
from oracles import torchvision_functional
from reference_augment import affine, augmented, lens

from fanin.augment import (
    CenterCrop,
    Compose,
    HorizontalFlip,
    LensDistortion,
    RandomAffine,
    RandomCrop,
    RandomResizedCrop,
    RandomRotation,
    Resize,
    VerticalFlip,
)


def warps(top: float) -> dict[str, Any]:
    """With fills in units of the images, whose white is `top`."""
    return {
        "rotation": RandomRotation(180, fill=0.4 * top),
        "affine": RandomAffine(20, (0.2, 0.1), (0.7, 1.4), (0.8, 1.25), (-15, 15, -5, 9), fill=top),
        "lens": LensDistortion(0.4, 0.2, fill=0.8 * top),
        "zoom": RandomAffine(0, scale=(2.5, 3)),
    }


COMBINED = {
    "all": [
        HorizontalFlip(),
        RandomCrop(32, padding=4, fill=99),
        RandomRotation(20),
        LensDistortion(0.2, fill=50),
        RandomAffine(5, scale=(0.9, 1.2)),
        VerticalFlip(),
    ],
    "reflected": [RandomCrop(40, padding=9, padding_mode="reflect"), RandomAffine(30)],
    "edged": [RandomRotation(30), RandomCrop(40, padding=9, padding_mode="edge")],
    "mirrored": [RandomRotation(10), RandomCrop(40, padding=9, padding_mode="symmetric")],
    "inner": [CenterCrop(24), RandomRotation(45, fill=255), RandomCrop(20)],
    "enlarged": [Resize(50), RandomAffine(20, shear=10)],
    "shrunk": [RandomAffine(20), RandomResizedCrop(16)],
    "shrunk before": [RandomResizedCrop(20, scale=(0.9, 1)), RandomAffine(20)],
}


@pytest.mark.row("A4")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", warps(1))
def test_warps_are_the_reference(name: str, channels: int, dtype: Any) -> None:
    aug = Compose([warps(255 if dtype == np.uint8 else 1)[name]], seed=7)
    for height, width in [(33, 16), (15, 40)]:
        check(aug, noise(6, height, width, channels, dtype), tolerance=0.05)


@pytest.mark.row("A4")
def test_fills_are_one_for_each_channel() -> None:
    aug = Compose([RandomRotation((30, 60), fill=(9, 100, 250))], seed=7)
    result = check(aug, noise(6, 20, 31), tolerance=0.05)
    np.testing.assert_array_equal(result[:, 0, 0], [[9, 100, 250]] * 6)


@pytest.mark.row("A4")
@pytest.mark.parametrize("name", COMBINED)
def test_combined_geometry_is_one_resampling(name: str) -> None:
    """Every pixel goes back through all steps; where two borders meet a rounding may decide."""
    aug = Compose(COMBINED[name], seed=8)
    images = noise(12, 32, 32)
    expected = augmented(aug, images)
    far = np.abs(aug(images) - expected) > 0.55
    assert far.mean() < 2e-3


def test_turning_there_and_back_costs_nothing() -> None:
    images = noise(4, 24, 24)
    aug = Compose([RandomAffine((30, 30)), RandomAffine((-30, -30))])
    middle = np.s_[:, 7:17, 7:17]
    np.testing.assert_array_equal(aug(images)[middle], images[middle])


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_exact_and_counter_clockwise(quarters: int) -> None:
    images = noise(3, 17, 17)
    degrees = 90 * quarters
    expected = np.rot90(images, quarters, axes=(1, 2))
    result = Compose([RandomRotation((degrees, degrees))])(images)
    assert np.abs(result.astype(int) - expected).max() <= 1
    result = Compose([RandomAffine((-degrees, -degrees))])(images)
    assert np.abs(result.astype(int) - expected).max() <= 1


@pytest.mark.row("A4")
def test_translation_is_in_whole_pixels() -> None:
    images = noise(50, 20, 30)
    aug = Compose([RandomAffine(0, translate=(0.2, 0.1), fill=5)], seed=3)
    (drawn,) = aug.parameters(images)
    right, down = drawn["translate_x"], drawn["translate_y"]
    assert np.abs(right).max() == 6
    assert np.abs(down).max() == 2
    for i, x in enumerate(aug(images)):
        expected = np.full((20 + 4, 30 + 12, 3), 5, np.uint8)
        expected[2 + down[i] : 22 + down[i], 6 + right[i] : 36 + right[i]] = images[i]
        np.testing.assert_array_equal(x, expected[2:22, 6:36])


@pytest.mark.row("A4")
def test_affine_maps_are_torchvisions() -> None:
    torchvision = torchvision_functional()
    torch = pytest.importorskip("torch")
    images = smooth(12, 48, 64)
    transform = RandomAffine(40, (0.1, 0.1), (0.8, 1.3), shear=(-20, 20, -10, 10))
    aug = Compose([transform], seed=9)
    (d,) = aug.parameters(images)
    bilinear = torchvision.InterpolationMode.BILINEAR
    for i, x in enumerate(aug(images)):
        args = (
            float(d["degrees"][i]),
            [int(d["translate_x"][i]), int(d["translate_y"][i])],
            float(d["scale"][i]),
            [float(d["shear_x"][i]), float(d["shear_y"][i])],
        )
        tensor = torch.from_numpy(images[i]).permute(2, 0, 1).float()
        known = torchvision.affine(torch.ones_like(tensor), *args, bilinear, 0) > 0.999
        expected = torchvision.affine(tensor, *args, bilinear, 0)
        away = np.abs(x - expected.permute(1, 2, 0).numpy())
        assert away[known.permute(1, 2, 0).numpy()].max() <= 0.6
        assert known.float().mean() > 0.4


@pytest.mark.row("A4")
def test_rotations_are_torchvisions() -> None:
    torchvision = torchvision_functional()
    torch = pytest.importorskip("torch")
    images = smooth(6, 40, 30)
    aug = Compose([RandomRotation(90)], seed=10)
    (drawn,) = aug.parameters(images)
    bilinear = torchvision.InterpolationMode.BILINEAR
    for i, x in enumerate(aug(images)):
        degrees = float(drawn["degrees"][i])
        tensor = torch.from_numpy(images[i]).permute(2, 0, 1).float()
        known = torchvision.rotate(torch.ones_like(tensor), degrees, bilinear) > 0.999
        expected = torchvision.rotate(tensor, degrees, bilinear).permute(1, 2, 0).numpy()
        assert np.abs(x - expected)[known.permute(1, 2, 0).numpy()].max() <= 0.6


@pytest.mark.row("A4")
def test_warps_are_opencvs_remap() -> None:
    cv2 = pytest.importorskip("cv2")
    images = smooth(8, 48, 64)
    y, x = (c.astype(np.float64) for c in np.indices((48, 64)))
    for step in (RandomAffine(30, (0.1, 0.1), (0.8, 1.2), (0.9, 1.1), 10), LensDistortion(0.3)):
        aug = Compose([step], seed=11)
        (drawn,) = aug.parameters(images)
        for i, result in enumerate(aug(images)):
            one = {k: v[i] for k, v in drawn.items() if k != "transform"}
            across, down = _map(step, one, x, y)
            expected = cv2.remap(
                images[i],
                across.astype(np.float32),
                down.astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=0,
            )
            inside = (across >= 0) & (across <= 63) & (down >= 0) & (down <= 47)
            assert np.abs(result.astype(int) - expected)[inside].max() <= 1
            beyond = (across <= -1) | (across >= 64) | (down <= -1) | (down >= 48)
            assert (result[beyond] == 0).all()


def _map(step: Any, one: dict[str, Any], x: np.ndarray, y: np.ndarray) -> Any:
    if isinstance(step, LensDistortion):
        return lens((48, 64), one["k1"], one["k2"], np.zeros(4)).back(x, y)
    return affine((48, 64), one, np.zeros(4)).back(x, y)
