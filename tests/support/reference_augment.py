"""What `Compose` means, once more: its draws carried out plainly, in NumPy and float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from reference_images import coloured, folded, taps, triangle

from fanin import _core, augment

Array = np.ndarray
Draw = dict[str, Any]  # one sample's of one transform


def augmented(
    aug: augment.Compose,
    images: Any,
    indices: Any = None,
    epoch: int = 0,
    dtype: Any = None,
    mask: bool = False,
) -> Array:
    """The values of the result before they are rounded, (N, h, w, C) or with variants."""
    indices = np.arange(len(images)) if indices is None else np.asarray(indices)
    drawn = aug.parameters(images, indices, epoch)
    results = []
    for i, image in enumerate(images):
        draws = [{name: pick(v, i) for name, v in d.items()} for d in drawn]
        sample = Sample(aug, int(indices[i]), epoch, image, mask)
        results.append(sample.run(draws, dtype))
    return np.stack(results)


def pick(values: Any, i: int) -> Any:
    return values[i] if isinstance(values, np.ndarray) else values


@dataclass
class Step:
    """A geometric operation of one sample: from output coordinates to those of its input."""

    size: tuple[int, int]  # of the input: height, width
    out: tuple[int, int]
    back: Callable[[Array, Array], tuple[Array, Array]]
    border: str | None = None  # where its input ends
    fill: Array | None = None
    resize: bool = False
    antialias: bool = False
    warp: bool = False
    apply: Callable[[Array], Array] | None = None  # exactly, where that can be said

    def shrinks(self) -> bool:
        return self.antialias and (self.out[0] < self.size[0] or self.out[1] < self.size[1])


class Sample:
    """One image on its way through a pipeline."""

    def __init__(
        self, aug: augment.Compose, index: int, epoch: int, image: Array, mask: bool
    ) -> None:
        self.aug, self.index, self.epoch, self.mask = aug, index, epoch, mask
        self.dtype = image.dtype
        self.top = 255.0 if image.dtype == np.uint8 else 1.0
        image = image[..., None] if image.ndim == 2 else image
        self.values = image.astype(np.float64)
        self.size = image.shape[:2]
        self.pending: list[Step] = []

    def run(self, draws: list[Draw], dtype: Any) -> Array:
        normalized = False
        places = [i for i, op in enumerate(self.aug._program) if op[0] not in ("gate", "choose")]
        for place, leaf, draw in zip(places, self.aug.leaves, draws, strict=False):
            if not draw["applied"]:
                continue
            if isinstance(leaf, (augment.FiveCrop, augment.TenCrop)):
                return self.corners(leaf, draws[draws.index(draw) + 1 :])
            step = self.geometry(leaf, draw)
            if step is not None:
                self.pending.append(step)
                self.size = step.out
                continue
            if self.mask:
                continue
            self.settle()
            if isinstance(leaf, augment.Normalize):
                self.values = (self.values / self.top - np.array(leaf.mean)) / np.array(leaf.std)
                normalized = True
            else:
                self.values = self.pixels(leaf, draw, place)
        self.settle()
        if self.dtype == np.uint8 and dtype == np.float32 and not normalized:
            self.values = self.values / 255
        return self.values

    def corners(self, leaf: Any, rest: list[Draw]) -> Array:
        assert not rest
        self.settle()
        h, w = leaf.size
        images = [self.values]
        if isinstance(leaf, augment.TenCrop):
            images.append(self.values[::-1] if leaf.vertical_flip else self.values[:, ::-1])
        crops = []
        for image in images:
            H, W = image.shape[:2]
            middle = round((H - h) / 2), round((W - w) / 2)
            for top, left in ((0, 0), (0, W - w), (H - h, 0), (H - h, W - w), middle):
                crops.append(image[top : top + h, left : left + w])
        return np.stack(crops)

    # Geometry

    def geometry(self, leaf: Any, draw: Draw) -> Step | None:
        name = type(leaf).__name__
        size = self.size
        fill = np.zeros(4) if self.mask else np.resize(getattr(leaf, "fill", 0.0), 4)
        if name in ("HorizontalFlip", "VerticalFlip"):
            return flip(size, horizontal=name == "HorizontalFlip")
        if name in ("RandomCrop", "CenterCrop"):
            mode = getattr(leaf, "padding_mode", "constant")
            left, top = (
                ((leaf.padding,) * 2 if np.ndim(leaf.padding) == 0 else leaf.padding[:2])
                if name == "RandomCrop"
                else (0, 0)
            )
            return crop(
                size, leaf.size, int(draw["top"]) - top, int(draw["left"]) - left, mode, fill
            )
        if name == "Resize":
            return resize(size, (int(draw["height"]), int(draw["width"])), leaf.antialias)
        if name == "RandomResizedCrop":
            window = int(draw["height"]), int(draw["width"])
            self.pending.append(crop(size, window, int(draw["top"]), int(draw["left"])))
            return resize(window, leaf.size, leaf.antialias)
        if name == "RandomAffine":
            return affine(size, draw, fill)
        if name == "RandomRotation":
            names = ("translate_x", "translate_y", "shear_x", "shear_y")
            still = {**dict.fromkeys(names, 0), "scale": 1, "stretch": 1}
            return affine(size, {**still, "degrees": -draw["degrees"]}, fill)
        if name == "LensDistortion":
            return lens(size, float(draw["k1"]), float(draw["k2"]), fill)
        return None

    def settle(self) -> None:
        """Carries out the geometry so far."""
        steps, self.pending = self.pending, []
        while steps:
            used = joined(steps)
            run, steps = steps[:used], steps[used:]
            if not any(s.warp for s in run) and not self.mask:
                for step in run:
                    assert step.apply is not None
                    self.values = step.apply(self.values)
            else:
                self.values = sampled(self.values, run, self.mask)

    # Pixels

    def pixels(self, leaf: Any, draw: Draw, place: int) -> Array:
        x, name = self.values, type(leaf).__name__
        if name == "ColorJitter":
            for what in draw["order"]:
                key = ("brightness", "contrast", "saturation", "hue")[what]
                if getattr(leaf, key) != 0.0:
                    x = coloured(x, key, float(draw[key]), self.top)
            return x
        if name == "RandomGrayscale":
            return coloured(x, "grayscale", 0.0, self.top)
        if name == "GaussianNoise":
            noise = self.normal(place, x.shape)
            x = x + (leaf.mean + leaf.sigma * noise) * self.top
            return np.clip(x, 0, self.top) if leaf.clip else x
        assert name in ("RandomErasing", "Cutout"), name
        top, left, h, w = (int(draw[k]) for k in ("top", "left", "height", "width"))
        x = x.copy()
        if leaf.value == "random":
            values = self.normal(place, (h, w, x.shape[2]))
        else:
            values = np.resize(leaf.value, 4)[: x.shape[2]]
        x[top : top + h, left : left + w] = values
        return x

    def normal(self, place: int, shape: tuple[int, ...]) -> Array:
        """Deviates of the sample's groups from 1 on, whole groups for each row of a channel."""
        height, width, channels = shape
        row = -(-width // 64)
        draws = np.empty(channels * height * row * 64, np.float32)
        stream = _core.stream_of("augment", place, self.epoch)
        first = (self.index << 20) + 1
        _core.random_fill(draws, "normal", self.aug.seed, stream, first, 0.0, 1.0)
        rows = draws.reshape(channels, height, row * 64)[:, :, :width]
        return rows.transpose(1, 2, 0).astype(np.float64)


def joined(steps: list[Step]) -> int:
    """How many steps are one resampling: see next_resampling of engine/geometry.hpp."""
    kind, border, shrunk = "copy", False, False
    for i, s in enumerate(steps):
        if s.border is not None and not s.warp and not s.resize:
            border = True
        if s.resize and s.size != s.out:
            if s.shrinks() if kind == "warp" else border:
                return i
            kind = "resize" if kind == "copy" else kind
            shrunk |= s.shrinks()
        if s.warp:
            if shrunk:
                return i
            kind = "warp"
    return len(steps)


def flip(size: tuple[int, int], horizontal: bool) -> Step:
    h, w = size
    if horizontal:
        return Step(size, size, lambda x, y: (w - 1 - x, y), apply=lambda v: v[:, ::-1])
    return Step(size, size, lambda x, y: (x, h - 1 - y), apply=lambda v: v[::-1])


def crop(
    size: tuple[int, int],
    out: tuple[int, int],
    top: int,
    left: int,
    mode: str = "constant",
    fill: Any = None,
) -> Step:
    bottom, right = top + out[0], left + out[1]
    over = (max(0, -top), max(0, bottom - size[0])), (max(0, -left), max(0, right - size[1]))
    inside = over == ((0, 0), (0, 0))

    def apply(v: Array) -> Array:
        padded = np.stack(
            [
                np.pad(
                    v[..., c],
                    over,
                    mode,
                    **({"constant_values": fill[c]} if mode == "constant" and not inside else {}),
                )
                for c in range(v.shape[2])
            ],
            axis=-1,
        )
        t, left_ = top + over[0][0], left + over[1][0]
        return padded[t : t + out[0], left_ : left_ + out[1]]

    border = None if inside else mode
    return Step(size, out, lambda x, y: (x + left, y + top), border, fill, apply=apply)


def resize(size: tuple[int, int], out: tuple[int, int], antialias: bool) -> Step:
    def back(x: Array, y: Array) -> tuple[Array, Array]:
        x = (x + 0.5) * size[1] / out[1] - 0.5
        return x, (y + 0.5) * size[0] / out[0] - 0.5

    def apply(v: Array) -> Array:
        rows = triangle(size[0], out[0], antialias)
        columns = triangle(size[1], out[1], antialias)
        return np.einsum("ij,jkc->ikc", rows, np.einsum("lk,jkc->jlc", columns, v))

    return Step(size, out, back, "edge", resize=True, antialias=antialias, apply=apply)


def rotation(radians: float) -> Array:
    c, s = math.cos(radians), math.sin(radians)
    return np.array([[c, -s], [s, c]])


def affine(size: tuple[int, int], draw: Draw, fill: Array) -> Step:
    """Forth: T(translate) R(angle) S(scale) Sh_y Sh_x about the middle; y points down."""
    scale, stretch = float(draw["scale"]), float(draw["stretch"])
    tan_x, tan_y = (math.tan(math.radians(float(draw[k]))) for k in ("shear_x", "shear_y"))
    forth = (
        rotation(math.radians(float(draw["degrees"])))
        @ np.diag([scale * stretch, scale])
        @ np.array([[1, 0], [-tan_y, 1]])
        @ np.array([[1, -tan_x], [0, 1]])
    )
    inverse = np.linalg.inv(forth)
    cx, cy = (size[1] - 1) / 2, (size[0] - 1) / 2
    tx, ty = float(draw["translate_x"]), float(draw["translate_y"])

    def back(x: Array, y: Array) -> tuple[Array, Array]:
        x, y = x - cx - tx, y - cy - ty
        return (
            inverse[0, 0] * x + inverse[0, 1] * y + cx,
            inverse[1, 0] * x + inverse[1, 1] * y + cy,
        )

    return Step(size, size, back, "constant", fill, warp=True)


def lens(size: tuple[int, int], k1: float, k2: float, fill: Array) -> Step:
    cx, cy = (size[1] - 1) / 2, (size[0] - 1) / 2
    radius = math.hypot(*size) / 2

    def back(x: Array, y: Array) -> tuple[Array, Array]:
        dx, dy = x - cx, y - cy
        r2 = (dx * dx + dy * dy) / radius**2
        factor = 1 + k1 * r2 + k2 * r2 * r2
        return cx + dx * factor, cy + dy * factor

    return Step(size, size, back, "constant", fill, warp=True)


def sampled(values: Array, run: list[Step], nearest: bool) -> Array:
    """The result of steps as one resampling: every output pixel goes back through all of them.

    Only where the first step with a border ends do values of pixels and its fill mix.
    """
    first = next((i for i, s in enumerate(run) if s.border is not None), len(run))
    for step in run[:first]:
        assert step.apply is not None
        values = step.apply(values)
    if first == len(run):
        return values
    h, w = run[-1].out
    y, x = (c.astype(np.float64) for c in np.indices((h, w)))
    result = np.zeros((h, w, values.shape[2]))
    unknown = np.ones((h, w), bool)
    for step in reversed(run[first:]):
        x, y = step.back(x, y)
        if step.resize and step is not run[first]:
            continue  # it sees what lies beside its crop
        if step.border in (None, "constant"):
            if step.border is not None and step is not run[first]:
                assert step.fill is not None
                beyond = (x < -0.5) | (x >= step.size[1] - 0.5)
                beyond |= (y < -0.5) | (y >= step.size[0] - 0.5)
                result[unknown & beyond] = step.fill[: values.shape[2]]
                unknown &= ~beyond
        else:
            x, y = folded(x, step.size[1], step.border), folded(y, step.size[0], step.border)
    fill = run[first].fill if run[first].border == "constant" else None
    found = taps(values, x, y, nearest, fill)
    result[unknown] = found[unknown]
    return result
