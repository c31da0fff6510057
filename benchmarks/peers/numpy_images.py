"""NumPy's augmentation: crops as windows of the padded batch, mixing as operations on two views."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.jobs import Array, Crop, Mix, Prepared
from benchmarks.jobs.augment import MEAN, STD, Drawn
from benchmarks.peers.shared import drawn_anew

BLOCK = 32  # images whose products stay in cache


def crop(job: Crop) -> Prepared:
    s, p = job.size, job.padding
    padded = np.pad(job.images, ((0, 0), (p, p), (p, p), (0, 0)))
    windows = sliding_window_view(padded, (s, s), axis=(1, 2))
    if not job.normalized:
        windows = windows.transpose(0, 1, 2, 4, 5, 3)
    out = np.empty(*job.result)
    scale = (1 / (255 * np.array(STD))).astype("f4")[:, None, None]
    shift = (-np.array(MEAN) / STD).astype("f4")[:, None, None]
    each = np.arange(job.count)

    def apply(drawn: Drawn) -> Array:
        crops = windows[each, drawn["top"], drawn["left"]]
        flip = drawn["flip"]
        if not job.normalized:
            crops[flip] = crops[flip, :, ::-1]
            return crops
        crops[flip] = crops[flip][..., ::-1]
        np.multiply(crops, scale, out=out)
        return np.add(out, shift, out=out)

    return drawn_anew(job, apply)


def mix(job: Mix) -> Prepared:
    x, hot = job.images, np.eye(job.classes, dtype="f4")[job.y]
    out, scratch = np.empty_like(x), np.empty_like(x[:BLOCK])
    before = np.roll(hot, 1, axis=0)

    def blend(share: np.float32) -> None:
        for begin in range(0, job.count, BLOCK):
            end = min(begin + BLOCK, job.count)
            target, other = out[begin:end], scratch[: end - begin]
            np.multiply(x[begin:end], share, out=target)
            skip = 1 if begin == 0 else 0
            np.multiply(x[begin - 1 + skip : end - 1], 1 - share, out=other[skip:])
            if skip:
                np.multiply(x[-1], 1 - share, out=other[0])
            target += other

    def paste(top: int, left: int, bottom: int, right: int) -> None:
        np.copyto(out, x)
        box = np.s_[:, top:bottom, left:right]
        out[1:][box] = x[:-1][box]
        out[:1][box] = x[-1:][box]

    def apply(drawn: Drawn) -> tuple[Array, Array]:
        share = np.float32(drawn["lambda"])
        if job.kind == "mixup":
            blend(share)
        else:
            paste(*drawn["box"].tolist())
        return out, share * hot + (1 - share) * before

    return drawn_anew(job, apply)


JOBS = {Crop: crop, Mix: mix}
