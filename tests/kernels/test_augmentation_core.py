"""The compiled pipeline through its binding: exact copies, same bits, sizes, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from augmentation_cases import (
    AFFINE,
    ERASE,
    FLIP,
    JITTER,
    MEAN,
    MODES,
    NOISE,
    NORMALIZE,
    PIPELINES,
    STD,
    Operation,
    boxes,
    choose,
    corner_crop,
    crop,
    cutout,
    digest,
    draw,
    erase,
    flip,
    gate,
    noise_images,
    resize,
    resized_crop,
    run,
    sized,
)
from hypothesis import given
from hypothesis import strategies as st

from fanin import _core


def padded(image: np.ndarray, padding: int, mode: int) -> np.ndarray:
    if mode > 0:
        return np.pad(image, ((padding,) * 2, (padding,) * 2, (0, 0)), MODES[mode])  # type: ignore[call-overload]
    planes = [
        np.pad(image[..., c], padding, constant_values=10 * (c + 1)) for c in range(image.shape[2])
    ]
    return np.stack(planes, axis=-1)


def cropped_by_hand(
    image: np.ndarray, box: np.ndarray, flipped: bool, padding: int, mode: int
) -> np.ndarray:
    top, left, height, width = box
    window = padded(image, padding, mode)[top : top + height, left : left + width]
    return window[:, ::-1] if flipped else window


@pytest.mark.parametrize("mode", range(4), ids=MODES)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_crops_and_flips_are_numpys_slices(mode: int, channels: int, dtype: Any) -> None:
    images = noise_images(24, 21, 18, channels).astype(dtype)
    ops = [crop(17, 5, mode), FLIP]
    window, flipped = draw(ops, len(images), 21, 18)
    out = run(ops, images)
    planes = run(ops, images, planar=True)
    assert 0 < flipped["applied"].sum() < len(images)
    for i, image in enumerate(images):
        expected = cropped_by_hand(image, boxes(window)[i], flipped["applied"][i], 5, mode)
        np.testing.assert_array_equal(out[i], expected)
        np.testing.assert_array_equal(planes[i], expected.transpose(2, 0, 1))


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 9),
    st.integers(0, 3),
    st.sampled_from([1, 3, 4]),
    st.integers(0, 2**40 - 1),
)
def test_any_crop_is_a_slice(
    height: int, width: int, padding: int, mode: int, channels: int, sample: int
) -> None:
    image = noise_images(1, height, width, channels)[0]
    size = min(height, width, 33) + 2 * padding
    ops = [crop(size, padding, mode), flip("vflip"), FLIP]
    aug = _core.Augmentation(ops, 3)
    at = np.array([sample])
    window, _, flipped = aug.draw(at, 5, np.array([height]), np.array([width]))
    out = run(ops, [image], seed=3, epoch=5, indices=at)[0]
    expected = cropped_by_hand(image, boxes(window)[0], flipped["applied"][0], padding, mode)[::-1]
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 63, 65])
def test_two_crops_compose(n: int) -> None:
    """The later border wins where both are beyond the image."""
    images = noise_images(n, 16, 16, 3)
    first = crop(16, 4, fill=[1, 1, 1, 1])
    second = crop(20, 3, fill=[2, 2, 2, 2])
    before, flipped, after = draw([first, FLIP, second], n, 16, 16)
    out = run([first, FLIP, second], images) if n else np.zeros((0, 20, 20, 3), np.uint8)
    for i in range(n):
        middle = np.pad(images[i], ((4, 4), (4, 4), (0, 0)), constant_values=1)
        top, left = boxes(before)[i, :2]
        middle = middle[top : top + 16, left : left + 16]
        middle = middle[:, ::-1] if flipped["applied"][i] else middle
        middle = np.pad(middle, ((3, 3), (3, 3), (0, 0)), constant_values=2)
        top, left = boxes(after)[i, :2]
        np.testing.assert_array_equal(out[i], middle[top : top + 20, left : left + 20])


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalize_is_the_last_store(planar: bool, dtype: Any) -> None:
    images = noise_images(9, 32, 32, 3)
    ops = [crop(32, 4), FLIP]
    pixels = run(ops, images).astype(np.float64) / 255
    if dtype == np.float32:
        ops = [crop(32, 4, fill=[10 / 255, 20 / 255, 30 / 255, 0]), FLIP]
        images = (images / 255).astype(np.float32)
    out = run([*ops, NORMALIZE], images, planar=planar)
    expected = (pixels - MEAN[:3]) / STD[:3]
    np.testing.assert_allclose(
        out.transpose(0, 2, 3, 1) if planar else out, expected, rtol=0, atol=2e-6
    )


def test_bytes_become_floats_of_one() -> None:
    images = noise_images(3, 9, 33, 3)
    out = run([flip("hflip")], images, dtype=np.float32)
    np.testing.assert_allclose(out, images[:, :, ::-1] / 255, rtol=1e-6)
    assert run([flip("hflip")], np.full_like(images, 255), dtype=np.float32).max() == 1


def test_a_mask_moves_with_its_image() -> None:
    """Nearest pixels of the same geometry; colour and rectangles leave a mask as it is."""
    ops = [resized_crop(20), AFFINE, JITTER, ERASE, NORMALIZE]
    image = np.zeros((8, 40, 40, 1), np.uint8)
    image[:, 8:32, 8:32] = 255
    mask = run(ops, image, mask=True)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}
    soft = run([resized_crop(20), ("affine", 1, {**AFFINE[2], "fill": [0, 0, 0, 0]})], image)
    assert ((soft > 127) == (mask == 255)).mean() > 0.97


def test_five_and_ten_crops() -> None:
    images = noise_images(2, 9, 12, 3)
    corners = [(0, 0), (0, 7), (5, 0), (5, 7), (2, 4)]  # the middle: 2.0, and 3.5 to even
    five = run([corner_crop(4, 5, "none")], images)
    assert five.shape == (2, 5, 4, 5, 3)
    for v, (top, left) in enumerate(corners):
        np.testing.assert_array_equal(five[:, v], images[:, top : top + 4, left : left + 5])
    for axis, mirrored in [("columns", images[:, :, ::-1]), ("rows", images[:, ::-1])]:
        ten = run([corner_crop(4, 5, axis)], images)
        np.testing.assert_array_equal(ten[:, :5], five)
        for v, (top, left) in enumerate(corners):
            expected = mirrored[:, top : top + 4, left : left + 5]
            np.testing.assert_array_equal(ten[:, 5 + v], expected)


def test_rectangles_stand_in_the_units_of_their_place() -> None:
    images = np.full((4, 16, 16, 3), 51, np.uint8)
    box = cutout(4, 6, True, [102, 51, 0, 0])
    before = run([box, NORMALIZE], images)
    after = run([NORMALIZE, box], images)
    raw = run([box], images)
    (drawn,) = draw([box], 4, 16, 16)
    for i, (top, left, height, width) in enumerate(boxes(drawn)):
        inside = np.zeros((16, 16), bool)
        inside[top : top + height, left : left + width] = True
        assert inside.sum() == 24
        np.testing.assert_array_equal(raw[i][inside], np.tile([102, 51, 0], (24, 1)))
        assert (raw[i][~inside] == 51).all()
        expected = (np.array([0.4, 0.2, 0]) - MEAN[:3]) / STD[:3]
        np.testing.assert_allclose(before[i][inside], np.tile(expected, (24, 1)), atol=1e-5)
    _, drawn = draw([NORMALIZE, box], 4, 16, 16)
    top, left = boxes(drawn)[0, :2]
    np.testing.assert_array_equal(after[0, top, left], [102, 51, 0])


def test_random_rectangles_are_normal_deviates() -> None:
    ops = [NORMALIZE, erase(1, (0.5, 0.9), (0.9, 1.1))]
    images = np.zeros((3, 200, 200, 3), np.uint8)
    out = run(ops, images)
    _, drawn = draw(ops, 3, 200, 200)
    for i, (top, left, height, width) in enumerate(boxes(drawn)):
        box = out[i, top : top + height, left : left + width]
        assert abs(box.mean()) < 0.02
        assert abs(box.std() - 1) < 0.02
        assert abs(np.corrcoef(box[..., 0].ravel(), box[..., 1].ravel())[0, 1]) < 0.05


def test_same_bits_on_every_instruction_set(
    isa: str, threads: int, run_isa: Callable[..., str]
) -> None:
    code = """
        import sys
        sys.path.insert(0, {folder!r})
        from augmentation_cases import PIPELINES, digest
        for name in PIPELINES:
            for channels in (1, 3, 4):
                for dtype in ("uint8", "float32"):
                    print(digest(name, channels, channels == 3, dtype)[0])
    """.format(folder=str(Path(__file__).parents[1] / "support"))
    expected = [
        digest(name, channels, channels == 3, dtype, n_threads=1)[0]
        for name in PIPELINES
        for channels in (1, 3, 4)
        for dtype in ("uint8", "float32")
    ]
    assert run_isa(code, isa, threads).split() == expected


@pytest.mark.parametrize("name", PIPELINES)
def test_a_sample_does_not_depend_on_its_batch(name: str) -> None:
    whole = digest(name, 3, False, np.uint8)[1]
    images = noise_images(13, 41, 37, 3)
    order = np.random.default_rng(0).permutation(13)
    for threads in (1, 3):
        shuffled = run(
            PIPELINES[name], list(images[order]), seed=5, epoch=2, indices=order, n_threads=threads
        )
        np.testing.assert_array_equal(shuffled, whole[order])
    one = run(PIPELINES[name], images[7:8], seed=5, epoch=2, indices=np.array([7]))
    np.testing.assert_array_equal(one[0], whole[7])


@pytest.mark.parametrize("kind", ["hflip", "vflip"])
def test_a_flip_after_colours_is_the_colours_flipped(kind: str) -> None:
    images = noise_images(5, 20, 33, 3)
    coloured = run([resized_crop(18), JITTER], images)
    out = run([resized_crop(18), JITTER, flip(kind)], images)
    mirrored = coloured[:, :, ::-1] if kind == "hflip" else coloured[:, ::-1]
    assert np.abs(out.astype(int) - mirrored).max() <= 1  # contrast's mean, summed from the end
    noisy: list[Operation] = [("noise", 1, NOISE[2])]
    out = run([*noisy, flip(kind)], images)
    mirrored = images[:, :, ::-1] if kind == "hflip" else images[:, ::-1]
    change = np.abs(out.astype(int) - run(noisy, mirrored.copy()))
    assert change.max() > 1  # noise stays where it fell


def test_images_of_many_sizes_become_one() -> None:
    images = [noise_images(1, 20 + 3 * i, 50 - 2 * i, 3)[0] for i in range(9)]
    ops = [resize(24, 24), FLIP]
    together = run(ops, images)
    for i, image in enumerate(images):
        np.testing.assert_array_equal(run(ops, [image], indices=np.array([i]))[0], together[i])


def test_sizes() -> None:
    def size(*ops: Operation) -> tuple[int, int]:
        return _core.Augmentation(list(ops), 0).output(48, 65)

    assert size() == (48, 65)
    assert size(FLIP, AFFINE, JITTER) == (48, 65)
    assert size(resize(16, 0)) == (16, 21)
    assert size(resize(16, 30), crop(20, 4)) == (20, 20)
    assert size(gate(0, 1), crop(20)) == (48, 65)
    assert size(choose(1, 1), crop(20), resized_crop(20)) == (20, 20)


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([crop(32)], r"RandomCrop: expected .* 32 x 32 after padding, got 28 x 28; pass padding=2"),
        ([crop(40, 1)], r"got 30 x 30; pass padding=6 or more, or Resize first"),
        (
            [("centre_crop", 1, sized(29, 5))],
            r"CenterCrop: expected .* 29 x 5, got 28 x 28; Resize",
        ),
        ([corner_crop(5, 29, "columns")], r"expected an image of at least 5 x 29, got 28 x 28"),
        ([cutout(29, 29, True, [0, 0, 0, 0])], r"Cutout: .* 29 x 29, got 28 x 28; border"),
        ([gate(0.5, 1), crop(20)], r"RandomApply: .* 28 x 28 without and 20 x 20 with"),
        ([choose(1, 1), crop(20), FLIP], r"OneOf: .* got 20 x 20 and 28 x 28"),
    ],
)
def test_what_does_not_fit_is_refused(ops: list[Operation], message: str) -> None:
    aug = _core.Augmentation(ops, 0)
    with pytest.raises(ValueError, match=message):
        aug.output(28, 28)
    out = np.full((1, 1, 1, 1), 7, np.uint8)
    with pytest.raises(ValueError, match=message):
        aug.run(np.zeros((1, 28, 28, 1), np.uint8), np.arange(1), 0, out, False, False, 1)
    assert out[0, 0, 0, 0] == 7


@pytest.mark.parametrize(
    ("operation", "error", "message"),
    [
        (("blur", 1, {}), ValueError, r"kind: expected one of gate, choose, .*; got 'blur'"),
        (("centre_crop", 1, {"height": 3}), ValueError, r"CenterCrop: width: expected a whole"),
        (("centre_crop", 1, sized(3, 2.5)), TypeError, r"CenterCrop: width: .*, got 2.5"),
        (("grayscale", 1, sized(3, 3)), ValueError, r"RandomGrayscale: expected the fields ; got"),
        (corner_crop(5, 5, "both"), ValueError, r"FiveCrop: mirrored: .* none, columns, rows; got"),
        (cutout(5, 5, True, [0, 0, np.nan, 0]), ValueError, r"Cutout: value: .* finite numbers"),
    ],
)
def test_fields_are_checked(operation: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        _core.Augmentation([operation], 0)
