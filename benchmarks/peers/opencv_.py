"""OpenCV: a loop over the images in Python, in as many threads; OpenCV's own threads are off.

Its resize has no antialias but INTER_AREA, a box in place of the triangle. Hue goes through 8 bits.
"""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.jobs import Array, Crop, Mix, Prepared, ResizedCrop, Warp
from benchmarks.jobs.augment import MEAN, STD, Drawn
from benchmarks.peers.shared import Team, drawn_anew

LEVELS = np.arange(256, dtype=np.float32)


def configure(threads: int) -> None:
    global TEAM
    cv2.setNumThreads(1)
    TEAM = Team(threads)


def version() -> str:
    return f"OpenCV {cv2.__version__}"


def crop(job: Crop) -> Prepared:
    """Padded once; what is not flipped is copied, and all are normalised together."""
    n, s, p = job.count, job.size, job.padding
    padded = np.pad(job.images, ((0, 0), (p, p), (p, p), (0, 0)))
    cropped = np.empty_like(job.images)
    out = np.empty((n, 3, s, s), "f4")
    scale = (1 / (255 * np.array(STD))).astype("f4")[:, None, None]
    shift = (-np.array(MEAN) / STD).astype("f4")[:, None, None]

    def apply(drawn: Drawn) -> Array:
        top, left, flip = (drawn[name].tolist() for name in ("top", "left", "flip"))
        for i in range(n):
            window = padded[i, top[i] : top[i] + s, left[i] : left[i] + s]
            if flip[i]:
                cv2.flip(window, 1, dst=cropped[i])
            else:
                cropped[i] = window
        if not job.normalized:
            return cropped
        np.multiply(cropped.transpose(0, 3, 1, 2), scale, out=out)
        return np.add(out, shift, out=out)

    return drawn_anew(job, apply)


def resized_crop(job: ResizedCrop) -> Prepared:
    out = np.empty(job.result[0], "u1")
    method = cv2.INTER_AREA if job.antialias else cv2.INTER_LINEAR
    size = job.size, job.size

    def apply(drawn: Drawn) -> Array:
        boxes, flips = drawn["box"].tolist(), drawn["flip"].tolist()

        def work(part: range) -> None:
            scratch = np.empty((*size, 3), "u1")
            for i in part:
                top, left, height, width = boxes[i]
                window = job.images[i, top : top + height, left : left + width]
                if flips[i]:
                    cv2.flip(cv2.resize(window, size, dst=scratch, interpolation=method), 1, out[i])
                else:
                    cv2.resize(window, size, dst=out[i], interpolation=method)
                if job.jitter is not None:
                    jitter(
                        out[i], drawn["factors"][i].tolist(), drawn["order"][i].tolist(), scratch
                    )

        TEAM.each(work, job.count)
        return out

    return drawn_anew(job, apply)


def jitter(image: Array, factors: list[float], order: list[int], scratch: Array) -> None:
    """In place: brightness and contrast by tables, saturation as a blend, hue as a shift of H."""
    for which in order:
        factor = factors[which]
        if which == 0:
            cv2.LUT(image, (LEVELS * factor).clip(0, 255).astype("u1"), dst=image)
        elif which == 1:
            mean = cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0]
            table = (LEVELS * factor + (1 - factor) * mean).clip(0, 255).astype("u1")
            cv2.LUT(image, table, dst=image)
        elif which == 2:
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB, dst=scratch)
            cv2.addWeighted(image, factor, scratch, 1 - factor, 0, dst=image)
        else:
            cv2.cvtColor(image, cv2.COLOR_RGB2HSV, dst=scratch)
            tables = np.repeat(LEVELS.astype("u1")[:, None], 3, axis=1)
            tables[:, 0] = (LEVELS + 180 * factor) % 180
            cv2.LUT(scratch, tables[None], dst=scratch)
            cv2.cvtColor(scratch, cv2.COLOR_HSV2RGB, dst=image)


def warp(job: Warp) -> Prepared:
    out = np.empty_like(job.images)
    size = job.size, job.size
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def apply(drawn: Drawn) -> Array:
        maps = drawn["map"]

        def work(part: range) -> None:
            for i in part:
                cv2.warpAffine(job.images[i], maps[i], size, dst=out[i], flags=flags)

        TEAM.each(work, job.count)
        return out

    return drawn_anew(job, apply)


def mix(job: Mix) -> Prepared | None:
    """Rows and the rows before them, as two views of the batch: one pass."""
    if job.kind != "mixup":
        return None
    x = job.images.reshape(job.count, -1)
    hot = np.eye(job.classes, dtype="f4")[job.y]
    out, labels = np.empty_like(x), np.empty_like(hot)

    def apply(drawn: Drawn) -> tuple[Array, Array]:
        share = float(drawn["lambda"])

        def work(part: range) -> None:
            now, before = slice(part.start + 1, part.stop + 1), slice(part.start, part.stop)
            cv2.addWeighted(x[now], share, x[before], 1 - share, 0, dst=out[now])

        TEAM.each(work, job.count - 1)
        cv2.addWeighted(x[:1], share, x[-1:], 1 - share, 0, dst=out[:1])
        cv2.addWeighted(hot, share, np.roll(hot, 1, axis=0), 1 - share, 0, dst=labels)
        return out.reshape(job.images.shape), labels

    return drawn_anew(job, apply)


JOBS = {Crop: crop, ResizedCrop: resized_crop, Warp: warp, Mix: mix}
