"""The range of float images, and draws without an epoch."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from augment_cases import noise
from children import printed_by

import fanin
from fanin import augment
from fanin.augment import (
    ColorJitter,
    Compose,
    Cutout,
    GaussianNoise,
    HorizontalFlip,
    LensDistortion,
    Normalize,
    OneOf,
    RandomAffine,
    RandomApply,
    RandomCrop,
    RandomErasing,
    RandomGrayscale,
    RandomResizedCrop,
    RandomRotation,
    batches,
)

STEPS: dict[str, list[Any]] = {
    "flip": [HorizontalFlip()],
    "geometry": [RandomRotation(20), RandomCrop(16, padding=2, fill=0.25)],
    "resized": [RandomResizedCrop(12), ColorJitter(0.4, 0.4, 0.4, 0.1)],
    "jitter": [ColorJitter(0.4, 0.4, 0.4, 0.1)],
    "grey": [RandomGrayscale(0.5), Cutout(5, value=0.5), ColorJitter(0.4)],
    "noise": [GaussianNoise(0.1, 0.2), RandomErasing(0.7, value=0.75), GaussianNoise(clip=False)],
    "normalize": [ColorJitter(0.3), Normalize((0.4, 0.5, 0.6), 0.25), Cutout(4, value=1.5)],
    "plain normalize": [HorizontalFlip(), Normalize(0.5, 0.25)],
}


def floats(n: int = 9, size: int = 17) -> np.ndarray:
    return noise(n, size, size, dtype=np.float32)


def in_range(steps: list[Any], low: float, high: float) -> list[Any]:
    """The same steps for images from `low` to `high`: what they fill with moved along."""
    moved = []
    normalized = False
    for step in steps:
        options = step._options()
        for name in ("fill", "value"):
            if name in options and not normalized:
                options[name] = low + (high - low) * options[name]
        normalized |= isinstance(step, Normalize)
        moved.append(type(step)(**options))
    return moved


@pytest.mark.parametrize("value_range", [(0.0, 255.0), (-1.0, 1.0), (0.0, 0.5), (100.0, 104.0)])
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_a_range_is_that_of_0_to_1_moved(
    name: str, value_range: tuple[float, float], layout: str
) -> None:
    low, high = value_range
    unit, X = Compose(STEPS[name], seed=3), floats()
    moved = Compose(in_range(STEPS[name], low, high), seed=3, value_range=value_range)
    given = (low + (high - low) * X).astype(np.float32)
    expected, result = (aug(x, epoch=2, layout=layout) for aug, x in ((unit, X), (moved, given)))
    if not moved.engine.normalizes:
        expected = low + (high - low) * expected
    atol = 3e-5 * max(abs(low), abs(high)) if not moved.engine.normalizes else 2e-3
    np.testing.assert_allclose(result, expected, rtol=0, atol=atol)
    u8 = noise(9, 17, 17)  # which have their own
    np.testing.assert_array_equal(
        Compose(STEPS[name], 3, value_range)(u8, epoch=2), unit(u8, epoch=2)
    )


@pytest.mark.parametrize("name", STEPS)
def test_what_lies_outside_is_refused(name: str) -> None:
    X = floats()
    aug = Compose(STEPS[name])
    for outside in (X * np.float32(255), X * 2 - 1):
        with pytest.raises(ValueError, match=r"images: expected floats from 0 to 1, got .*range="):
            aug(outside)
        with pytest.raises(ValueError, match=r"images\[1\]: expected floats from 0 to 1"):
            aug([X[0], outside[0]])
    Compose(STEPS[name], value_range=(0, 255))(X * np.float32(255))
    Compose(STEPS[name], value_range=(-1, 1))(X * 2 - 1)
    for bad in (np.nan, np.inf):
        X[3, 4, 5, 1] = bad
        with pytest.raises(ValueError, match="images: expected finite values"):
            aug(X)


FILLED: dict[str, Any] = {
    "crop": lambda v: RandomCrop(17, padding=2, fill=v),
    "rotation": lambda v: RandomRotation(5, fill=v),
    "affine": lambda v: RandomAffine(5, fill=v),
    "lens": lambda v: LensDistortion(fill=v),
    "erasing": lambda v: RandomErasing(value=v),
    "cutout": lambda v: Cutout(3, value=v),
    "inside": lambda v: RandomApply([OneOf([Cutout(3, value=v), HorizontalFlip()])]),
}


@pytest.mark.parametrize("name", FILLED)
def test_what_fills_is_in_the_units_of_the_images(name: str) -> None:
    """For bytes 0 to 255, for floats `value_range`; after Normalize it is normalised."""
    X, u8 = floats(), noise(9, 17, 17)
    wrong: list[tuple[Any, np.ndarray, tuple[float, float]]] = [
        (128, X, (0, 1)), ((0.5, 0.5, 1.5), X, (0, 1)), (-0.1, X, (0, 1)),
        (0.0, X + 100, (100, 101)), (256, u8, (0, 1)), (-1, u8, (-1, 1)),
    ]  # fmt: skip
    for value, images, value_range in wrong:
        aug = Compose([FILLED[name](value)], value_range=value_range)
        with pytest.raises(ValueError, match=r"(fill|value): expected from .* got .* in "):
            aug(images)
    for value, images, value_range in (
        (128, u8, (0, 1)), (128, X * np.float32(255), (0, 255)), ((-1, 0, 1), X, (-1, 1)),
    ):  # fmt: skip
        Compose([FILLED[name](value)], value_range=value_range)(images)
    if name in ("erasing", "cutout"):
        Compose([Normalize(0.5, 0.25), FILLED[name](-2)])(X)
    Compose([RandomCrop(9)], value_range=(100, 101))(X + 100)  # no border
    Compose([RandomCrop(9, padding=1, padding_mode="edge")], value_range=(100, 101))(X + 100)


def test_training_refuses_a_fill_of_other_units() -> None:
    X, y = floats(20), np.arange(20) % 2
    net = fanin.MLP([X[0].size, 2])
    with pytest.raises(ValueError, match="fill: expected from 0 to 1, as float32 images have"):
        net.fit(X, y, augment=Compose([RandomCrop(17, padding=1, fill=128)]), progress=False)
    with pytest.raises(ValueError, match="value: expected from 0 to 255, as uint8 images have"):
        net.fit(noise(20, 17, 17), y, augment=Compose([Cutout(3, value=300)]), progress=False)
    assert net.epochs_done == 0


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Normalize((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)), "mean"),
        (lambda: Normalize(0, 255), "std"),
        (lambda: Normalize(-0.5, 0.5), "mean"),
        (lambda: GaussianNoise(sigma=25), "sigma"),
        (lambda: GaussianNoise(mean=10), "mean"),
    ],
)
def test_statistics_of_bytes_are_refused(make: Any, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected numbers from .* where white is 1"):
        make()


def test_training_refuses_it_before_it_begins() -> None:
    X, y = floats(20) * np.float32(255), np.arange(20) % 2
    net = fanin.MLP([X[0].size, 2])
    with pytest.raises(ValueError, match="X: expected floats from 0 to 1"):
        net.fit(X, y, augment=Compose([ColorJitter(0.4)]), progress=False)
    assert net.epochs_done == 0
    aug = Compose([ColorJitter(0.4)], value_range=(0, 255))
    net.fit(X, y, augment=aug, preprocess=(128, 1 / 64), epochs=1, progress=False)
    with pytest.raises(ValueError, match="images: expected floats from 0 to 1"):
        net.predict_proba(X, tta=Compose([HorizontalFlip()]))
    with pytest.raises(ValueError, match="images: expected floats from 0 to 1"):
        next(batches(X, y, Compose([HorizontalFlip()]), 4, 0))


def test_the_range_is_kept() -> None:
    aug = Compose([ColorJitter(0.4)], seed=1, value_range=(-1, 1))
    for twin in (
        Compose.from_json(aug.to_json()),
        pickle.loads(pickle.dumps(aug)),
        copy.deepcopy(aug),
    ):
        assert twin == aug
        assert twin.value_range == (-1.0, 1.0)
    assert aug != Compose([ColorJitter(0.4)], seed=1)
    assert "value_range=(-1.0, 1.0)" in repr(aug)
    for bad in ((1, 0), (0, 0), (0, np.inf), 1, (0, 1, 2)):
        with pytest.raises((ValueError, TypeError), match="value_range: expected"):
            Compose([], value_range=bad)  # type: ignore[arg-type]


RANDOM = [RandomCrop(16, padding=2), HorizontalFlip(), ColorJitter(0.4)]


def test_each_call_without_an_epoch_draws_anew() -> None:
    X = noise(5, 16, 16)
    aug = Compose(RANDOM, seed=4)
    results = [aug(X).tobytes() for _ in range(20)]
    assert len(set(results)) == 20
    assert results == [aug(X, epoch=e).tobytes() for e in range(20)]  # a pure function of it
    again = Compose(RANDOM, seed=4)
    assert [again(X).tobytes() for _ in range(3)] == results[:3]
    for twin in (copy.deepcopy(again), pickle.loads(pickle.dumps(again))):
        assert twin(X).tobytes() == results[3]


def test_each_loader_without_an_epoch_draws_anew() -> None:
    X, y = noise(10, 16, 16), np.arange(10)
    aug = Compose(RANDOM, seed=4)
    plain = [list(batches(X, y, aug, 5, shuffle=False)) for _ in range(3)]
    assert len({b"".join(x.tobytes() for x, _ in one) for one in plain}) == 3
    orders = {tuple(np.concatenate([y for _, y in batches(X, y, aug, 5)])) for _ in range(5)}
    assert len(orders) == 5
    twice = [list(batches(X, y, aug, 5, 7)) for _ in range(2)]
    for a, b in zip(*twice, strict=True):
        np.testing.assert_array_equal(a[0], b[0])


WORKERS = """
    import multiprocessing
    import numpy as np
    from fanin.augment import ColorJitter, Compose, HorizontalFlip, RandomCrop

    aug = Compose([RandomCrop(16, padding=2), HorizontalFlip(), ColorJitter(0.4)], seed=4)
    X = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)

    def work(aug):
        return [aug(X).tobytes() for _ in range(3)]

    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        results = work(aug)
        for _ in range(2):
            with context.Pool(2) as pool:
                for part in pool.map(work, [aug] * 4, chunksize=2):
                    results += part
        print(len(set(results)), len(results))
"""


def test_worker_processes_repeat_nothing() -> None:
    assert printed_by(WORKERS).split() == ["27", "27"]


def test_collating_without_an_epoch_draws_anew() -> None:
    torch = pytest.importorskip("torch")
    X = noise(6, 16, 16)
    samples = [(i, image, i % 2) for i, image in enumerate(X)]
    collate: Any = augment.torch_collate(Compose(RANDOM, seed=4))
    assert collate.epoch is None
    calls = [collate(samples)[0] for _ in range(4)]
    assert len({c.numpy().tobytes() for c in calls}) == 4
    collate.epoch = 2
    assert torch.equal(collate(samples)[0], collate(samples)[0])
    collate.set_epoch(None)
    assert not torch.equal(collate(samples)[0], collate(samples)[0])
