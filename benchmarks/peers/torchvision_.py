"""torchvision: its transforms draw once for a batch, so each image takes a call of its own."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import one_hot
from torchvision import __version__ as torchvision_version
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from benchmarks.jobs import Array, Augmented, Crop, Mix, Prepared, ResizedCrop, Warp
from benchmarks.jobs.augment import MEAN, STD, Drawn
from benchmarks.peers.shared import Team, drawn_anew

BILINEAR = InterpolationMode.BILINEAR


def configure(threads: int) -> None:
    global TEAM
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    TEAM = Team(threads, lambda: torch.set_num_threads(1))


def version() -> str:
    return f"torchvision {torchvision_version}"


def planes(images: Array) -> torch.Tensor:
    """A view with the channels first; the bytes stay channels last, as `resize` likes them."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def crop(job: Crop) -> Prepared:
    images = planes(job.images).contiguous()
    steps = [v2.RandomCrop(job.size, padding=job.padding), v2.RandomHorizontalFlip()]
    transform = v2.Compose(steps)
    out = torch.empty(job.count, 3, job.size, job.size, dtype=torch.uint8)

    @torch.inference_mode()
    def run() -> Array:
        for image, target in zip(images, out, strict=True):
            target.copy_(transform(image))
        if not job.normalized:
            return out.permute(0, 2, 3, 1).contiguous().numpy()
        return functional.normalize(out.float().div_(255), MEAN, STD, inplace=True).numpy()

    return Prepared(run, lambda: Augmented(run(), None))


def resized_crop(job: ResizedCrop) -> Prepared:
    images, out = planes(job.images), torch.empty(job.result[0], dtype=torch.uint8)
    targets = out.permute(0, 3, 1, 2)
    adjust = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )

    def apply(drawn: Drawn) -> Array:
        boxes, flips = drawn["box"].tolist(), drawn["flip"].tolist()

        @torch.inference_mode()
        def work(part: range) -> None:
            for i in part:
                image = functional.resized_crop(
                    images[i], *boxes[i], [job.size, job.size], antialias=job.antialias
                )
                if flips[i]:
                    image = functional.horizontal_flip(image)
                if job.jitter is not None:
                    for which in drawn["order"][i].tolist():
                        image = adjust[which](image, float(drawn["factors"][i, which]))
                targets[i] = image

        TEAM.each(work, job.count)
        return out.numpy()

    return drawn_anew(job, apply)


def warp(job: Warp) -> Prepared:
    images, out = planes(job.images), torch.empty(job.result[0], dtype=torch.uint8)
    targets = out.permute(0, 3, 1, 2)

    def apply(drawn: Drawn) -> Array:
        angle, translate, scale, shear = (
            drawn[name].tolist() for name in ("angle", "translate", "scale", "shear")
        )

        @torch.inference_mode()
        def work(part: range) -> None:
            for i in part:
                targets[i] = functional.affine(
                    images[i], angle[i], translate[i], scale[i], [shear[i], 0.0], BILINEAR
                )

        TEAM.each(work, job.count)
        return out.numpy()

    return drawn_anew(job, apply)


def mix(job: Mix) -> Prepared:
    """Its own classes, which draw for themselves; the images tell what."""
    kind = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[job.kind]
    transform = kind(alpha=job.alpha, num_classes=job.classes)
    x, y = torch.from_numpy(job.planes), torch.from_numpy(job.y)

    @torch.inference_mode()
    def run() -> tuple[torch.Tensor, torch.Tensor]:
        result: tuple[torch.Tensor, torch.Tensor] = transform(x, y)
        return result

    def answer() -> Augmented:
        out, labels = (part.numpy() for part in run())
        hot = one_hot(y, job.classes).numpy()
        own = hot.astype(bool) & (np.roll(hot, 1, axis=0) == 0)
        out = out.transpose(0, 2, 3, 1)
        changed = (out != job.images).any(axis=(0, 3))
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        box = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1] if len(rows) else [0] * 4
        drawn = {"lambda": np.float64(labels[own][0]), "box": np.array(box)}
        return Augmented(out, drawn, labels)

    return Prepared(run, answer)


JOBS = {Crop: crop, ResizedCrop: resized_crop, Warp: warp, Mix: mix}
