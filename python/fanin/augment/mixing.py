"""Mixup and CutMix: pairs of samples and their labels, mixed.

A sample is mixed with the one before it in the batch, the first with the last; in a shuffled batch
these are random pairs. Unlike all other transforms, the result depends on the batch.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from fanin import _core
from fanin._typing import Array
from fanin._validate import describe, labels, one_of, plain_array, real, whole
from fanin.augment.transform import Transform, optional

__all__ = ["CutMix", "Mixup"]


class Mix(Transform):
    """What `Mixup` and `CutMix` share."""

    _after_normalize = True
    _checks = Transform._checks | {
        "alpha": partial(real, low=0.0),
        "mode": partial(one_of, known=["batch", "sample"]),
        "num_classes": optional(partial(whole, low=1, high=2**31 - 1)),
    }

    alpha: float = 1.0
    p: float = 1.0
    mode: str = "batch"
    num_classes: int | None = None

    def core_options(self, seed: int) -> tuple[str, float, float, bool, int]:
        """Kind, alpha, p, whether each sample draws its own lambda, and seed, for the core."""
        return type(self).__name__.lower(), self.alpha, self.p, self.mode == "sample", seed

    def draw(
        self, seed: int, samples: Array, epoch: int, height: int, width: int
    ) -> dict[str, Array]:
        """Lambdas, partners within the batch, and CutMix's clipped rectangles."""
        options = self.core_options(seed)
        lambdas, boxes = _core.draw_mix(*options, samples, epoch, height, width)
        partner = np.roll(np.arange(len(samples)), 1)
        drawn = {"applied": lambdas < 1, "lambda": lambdas, "partner": partner}
        if isinstance(self, CutMix):
            drawn |= dict(zip(("top", "left", "bottom", "right"), boxes.T.copy(), strict=True))
        return drawn

    def checked_labels(self, y: Array, n: int) -> Array:
        """Labels that can be mixed: (n,) integers, or soft ones (n, C), float32."""
        y = plain_array("y", y)
        name = type(self).__name__
        if y.ndim == 2 and len(y) == n and y.dtype.kind == "f":
            if self.num_classes not in (None, y.shape[1]):
                raise ValueError(
                    f"y: expected shape ({n}, {self.num_classes}) for {self!r}, got {describe(y)}"
                )
            if not (np.isfinite(y).all() and (y >= 0).all()):
                raise ValueError("y: expected soft labels that are finite and at least 0")
            return y.astype(np.float32, order="C")
        if y.shape != (n,) or y.dtype.kind not in "iu":
            raise ValueError(
                f"y: expected ({n},) whole numbers or ({n}, C) floats as labels for {name}, "
                f"got {describe(y)}"
            )
        if self.num_classes is None:
            raise ValueError(
                f"num_classes: expected the number of classes for whole numbers as labels; "
                f"write {name}(..., num_classes=C) or give soft labels (N, C)"
            )
        return labels("y", y, n, self.num_classes) if n else y

    def mix_labels(self, y: Array, lambdas: Array) -> Array:
        """``lambda y[i] + (1 - lambda) y[i - 1]`` of checked labels, (N, C) float32."""
        classes = y.shape[1] if y.ndim == 2 else self.num_classes or 0
        return _core.mix_labels(y, lambdas, classes)


class Mixup(Mix):
    """``lambda x[i] + (1 - lambda) x[i - 1]``, of images and labels.

    Parameters
    ----------
    alpha : float, default 1.0
        lambda ~ Beta(alpha, alpha); 0.2 is usual for ImageNet, 1.0 for CIFAR-10; 0 mixes nothing.
    p : float, default 1.0
        Of mixing at all: the batch, or each sample with ``mode="sample"``.
    mode : {"batch", "sample"}
        One lambda for the batch, drawn as its first sample's, or one for each sample.
    num_classes : int, optional
        C, where labels are integers; soft labels (N, C) have it.

    Notes
    -----
    Zhang et al. 2018; torchvision's ``MixUp``, with uint8 images too (rounded to nearest, ties to
    even). timm pairs each sample with the one at the batch's other end, Keras draws lambda for each
    sample, kornia evenly from [0, 1]. Last in a pipeline, or the `mix` of `fanin.MLP.fit`.

    Examples
    --------
    >>> aug = fanin.augment.Compose([fanin.augment.Mixup(0.2, num_classes=3)], seed=0)
    >>> images = np.arange(8, dtype=np.float32).reshape(2, 2, 2) / 8
    >>> mixed, y = aug(images, np.array([0, 2]))
    >>> y.shape, y.sum(axis=1)
    ((2, 3), array([1., 1.], dtype=float32))
    >>> bool(np.allclose(mixed[0], y[0, 0] * images[0] + y[0, 2] * images[1]))
    True
    """


class CutMix(Mix):
    """A rectangle of the sample before is pasted over this one; labels follow the areas.

    The rectangle's sides are ``sqrt(1 - lambda)`` of the image's, its centre is uniform over all
    pixels, and it is clipped at the border; then ``lambda = 1 - area / (H W)``, exactly.

    Parameters
    ----------
    alpha : float, default 1.0
        lambda ~ Beta(alpha, alpha) before the clipping; 0 mixes nothing.
    p, mode, num_classes
        As for `Mixup`, with one rectangle for each lambda.

    Notes
    -----
    Yun et al. 2019; torchvision's ``CutMix``. kornia and Keras keep the rectangle inside; the
    authors' first code did not correct lambda.

    Examples
    --------
    >>> aug = fanin.augment.Compose([fanin.augment.CutMix(num_classes=2)], seed=0)
    >>> images = np.stack([np.zeros((8, 8)), np.ones((8, 8))]).astype(np.uint8)
    >>> mixed, y = aug(images, np.array([0, 1]))
    >>> bool((mixed.mean(axis=(1, 2)) == y[:, 1]).all())
    True
    """
