"""Albumentations: a Compose called on each image; what it draws it keeps to itself."""

from __future__ import annotations

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A  # noqa: N812  it asks the web for a newer version when imported
import cv2
import numpy as np

from benchmarks.jobs import Array, Augmented, Crop, Prepared, ResizedCrop, Warp
from benchmarks.jobs.augment import MEAN, STD, Augment


def configure(threads: int) -> None:
    cv2.setNumThreads(threads)


def version() -> str:
    return f"Albumentations {A.__version__}"


def each(job: Augment, steps: list[A.BasicTransform]) -> Prepared:
    """Of bytes; crops are normalised together afterwards, which is faster than its Normalize."""
    compose = A.Compose(steps, seed=0)
    out = np.empty((len(job.images), job.size, job.size, 3), "u1")
    scale = (1 / (255 * np.array(STD))).astype("f4")[:, None, None]
    shift = (-np.array(MEAN) / STD).astype("f4")[:, None, None]

    def run() -> Array:
        for image, target in zip(job.images, out, strict=True):
            target[:] = compose(image=image)["image"]
        if job.result[1] == "uint8":
            return out
        normalized = np.multiply(out.transpose(0, 3, 1, 2), scale, order="C")
        return np.add(normalized, shift, out=normalized)

    return Prepared(run, lambda: Augmented(run(), None))


def crop(job: Crop) -> Prepared:
    s, p = job.size, job.padding
    steps = [A.Pad(p, fill=0), A.RandomCrop(s, s), A.HorizontalFlip()]
    return each(job, steps)


def resized_crop(job: ResizedCrop) -> Prepared | None:
    """Bilinear as OpenCV's, so that it has no antialias."""
    if job.antialias:
        return None
    steps = [A.RandomResizedCrop((job.size, job.size), p=1.0), A.HorizontalFlip()]
    if job.jitter is not None:
        ranges = [(1 - v, 1 + v) for v in job.jitter[:3]]
        steps.append(A.ColorJitter(*ranges, hue=(-job.jitter[3], job.jitter[3]), p=1.0))
    return each(job, steps)


def warp(job: Warp) -> Prepared:
    steps = [
        A.Affine(
            rotate=(-job.degrees, job.degrees),
            translate_percent=(-job.translate, job.translate),
            scale=job.scale,
            shear={"x": (-job.shear, job.shear), "y": (0, 0)},
            p=1.0,
        )
    ]
    return each(job, steps)


JOBS = {Crop: crop, ResizedCrop: resized_crop, Warp: warp}
