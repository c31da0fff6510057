"""Numba: loops over images in parallel, compiled for this machine, one pass each."""

from __future__ import annotations

import os

os.environ.setdefault("NUMBA_THREADING_LAYER", "omp")

import numba
import numpy as np
from numba import njit, prange

from benchmarks.jobs import Array, Crop, Mix, Prepared, ResizedCrop, Warp
from benchmarks.jobs.augment import MEAN, STD, Drawn
from benchmarks.peers.shared import drawn_anew


def configure(threads: int) -> None:
    numba.set_num_threads(threads)


def version() -> str:
    return f"Numba {numba.__version__}"


@njit(parallel=True, fastmath=True)
def _planes(padded, top, left, flip, scale, shift, out):
    count, size = out.shape[0], out.shape[2]
    for i in prange(count):
        for y in range(size):
            row = padded[i, top[i] + y]
            for c in range(3):
                factor, offset = scale[c], shift[c]
                if flip[i]:
                    last = left[i] + size - 1
                    for x in range(size):
                        out[i, c, y, x] = row[last - x, c] * factor + offset
                else:
                    for x in range(size):
                        out[i, c, y, x] = row[left[i] + x, c] * factor + offset


@njit(parallel=True)
def _bytes(padded, top, left, flip, out):
    count, size = out.shape[:2]
    for i in prange(count):
        for y in range(size):
            row, target = padded[i, top[i] + y], out[i, y]
            if flip[i]:
                last = left[i] + size - 1
                for x in range(size):
                    for c in range(3):
                        target[x, c] = row[last - x, c]
            else:
                target[:] = row[left[i] : left[i] + size]


def crop(job: Crop) -> Prepared:
    """Of images padded beforehand."""
    p, out = job.padding, np.empty(*job.result)
    padded = np.pad(job.images, ((0, 0), (p, p), (p, p), (0, 0)))
    scale = (1 / (255 * np.array(STD))).astype("f4")
    shift = (-np.array(MEAN) / STD).astype("f4")

    def apply(drawn: Drawn) -> Array:
        where = drawn["top"], drawn["left"], drawn["flip"]
        if job.normalized:
            _planes(padded, *where, scale, shift, out)
        else:
            _bytes(padded, *where, out)
        return out

    return drawn_anew(job, apply)


@njit(parallel=True, fastmath=True)
def _resize(images, box, flip, out):
    count, size = out.shape[:2]
    for i in prange(count):
        top, left, height, width = box[i]
        first = np.empty(size, np.int64)
        second = np.empty(size, np.int64)
        share = np.empty(size, np.float32)
        for x in range(size):
            u = min(max((x + 0.5) * width / size - 0.5, 0.0), width - 1.0)
            at = size - 1 - x if flip[i] else x
            first[at] = left + int(u)
            second[at] = left + min(int(u) + 1, width - 1)
            share[at] = u - int(u)
        for y in range(size):
            v = min(max((y + 0.5) * height / size - 0.5, 0.0), height - 1.0)
            b = np.float32(v - int(v))
            upper = images[i, top + int(v)]
            lower = images[i, top + min(int(v) + 1, height - 1)]
            for x in range(size):
                p, q, a = first[x], second[x], share[x]
                for c in range(3):
                    above = upper[p, c] + a * (np.float32(upper[q, c]) - upper[p, c])
                    below = lower[p, c] + a * (np.float32(lower[q, c]) - lower[p, c])
                    out[i, y, x, c] = np.uint8(above + b * (below - above) + np.float32(0.5))


def resized_crop(job: ResizedCrop) -> Prepared | None:
    if job.antialias or job.jitter is not None:
        return None
    out = np.empty(*job.result)

    def apply(drawn: Drawn) -> Array:
        _resize(job.images, drawn["box"], drawn["flip"], out)
        return out

    return drawn_anew(job, apply)


@njit(parallel=True, fastmath=True)
def _warp(images, maps, out):
    count, height, width = images.shape[:3]
    for i in prange(count):
        m = maps[i]
        for y in range(height):
            for x in range(width):
                u = m[0, 0] * x + m[0, 1] * y + m[0, 2]
                v = m[1, 0] * x + m[1, 1] * y + m[1, 2]
                left, top = int(np.floor(u)), int(np.floor(v))
                a, b = np.float32(u - left), np.float32(v - top)
                if 0 <= left < width - 1 and 0 <= top < height - 1:
                    for c in range(3):
                        p, q = np.float32(images[i, top, left, c]), images[i, top, left + 1, c]
                        r = np.float32(images[i, top + 1, left, c])
                        above, below = (
                            p + a * (q - p),
                            r + a * (images[i, top + 1, left + 1, c] - r),
                        )
                        out[i, y, x, c] = np.uint8(above + b * (below - above) + np.float32(0.5))
                else:
                    for c in range(3):
                        value = np.float32(0.5)
                        for dy in range(2):
                            for dx in range(2):
                                if 0 <= top + dy < height and 0 <= left + dx < width:
                                    part = (a if dx else 1 - a) * (b if dy else 1 - b)
                                    value += part * images[i, top + dy, left + dx, c]
                        out[i, y, x, c] = np.uint8(value)


def warp(job: Warp) -> Prepared:
    out = np.empty(*job.result)

    def apply(drawn: Drawn) -> Array:
        _warp(job.images, drawn["map"].astype("f4"), out)
        return out

    return drawn_anew(job, apply)


@njit(parallel=True, fastmath=True)
def _blend(images, share, out):
    other = np.float32(1 - share)
    share = np.float32(share)
    for i in prange(len(images)):
        now, before = images[i], images[i - 1]
        for j in range(images.shape[1]):
            out[i, j] = share * now[j] + other * before[j]


@njit(parallel=True)
def _paste(images, box, out):
    top, left, bottom, right = box
    for i in prange(len(images)):
        out[i] = images[i]
        for y in range(top, bottom):
            out[i, y, left:right] = images[i - 1, y, left:right]


def mix(job: Mix) -> Prepared:
    images, hot = job.images, np.eye(job.classes, dtype="f4")[job.y]
    out, labels = np.empty_like(images), np.empty_like(hot)
    flat, flat_out = images.reshape(job.count, -1), out.reshape(job.count, -1)

    def apply(drawn: Drawn) -> tuple[Array, Array]:
        if job.kind == "mixup":
            _blend(flat, drawn["lambda"], flat_out)
        else:
            _paste(images, drawn["box"], out)
        _blend(hot, drawn["lambda"], labels)
        return out, labels

    return drawn_anew(job, apply)


JOBS = {Crop: crop, ResizedCrop: resized_crop, Warp: warp, Mix: mix}
