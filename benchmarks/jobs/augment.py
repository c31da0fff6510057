"""Augmentation of images decoded in memory; every parameter is drawn anew in each run.

`answer` gives an `Augmented`: what came out, and what was drawn for it where the peer tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from benchmarks import data, images
from benchmarks.jobs.row import Array, Bar, Job, Row, wrong_by

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of CIFAR-10
COMPARED = 12  # images of an answer that are compared pixel by pixel

Drawn = Mapping[str, Array]


class Augmented(NamedTuple):
    """``drawn`` is as the job's `draw` gives it, or None of a library that keeps it to itself."""

    out: Array
    drawn: Drawn | None
    labels: Array | None = None


class Augment(Job):
    """What the jobs share: the check."""

    limit: float  # of the mean error

    def check(self, answer: Augmented) -> str:
        shape, dtype = self.result
        if answer.out.shape != shape or answer.out.dtype != dtype:
            raise ValueError(
                f"wrong: {answer.out.shape} {answer.out.dtype}, expected {shape} {dtype}"
            )
        if answer.drawn is None:
            return "shape and dtype"
        some = range(0, len(answer.out), max(1, len(answer.out) // COMPARED))
        errors = [np.abs(answer.out[i] - self.expected(i, answer.drawn)).mean() for i in some]
        return wrong_by(float(max(errors)), self.limit, "largest mean error of an image")

    @property
    def result(self) -> tuple[tuple[int, ...], str]:
        """Shape and dtype of what comes out."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator) -> Drawn:
        """All parameters of a run, vectorised: a peer may draw in its own way instead."""
        raise NotImplementedError

    def expected(self, i: int, drawn: Drawn) -> Array:
        """The i-th image of the result."""
        raise NotImplementedError


@dataclass(frozen=True)
class Crop(Augment):
    """Pad with zeros, crop at random, flip half of them; normalised planes of float32, or bytes."""

    normalized: bool
    count: int = 512
    size: int = 32
    padding: int = 4
    limit = 1e-5

    @cached_property
    def images(self) -> Array:
        return images.photographs(self.count, self.size, self.size)

    @property
    def result(self) -> tuple[tuple[int, ...], str]:
        n, s = self.count, self.size
        return ((n, 3, s, s), "float32") if self.normalized else ((n, s, s, 3), "uint8")

    @property
    def copied(self) -> float:
        return self.images.size * (4.0 if self.normalized else 1.0)

    def draw(self, rng: np.random.Generator) -> Drawn:
        top, left = rng.integers(0, 2 * self.padding + 1, (2, self.count))
        return {"top": top, "left": left, "flip": rng.random(self.count) < 0.5}

    def expected(self, i: int, drawn: Drawn) -> Array:
        padded = np.pad(self.images[i], ((self.padding,) * 2, (self.padding,) * 2, (0, 0)))
        top, left = drawn["top"][i], drawn["left"][i]
        image = padded[top : top + self.size, left : left + self.size]
        if drawn["flip"][i]:
            image = image[:, ::-1]
        if not self.normalized:
            return image.astype(np.float64)
        return ((image / 255 - MEAN) / STD).transpose(2, 0, 1)


@dataclass(frozen=True)
class ResizedCrop(Augment):
    """Random crops resized to one size, half of them flipped; bytes."""

    antialias: bool
    jitter: tuple[float, float, float, float] | None = None
    count: int = 64
    height: int = 375
    width: int = 500
    size: int = 224

    @property
    def limit(self) -> float:
        """Truncation after each step of the colours, or 8 bits for the hue, cost some levels; so
        does a box in place of the triangle.
        """
        return 4.0 if self.jitter is not None else 2.0 if self.antialias else 1.0

    @cached_property
    def images(self) -> Array:
        return images.photographs(self.count, self.height, self.width)

    @property
    def result(self) -> tuple[tuple[int, ...], str]:
        return (self.count, self.size, self.size, 3), "uint8"

    def draw(self, rng: np.random.Generator) -> Drawn:
        drawn = {
            "box": images.boxes(rng, self.count, self.height, self.width),
            "flip": rng.random(self.count) < 0.5,
        }
        if self.jitter is not None:
            width = np.array(self.jitter)
            centre = np.array([1, 1, 1, 0])
            drawn["factors"] = rng.uniform(centre - width, centre + width, (self.count, 4))
            drawn["order"] = rng.permuted(np.tile(np.arange(4), (self.count, 1)), axis=1)
        return drawn

    def expected(self, i: int, drawn: Drawn) -> Array:
        top, left, h, w = drawn["box"][i]
        crop = self.images[i, top : top + h, left : left + w]
        image = images.resized(crop, self.size, self.antialias)
        if drawn["flip"][i]:
            image = image[:, ::-1]
        if self.jitter is not None:
            image = images.jittered(image, drawn["factors"][i], drawn["order"][i])
        return image


@dataclass(frozen=True)
class Warp(Augment):
    """Rotation, translation, scale and shear in one bilinear resampling, 0 outside; bytes."""

    count: int = 64
    size: int = 224
    degrees: float = 15
    translate: float = 0.1
    scale: tuple[float, float] = (0.9, 1.1)
    shear: float = 10
    limit = 1.0

    @cached_property
    def images(self) -> Array:
        return images.photographs(self.count, self.size, self.size)

    @property
    def result(self) -> tuple[tuple[int, ...], str]:
        return self.images.shape, "uint8"

    def draw(self, rng: np.random.Generator) -> Drawn:
        n, reach = self.count, self.translate * self.size
        return self.with_map(
            angle=rng.uniform(-self.degrees, self.degrees, n),
            translate=np.rint(rng.uniform(-reach, reach, (n, 2))),
            scale=rng.uniform(*self.scale, n),
            shear=rng.uniform(-self.shear, self.shear, n),
        )

    def with_map(self, **drawn: Array) -> Drawn:
        return drawn | {"map": images.inverse_maps(**drawn, height=self.size, width=self.size)}

    def expected(self, i: int, drawn: Drawn) -> Array:
        return images.warped(self.images[i], drawn["map"][i])


@dataclass(frozen=True)
class Mix(Augment):
    """Mixup or CutMix of each image with the one before it, one lambda and box a batch, into a new
    batch of float32, labels too. ``planar``: as the peer wants its images.
    """

    kind: str
    alpha: float = 1.0
    count: int = 512
    size: int = 32
    classes: int = 10
    limit = 1e-5

    @cached_property
    def images(self) -> Array:
        """(N, H, W, 3); of planes: `planes`."""
        photographs = images.photographs(self.count, self.size, self.size)
        return np.ascontiguousarray(photographs, dtype=np.float32) / 255

    @cached_property
    def planes(self) -> Array:
        return np.ascontiguousarray(self.images.transpose(0, 3, 1, 2))

    @cached_property
    def y(self) -> Array:
        return np.random.default_rng(3).integers(0, self.classes, self.count)

    @property
    def result(self) -> tuple[tuple[int, ...], str]:
        return self.images.shape, "float32"

    def draw(self, rng: np.random.Generator) -> Drawn:
        """``box``: top, left, bottom, right of what comes from the partner."""
        lam = rng.beta(self.alpha, self.alpha)
        if self.kind == "mixup":
            return {"lambda": np.float64(lam), "box": np.zeros(4, int)}
        half = int(0.5 * np.sqrt(1 - lam) * self.size)
        y, x = rng.integers(0, self.size, 2)
        box = np.array([y - half, x - half, y + half, x + half]).clip(0, self.size)
        area = (box[2] - box[0]) * (box[3] - box[1])
        return {"lambda": np.float64(1 - area / self.size**2), "box": box}

    def check(self, answer: Augmented) -> str:
        """Of the images, of the labels, and that no pixel is off."""
        said = super().check(answer)
        assert answer.drawn is not None
        assert answer.labels is not None
        lam, hot = answer.drawn["lambda"], np.eye(self.classes)[self.y]
        error = np.abs(answer.labels - lam * hot - (1 - lam) * np.roll(hot, 1, axis=0)).max()
        wrong_by(float(error), 1e-5, "largest error of a label")
        return said

    def expected(self, i: int, drawn: Drawn) -> Array:
        own, partner = self.images[i].astype(np.float64), self.images[i - 1]
        if self.kind == "mixup":
            return drawn["lambda"] * own + (1 - drawn["lambda"]) * partner
        top, left, bottom, right = drawn["box"]
        own[top:bottom, left:right] = partner[top:bottom, left:right]
        return own


@dataclass(frozen=True)
class TrainImages(Job):
    """An epoch of a network on images of 32 x 32, with crops and flips of each batch or without."""

    augment: bool
    hidden: int = 512
    batch: int = 128
    rows: int = 5000
    padding: int = 4
    lr: float = 1e-3

    @cached_property
    def data(self) -> data.Data:
        """CIFAR-10 where FANIN_CIFAR10 names it, else colours under noise."""
        if (cifar10 := data.cifar10()) is not None:
            X, y = cifar10
            return data.Data("CIFAR-10", X[: self.rows], y[: self.rows], X[-500:], y[-500:])
        rng = np.random.default_rng(5)
        y = rng.integers(0, 10, self.rows + 500)
        X = rng.integers(0, 156, (len(y), 32, 32, 3), dtype=np.uint8)
        X += rng.integers(0, 100, (10, 1, 1, 3), dtype=np.uint8)[y]
        n = self.rows
        return data.Data("synthetic", X[:n], y[:n], X[n:], y[n:])

    @property
    def dims(self) -> tuple[int, int, int]:
        return 3072, self.hidden, 10

    def check(self, answer: Array) -> str:
        accuracy = float((answer.argmax(axis=1) == self.data.y_test).mean())
        if not accuracy > 0.15:
            raise ValueError(f"it did not learn: test accuracy {accuracy:.3f}")
        return f"test accuracy {accuracy:.3f}"


def _row(name: str, title: str, job: Crop | ResizedCrop | Warp | Mix, bars: Iterable[Bar]) -> Row:
    """Its number is the time of one image."""
    return Row(f"augment-{name}", title, "us", job, per=job.count, bars=tuple(bars))


_JITTER = (0.4, 0.4, 0.4, 0.1)
_BARE = "64 × 500×375 → random resized crop 224, flip"

ROWS = (
    _row(
        "crop",
        "512 × 32×32×3 bytes → pad 4, crop, flip, normalise → float32 planes, an image",
        Crop(normalized=True),
        [Bar("speedup", 1.7)],
    ),
    _row(
        "crop-bytes",
        "the same without normalising → bytes; the roof is memcpy",
        Crop(normalized=False),
        [Bar("speedup", 3)],
    ),
    _row("resize", f"{_BARE}, an image", ResizedCrop(False), [Bar("speedup", 1.6)]),
    _row("resize-antialias", "the same with antialias", ResizedCrop(True), [Bar("speedup", 1.6)]),
    _row("jitter", f"{_BARE}, jitter", ResizedCrop(False, _JITTER), [Bar("speedup", 2.5)]),
    _row(
        "jitter-antialias",
        "the same with antialias",
        ResizedCrop(True, _JITTER),
        [Bar("speedup", 2.5)],
    ),
    _row(
        "affine",
        "64 × 224×224 → rotation, translation, scale, shear; bilinear, an image",
        Warp(),
        [Bar("speedup", 1.5)],
    ),
    _row("mixup", "Mixup, 512 × 32×32×3 float32, an image", Mix("mixup"), [Bar("speedup", 1)]),
    _row("cutmix", "CutMix, the same", Mix("cutmix"), [Bar("speedup", 1)]),
    Row(
        "augment-epoch",
        "epoch of 5,000 images, 3072-512-10, with crop and flip, over the same without",
        "%",
        TrainImages(True),
        threads=(2,),
        kind="over",
        base=TrainImages(False),
        rounds=1,  # of 16 windows each
        bars=(Bar("limit", 15),),
    ),
)
