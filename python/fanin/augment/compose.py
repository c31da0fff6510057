"""The pipeline: a list of transforms and a seed, called on batches."""

from __future__ import annotations

import os
import secrets
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fanin import _core
from fanin._files import read_file, reading
from fanin._json import from_any_json, to_json
from fanin._typing import Array, PathLike
from fanin._validate import (
    describe,
    known_dtype,
    one_of,
    plain_array,
    read_only,
    sequence,
    threads,
    whole,
)
from fanin.augment import mixing
from fanin.augment.batch import Images, image_batch, mask_batch, sample_numbers
from fanin.augment.catalogue import check_order, transform_from_dict
from fanin.augment.transform import PER_CHANNEL, Operation, Transform, four, number_pair

__all__ = ["Compose"]

VERSION = 1
UNIT = (0.0, 1.0)


class Compose:
    """Transforms in order, on a whole batch in one parallel pass.

    Every sample has parameters of its own, a pure function of (seed, epoch, number of the sample,
    place of the transform): they depend neither on the batch it comes in nor on threads or worker
    processes. All geometry becomes one resampling, whatever the number of transforms.

    Parameters
    ----------
    transforms : sequence of transforms
        A `Mixup` or `CutMix` may be the last one; `Normalize` says what may follow it.
    seed : int, default 0
        From 0 to 2**64 - 1.
    value_range : (low, high), default (0, 1)
        Black and white of float32 images; values outside are refused. Fills are in these units, and
        `Normalize` takes its mean and std on the scale where they are 0 and 1. uint8 images have 0
        and 255.

    Attributes
    ----------
    transforms, seed, value_range
        As given; the transforms are a tuple.
    mix : Mixup, CutMix or None
        The last transform, where it is one of these.
    variants : int
        5 or 10 with a `FiveCrop` or `TenCrop`, else 1.

    Examples
    --------
    >>> from fanin.augment import Compose, HorizontalFlip, RandomCrop
    >>> aug = Compose([RandomCrop(32, padding=4), HorizontalFlip()], seed=0)
    >>> images = np.zeros((512, 32, 32, 3), np.uint8)
    >>> aug(images).shape
    (512, 32, 32, 3)
    >>> aug
    Compose([RandomCrop(size=(32, 32), padding=4), HorizontalFlip()], seed=0)

    A minibatch of a data set: the numbers of its rows, and which epoch it is.

    >>> rows = np.array([5, 300, 8])
    >>> x = aug(images[rows], indices=rows, epoch=7)
    >>> bool((x[1:] == aug(images[rows[1:]], indices=rows[1:], epoch=7)).all())
    True
    """

    def __init__(
        self,
        transforms: Sequence[Transform],
        seed: int = 0,
        value_range: tuple[float, float] = UNIT,
    ) -> None:
        given = sequence("transforms", transforms, "a list of transforms")
        for transform in given:
            if not isinstance(transform, Transform):
                raise TypeError(
                    "transforms: expected transforms of fanin.augment, got "
                    f"{transform if isinstance(transform, type) else describe(transform)}"
                )
        self.transforms: tuple[Transform, ...] = tuple(given)
        self.seed: int = whole("seed", seed, 0, 2**64 - 1)
        self.value_range: tuple[float, float] = number_pair("value_range", value_range)
        if self.value_range[0] == self.value_range[1]:
            raise ValueError(f"value_range: expected low < high, got {value_range!r}")
        self._calls = _Calls()
        self.mix: mixing.Mix | None = (
            given[-1] if given and isinstance(given[-1], mixing.Mix) else None
        )
        self._steps = self.transforms[:-1] if self.mix else self.transforms
        check_order(self._steps, self.mix)
        # Transforms as they run, those within a group one by one; and compiled.
        self.leaves: list[Transform] = [leaf for step in self._steps for leaf in step._leaves()]
        self._program: list[Operation] = [op for step in self._steps for op in step._program()]
        self.engine: _core.Augmentation = _core.Augmentation(
            self._program, self.seed, self.value_range
        )
        self.variants: int = self.engine.variants
        if self.mix and self.variants > 1:
            raise ValueError(
                f"transforms: expected no {type(self.mix).__name__} beside crops that make "
                f"{self.variants} images of one"
            )

    def __setattr__(self, name: str, value: object) -> None:
        fixed = ("transforms", "seed", "value_range", "mix", "leaves", "engine", "variants")
        read_only(self, name, fixed, "make another Compose")
        object.__setattr__(self, name, value)

    def __call__(
        self,
        images: Array | Sequence[Array],
        y: Array | None = None,
        indices: npt.ArrayLike | None = None,
        epoch: int | None = None,
        out: Array | None = None,
        layout: str = "NHWC",
        dtype: npt.DTypeLike | None = None,
        masks: Array | Sequence[Array] | None = None,
        n_threads: int | None = None,
    ) -> Any:
        """The batch, augmented.

        Parameters
        ----------
        images : (N, H, W, C) or (N, H, W) uint8 or float32, or a list of (H, W[, C])
            C is 1, 3 or 4; C-contiguous; floats within `value_range`. Images of a list may differ
            in size where a crop or a resize to (height, width) gives them one.
        y : (N, ...), optional
            Labels; returned as they are, or mixed as (N, C) float32 by `Mixup` and `CutMix`.
        indices : (N,) integers, optional
            The samples' numbers within the data set, below 2**40; 0 ... N - 1 where not given.
        epoch : int, optional
            From 0; parameters are drawn anew in each, and the result is a pure function. Without
            it each call draws anew: the calls are epochs 0, 1, 2, ...; a worker process begins at
            a random one, so that no two draw the same.
        out : array, optional
            For the result: of its shape and dtype, C-contiguous, apart from the images. `Mixup`
            and `CutMix` may have written to it before floats outside of `value_range` are refused.
        layout : {"NHWC", "NCHW"}
            Of the result; images (N, H, W) have no C in either.
        dtype : {"uint8", "float32"}, optional
            Of the result: the images' own, or float32 after `Normalize`. uint8 images as float32
            are divided by 255; float32 images never become uint8.
        masks : (N, H, W[, C]) uint8 or float32, or a list, optional
            Moved as the images are, by nearest pixels and with 0 beyond the border; colours and
            erasing leave them alone.
        n_threads : int, optional
            The result does not depend on it; in a worker process 1 where not given.

        Returns
        -------
        images, or a tuple of images, y and masks, those that were given
            (N, height, width[, C]), (N, C, height, width), or with 5 or 10 variants after N.
        """
        batch = image_batch("images", images)
        samples = sample_numbers(indices, batch.n)
        at = self._epoch(epoch)
        planar = one_of("layout", layout, ["NHWC", "NCHW"]) == "NCHW"
        n = _threads(n_threads)
        self.check_channels(batch.channels)
        batch.check_labels(y)
        if self.mix and masks is not None:
            raise ValueError(f"masks: expected none with {self.mix!r}, which mixes labels")
        labels = None if self.mix is None or y is None else self.mix.checked_labels(y, batch.n)
        result_dtype = self._dtype(dtype, batch.dtype)
        ahead = bool(not self.mix or self._steps or planar or batch.ragged)
        ahead = ahead or result_dtype != batch.dtype  # something runs before the mixing
        self.check_values("images", batch, scanned=not ahead)
        mask = None if masks is None else mask_batch(masks, batch)
        result, full = self._target(batch, planar, result_dtype, out)
        run = partial(self.engine.run, indices=samples, epoch=at, planar=planar, n_threads=n)
        ready = batch.pixels
        if not self.mix:
            run(ready, out=full, mask=False)
        else:
            if ahead or isinstance(ready, list):
                ready = np.empty_like(full)
                run(batch.pixels, out=ready, mask=False)
            options = self.mix.core_options(self.seed)
            lambdas, _, found = _core.mix_images(*options, ready, planar, samples, at, full, n)
            if found and not ahead:
                self._check_range("images", *found)
            y = y if labels is None else self.mix.mix_labels(labels, lambdas)
        results = [result] if y is None else [result, y]
        if mask is not None:
            moved, full = self._target(mask, planar, mask.dtype, None)
            run(mask.pixels, out=full, mask=True)
            results.append(moved)
        return results[0] if len(results) == 1 else tuple(results)

    def parameters(
        self, images: Array | Sequence[Any], indices: npt.ArrayLike | None = None, epoch: int = 0
    ) -> list[dict[str, Any]]:
        """The parameters drawn for a batch, one dict for each transform.

        Parameters
        ----------
        images : as for a call, or the shape (N, H, W) or (N, H, W, C)
        indices, epoch
            As for a call.

        Returns
        -------
        list of dict
            In the order of the transforms, those within `RandomApply` and `OneOf` in their place:
            "transform", its name; "applied" (N,) bool; and arrays (N,) of what it has drawn, which
            counts where applied: "top", "left", "height" and "width" in pixels (of a padded image
            from its own corner, as in torchvision), "degrees", "brightness", "lambda", ...

        Examples
        --------
        >>> from fanin.augment import Compose, HorizontalFlip, RandomCrop
        >>> aug = Compose([RandomCrop(24), HorizontalFlip(p=0)], seed=0)
        >>> crop, flip = aug.parameters((3, 32, 32))
        >>> crop["transform"], crop["top"].shape, int(crop["top"].max()) <= 8
        ('RandomCrop', (3,), True)
        >>> flip["applied"]
        array([False, False, False])
        """
        sizes = _sizes(images)
        samples = sample_numbers(indices, sizes.shape[1])
        at = whole("epoch", epoch, 0, 2**40 - 1)
        of_operations = self.engine.draw(samples, at, *sizes)
        groups = [kind in ("gate", "choose") for kind, _, _ in self._program]
        of_leaves = [v for v, group in zip(of_operations, groups, strict=True) if not group]
        drawn = [
            {"transform": type(leaf).__name__, **leaf._drawn(values)}
            for leaf, values in zip(self.leaves, of_leaves, strict=True)
        ]
        if self.mix:
            mixed = self.mix.draw(self.seed, samples, at, *self._one_size(sizes))
            drawn.append({"transform": type(self.mix).__name__, **mixed})
        return drawn

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the result for an image of that size.

        >>> fanin.augment.Compose([fanin.augment.Resize(16)]).output_size(48, 64)
        (16, 21)
        """
        return self.engine.output(whole("height", height, 1), whole("width", width, 1))

    def to_dict(self) -> dict[str, Any]:
        """The pipeline as a JSON-serialisable dict, which `from_dict` reads.

        >>> fanin.augment.Compose([fanin.augment.VerticalFlip(p=0.1)]).to_dict()["transforms"]
        [{'name': 'VerticalFlip', 'p': 0.1, 'alternating': False}]
        """
        own = {} if self.value_range == UNIT else {"value_range": list(self.value_range)}
        return {
            "format": "fanin.augment",
            "version": VERSION,
            "seed": self.seed,
            "transforms": [t.to_dict() for t in self.transforms],
            **own,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        given: Any = values
        if not isinstance(given, Mapping) or given.get("format") != "fanin.augment":
            raise ValueError("values: expected what Compose.to_dict() gives, got something else")
        if values.get("version") != VERSION:
            raise ValueError(
                f"version: expected {VERSION}, got {values.get('version')!r}; "
                "another version of fanin wrote this pipeline"
            )
        if set(values) - {"value_range"} != {"format", "version", "seed", "transforms"}:
            raise ValueError(
                "values: expected format, version, seed and transforms, "
                f"got {', '.join(map(str, values))}"
            )
        steps = sequence("transforms", values["transforms"], "a list of dicts")
        transforms = [transform_from_dict(step) for step in steps]
        return cls(transforms, values["seed"], values.get("value_range", UNIT))

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON, with a checksum.

        >>> from fanin.augment import Compose, Cutout
        >>> aug = Compose([Cutout(8, border="inside")], seed=3)
        >>> Compose.from_json(aug.to_json()) == aug
        True
        """
        return to_json(self.to_dict(), indent).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`; `fanin.FileError` for text that was changed."""
        if not isinstance(text, str):
            raise ValueError(f"text: expected JSON of Compose.to_json(), got {describe(text)}")
        return cls._read(text.encode(errors="surrogatepass"), "text")

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Reads a file with the text of `to_json`; `fanin.FileError` for any other."""
        return cls._read(read_file(path), path)

    @classmethod
    def _read(cls, text: bytes, path: PathLike) -> Self:
        names = ("format", "version", "seed", "transforms", "value_range")
        with reading(path, "expected JSON of Compose.to_json()"):
            return cls.from_dict(from_any_json(text.rstrip(), path, names))

    def __repr__(self) -> str:
        own = "" if self.value_range == UNIT else f", value_range={self.value_range}"
        return f"Compose({list(self.transforms)!r}, seed={self.seed}{own})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Compose):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return self.transforms, self.seed, self.value_range

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[Any, ...], tuple[int, int]]:
        given = list(self.transforms), self.seed, self.value_range
        return type(self), given, self._calls.state

    def __setstate__(self, state: tuple[int, int]) -> None:
        self._calls.state = state

    def _epoch(self, epoch: int | None) -> int:
        """The epoch, or that of a new call."""
        return self._calls.new() if epoch is None else whole("epoch", epoch, 0, 2**40 - 1)

    def check_values(self, name: str, images: Images, scanned: bool = False) -> None:
        """Refuses floats that are NaN or outside of `value_range`, and fills outside of theirs.

        scanned: the floats are left to whoever reads them.
        """
        whole = images.dtype == np.uint8
        low, high = (0.0, 255.0) if whole else self.value_range
        self._check_fills(images.dtype, low, high)
        if whole or images.n == 0 or scanned:
            return
        for i, pixels in enumerate(images.pixels if images.ragged else [images.pixels]):
            of = f"{name}[{i}]" if images.ragged else name
            self._check_range(of, *_core.extremes(pixels))

    def _check_range(self, name: str, least: float, most: float, finite: bool) -> None:
        """Refuses the extremes of floats that are NaN or outside of `value_range`."""
        low, high = self.value_range
        slack = 1e-6 * (high - low)  # of rounding
        if not finite:
            raise ValueError(f"{name}: expected finite values, got NaN or infinity")
        if least < low - slack or most > high + slack:
            raise ValueError(
                f"{name}: expected floats from {low:g} to {high:g}, got {least:.6g} to "
                f"{most:.6g}; Compose(..., value_range=(low, high)) names another black and white"
            )

    def _check_fills(self, dtype: np.dtype[Any], low: float, high: float) -> None:
        """Refuses to fill a border or a hole with what no image of this dtype can have."""
        for leaf in self.leaves:
            if leaf._kind == "normalize":
                return  # what follows is filled with normalised values
            for name, value in leaf._fills().items():
                given = four(value)
                if min(given) < low or max(given) > high:
                    raise ValueError(
                        f"{name}: expected from {low:g} to {high:g}, as {dtype} images have, got "
                        f"{value!r} in {leaf!r}"
                    )

    def check_channels(self, n: int) -> None:
        """Raises where an option has one number for each of other than n channels."""
        for leaf in self.leaves:
            for name in PER_CHANNEL:
                values = getattr(leaf, name, None)
                if isinstance(values, tuple) and len(values) not in (1, n):
                    expected = f"{len(values)} channels, as {name} of {leaf!r} has"
                    raise ValueError(f"images: expected {expected}; got {n}")

    def _dtype(self, dtype: npt.DTypeLike | None, own: np.dtype[Any]) -> np.dtype[Any]:
        normal = self.engine.normalizes
        if dtype is None:
            return np.dtype(np.float32) if normal else own
        result = known_dtype("dtype", dtype, "uint8", "float32")
        if result == np.uint8 and (normal or own != np.uint8):
            reason = "after Normalize" if normal else "of float32 images"
            raise ValueError(f"dtype: expected float32 {reason}, got uint8")
        return result

    def _one_size(self, sizes: Array) -> tuple[int, int]:
        """The one size that all images become."""
        pairs = sorted(set(zip(*sizes.tolist(), strict=True)))
        outputs = {self.engine.output(*pair): pair for pair in pairs}
        if len(outputs) > 1:
            (a, of_a), (b, of_b) = list(outputs.items())[:2]
            raise ValueError(
                f"images: expected sizes that become one size, but {of_a} becomes {a} and {of_b} "
                f"becomes {b}; add a Resize or a crop to (height, width)"
            )
        return next(iter(outputs), (0, 0))

    def _target(
        self, batch: Images, planar: bool, dtype: np.dtype[Any], out: Array | None
    ) -> tuple[Array, Array]:
        """The result as the caller sees it, and as the core does, with an axis of channels."""
        size = self._one_size(batch.sizes()) if batch.ragged else self.engine.output(*batch.size)
        variants = (self.variants,) if self.variants > 1 else ()
        image = (batch.channels, *size) if planar else (*size, batch.channels)
        shape = (batch.n, *variants, *image)
        seen = shape if batch.has_channels else (batch.n, *variants, *size)
        given = np.empty(seen, dtype) if out is None else plain_array("out", out)
        if given.shape != seen or given.dtype != dtype:
            raise ValueError(f"out: expected shape {seen} {dtype}, got {describe(given)}")
        if not given.flags.c_contiguous or not given.flags.writeable:
            kind = "a C-contiguous" if given.flags.writeable else "a writable"
            raise ValueError(f"out: expected {kind} array, got another")
        return given, given.reshape(shape)


class _Calls:
    """Numbers for the calls of a pipeline: 0, 1, ...; from a random one in another process."""

    def __init__(self) -> None:
        self._lock, self.state = threading.Lock(), (0, os.getpid())  # the next, and whose

    def new(self) -> int:
        with self._lock:
            number, process = self.state
            if process != os.getpid():
                number = secrets.randbits(39)
            self.state = number + 1, os.getpid()
        return number


def _threads(n_threads: int | None) -> int:
    """As the core takes them; by default one in a child of multiprocessing."""
    if n_threads is None:
        processes: Any = sys.modules.get("multiprocessing.process")
        if processes is not None and processes.parent_process() is not None:
            return 1
    return threads(n_threads)


def _sizes(images: Any) -> Array:
    """Heights and widths (2, N) of images, or of a shape."""
    if isinstance(images, tuple) and all(isinstance(v, (int, np.integer)) for v in images):
        if len(images) not in (3, 4):
            raise ValueError(f"images: expected a shape (N, H, W) or (N, H, W, C), got {images}")
        n = whole("images", images[0], 0)
        return np.full((2, n), [[whole("images", v, 1)] for v in images[1:3]], np.int64)
    return image_batch("images", images).sizes()
