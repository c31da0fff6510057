"""fanin's augmentation: one call for the batch; `parameters` tells afterwards what was drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import fanin
from benchmarks.jobs import Array, Augmented, Crop, Mix, Prepared, ResizedCrop, TrainImages, Warp
from benchmarks.jobs.augment import MEAN, STD, Augment, Drawn
from fanin.augment import (
    ColorJitter,
    Compose,
    CutMix,
    HorizontalFlip,
    Mixup,
    Normalize,
    RandomAffine,
    RandomCrop,
    RandomResizedCrop,
    Transform,
)

Told = Sequence[dict[str, Any]]  # as Compose.parameters gives it


def _prepared(
    job: Augment, steps: Sequence[Transform], translate: Callable[[Told], Drawn], layout: str
) -> Prepared:
    aug, epoch, out = Compose(steps, seed=0), 0, np.empty(*job.result)
    labels = job.y if isinstance(job, Mix) else None

    def run() -> Any:
        nonlocal epoch
        epoch += 1
        return aug(job.images, labels, epoch=epoch, out=out, layout=layout)

    def answer() -> Augmented:
        result = run()
        drawn = translate(aug.parameters(job.images, epoch=epoch))
        return Augmented(out, drawn, None if labels is None else result[1])

    return Prepared(run, answer)


def crop(job: Crop) -> Prepared:
    steps = [RandomCrop(job.size, padding=job.padding), HorizontalFlip()]

    def translate(told: Told) -> Drawn:
        return {"top": told[0]["top"], "left": told[0]["left"], "flip": told[1]["applied"]}

    if not job.normalized:
        return _prepared(job, steps, translate, "NHWC")
    return _prepared(job, [*steps, Normalize(MEAN, STD)], translate, "NCHW")


def resized_crop(job: ResizedCrop) -> Prepared:
    steps = [RandomResizedCrop(job.size, antialias=job.antialias), HorizontalFlip()]

    def translate(told: Told) -> Drawn:
        drawn = {
            "box": np.stack([told[0][k] for k in ("top", "left", "height", "width")], axis=1),
            "flip": told[1]["applied"],
        }
        if job.jitter is not None:
            names = ("brightness", "contrast", "saturation", "hue")
            drawn["factors"] = np.stack([told[2][name] for name in names], axis=1)
            drawn["order"] = told[2]["order"]
        return drawn

    if job.jitter is not None:
        steps.append(ColorJitter(*job.jitter))
    return _prepared(job, steps, translate, "NHWC")


def warp(job: Warp) -> Prepared:
    share = job.translate
    steps = [RandomAffine(job.degrees, (share, share), job.scale, shear=job.shear)]

    def translate(told: Told) -> Drawn:
        drawn = told[0]
        return job.with_map(
            angle=drawn["degrees"],
            translate=np.stack([drawn["translate_x"], drawn["translate_y"]], axis=1),
            scale=drawn["scale"],
            shear=drawn["shear_x"],
        )

    return _prepared(job, steps, translate, "NHWC")


def mix(job: Mix) -> Prepared:
    kind = {"mixup": Mixup, "cutmix": CutMix}[job.kind]

    def translate(told: Told) -> Drawn:
        drawn = {name: values[0] for name, values in told[0].items() if name != "transform"}
        names = ("top", "left", "bottom", "right")
        return {"lambda": drawn["lambda"], "box": np.array([drawn.get(k, 0) for k in names])}

    return _prepared(job, [kind(job.alpha, num_classes=job.classes)], translate, "NHWC")


def train(job: TrainImages) -> Prepared:
    network, optimizer = fanin.MLP(job.dims, seed=0), fanin.optim.Adam(job.lr)
    steps = [RandomCrop(32, padding=job.padding), HorizontalFlip()]
    options = {"augment": Compose(steps, seed=0)} if job.augment else {}

    def run() -> None:
        network.fit(
            job.data.X, job.data.y, epochs=1, batch_size=job.batch, optimizer=optimizer,
            preprocess=(0, 1 / 255), progress=False, **options,
        )  # fmt: skip

    def answer() -> Array:
        return network.scores(job.data.X_test)

    return Prepared(run, answer)


JOBS = {Crop: crop, ResizedCrop: resized_crop, Warp: warp, Mix: mix, TrainImages: train}
