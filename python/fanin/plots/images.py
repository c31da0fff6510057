"""Images in a grid, and their augmented variants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from fanin import _validate
from fanin._typing import Array
from fanin.augment import Compose, Normalize
from fanin.document.text import visible
from fanin.plots.style import FAINT, INK, WIDTH, Panels, panels

LINE = 0.17  # inches of a line of 9 points
CORNERS = ("top\nleft", "top\nright", "bottom\nleft", "bottom\nright", "centre")
MOST_ROWS, MOST_VARIANTS = 64, 16
SMALLEST, LETTER = 6.5, 0.58  # points of a caption's text, and how wide a letter is beside its size


def augmentations(
    X: Array | Sequence[Array],
    aug: Compose,
    n: int = 4,
    variants: int = 6,
    labels: Sequence[str] | None = None,
    ax: Any = None,
) -> Panels:
    """Draw images, each beside the variants that a pipeline makes of it.

    Row i is sample i of the data, and the variants are its draws in epochs 0, 1, ...: what training
    would see. `FiveCrop` and `TenCrop` show all crops of epoch 0. With `Mixup` or `CutMix` the rows
    shown are the batch, with the shares of the labels below. `Normalize` is undone for display.

    Parameters
    ----------
    X : (N, H, W) or (N, H, W, C) uint8 or float32 in [0, 1], or a list of images
        The first n are drawn. Grey ones are drawn from 0 to the brightest of them.
    aug : fanin.augment.Compose
    n : int
        Rows, 64 at most; fewer where there are fewer images.
    variants : int
        Of each, 16 at most.
    labels : sequence of str, optional
        Beside the rows; their numbers where not given.
    ax : matplotlib Axes, (n, 1 + variants), optional

    Returns
    -------
    axes : ndarray of Axes, (n, 1 + variants)

    Raises
    ------
    ValueError, TypeError
        Where X does not hold images, or does not fit the pipeline.

    Examples
    --------
    >>> (X, y), _ = fanin.datasets.load("digits")
    >>> aug = fanin.augment.Compose([fanin.augment.RandomCrop(8, padding=1)], seed=0)
    >>> fanin.plots.augmentations(X, aug, n=2, variants=3).shape
    (2, 4)
    """
    if not isinstance(aug, Compose):
        raise TypeError(f"aug: expected a fanin.augment.Compose, got {type(aug).__name__}")
    n = _validate.whole("n", n, 1, MOST_ROWS)
    variants = _validate.whole("variants", variants, 1, MOST_VARIANTS)
    shown = X[:n]
    n = len(shown)
    if n == 0:
        raise ValueError("X: expected at least one image, got none")
    names = [str(i) for i in range(n)] if labels is None else list(map(str, labels))[:n]
    if len(names) != n:
        raise ValueError(f"labels: expected one for each of {n} rows, got {len(names)}")
    if aug.variants > 1:
        crops = _shown(aug(shown), aug)
        made = [crops[:, v] for v in range(aug.variants)]
        heads = [*CORNERS, *(f"{name}\nflipped" for name in CORNERS)][: aug.variants]
    else:
        made = [_shown(aug(shown, epoch=epoch), aug) for epoch in range(variants)]
        heads = [f"epoch {epoch}" for epoch in range(variants)]
    columns: list[Any] = [[_from_range(image, aug) for image in shown], *made]
    heads = ["original", *heads]
    if len({np.shape(image)[:2] for image in chain(*columns)}) > 1:
        heads = [f"{head}\n{_size(x)}" for head, x in zip(heads, columns, strict=True)]
    captions = None
    if aug.mix:
        epochs = (mixed_labels(aug, shown, names, epoch) for epoch in range(variants))
        captions = list(zip([""] * n, *epochs, strict=True))
    rows = list(zip(*columns, strict=True))
    return image_grid(rows, labels=names, titles=heads, captions=captions, ax=ax)


def _shown(images: Array, aug: Compose) -> Array:
    """With `Normalize` undone; floats from 0 to 1."""
    for leaf in aug.leaves:
        if isinstance(leaf, Normalize):
            return images * np.asarray(leaf.std, np.float32) + np.asarray(leaf.mean, np.float32)
    return _from_range(images, aug)


def _from_range(images: Array, aug: Compose) -> Array:
    """Floats as they are where black is 0 and white is 1."""
    low, high = aug.value_range
    return images if images.dtype == np.uint8 else (images - low) / (high - low)


def _size(images: Array | Sequence[Array]) -> str:
    """Height by width, where all images of a column have the same."""
    sizes = {np.shape(image)[:2] for image in images}
    return "×".join(map(str, sizes.pop())) if len(sizes) == 1 else "any size"


def mixed_labels(
    aug: Compose, X: Array | Sequence[Array], labels: Sequence[str], epoch: int = 0
) -> list[str]:
    """The two labels of each mixed image with their shares, in two lines."""
    drawn = aug.parameters(X, epoch=epoch)[-1]
    texts = []
    for own, share, partner in zip(labels, drawn["lambda"], drawn["partner"], strict=True):
        percent = round(100 * float(share))
        both = f"{percent} % {visible(own)}\n{100 - percent} % {visible(labels[partner])}"
        texts.append(both if share < 1 else own)
    return texts


def image_grid(
    images: Sequence[Sequence[Array | None]],
    labels: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    captions: Sequence[Sequence[str]] | None = None,
    ax: Any = None,
) -> Panels:
    """Draw images in rows and columns.

    Parameters
    ----------
    images : rows of (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8 or float in [0, 1]
        All rows are of one length; where there is None the place stays empty. Grey images are
        drawn from 0 to the brightest of all.
    labels : sequence of str, optional
        Of the rows, at their left.
    titles : sequence of str, optional
        Of the columns.
    captions : rows of str, optional
        Below each image.
    ax : matplotlib Axes, (rows, columns), optional

    Returns
    -------
    axes : ndarray of Axes, (rows, columns)

    Examples
    --------
    >>> (X, y), _ = fanin.datasets.load("digits")
    >>> axes = fanin.plots.image_grid([X[:3], X[3:6]], labels=["first", "next"])
    >>> axes.shape, axes[1, 0].get_ylabel()
    ((2, 3), 'next')
    """
    rows = [[None if image is None else _drawable(image) for image in row] for row in images]
    if not rows or not rows[0] or len({len(row) for row in rows}) > 1:
        lengths = ", ".join(str(len(row)) for row in rows) or "none"
        raise ValueError(f"images: expected rows of one length, at least 1, got {lengths}")
    grey = [image.max() for image in chain(*rows) if image is not None and image.ndim == 2]
    brightest = max(map(float, grey), default=1.0) or 1.0
    height = _height(rows, labels, titles, captions)
    axes = panels(ax, len(rows), len(rows[0]), height, stack=False)
    points = min(9.0, max(5.0, 80 / len(rows[0])))  # side by side without touching
    for panel, image in zip(axes.ravel(), chain(*rows), strict=True):
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set(color=FAINT, linewidth=0.6, visible=image is not None)
        if image is not None:
            panel.imshow(image, cmap="gray", vmin=0, vmax=brightest)
    for panel, text in zip(axes[0], titles or (), strict=False):
        panel.set_title(text, fontsize=points, color=INK)
    below = list(chain(*(captions or ())))
    width = _cell_width(labels, len(rows[0]))
    longest = max((len(line) for text in below for line in text.split("\n")), default=0)
    size = min(8.5, max(SMALLEST, 72 * width / (LETTER * max(longest, 1))))
    fit = int(72 * width / (LETTER * size))
    for panel, text in zip(axes.ravel(), below, strict=False):
        lines = [_cut(line, fit) for line in text.split("\n")]
        panel.set_xlabel("\n".join(lines), fontsize=size, color=INK, parse_math=False)
    for panel, text in zip(axes[:, 0], labels or (), strict=False):
        look: Any = {"ha": "right", "va": "center", "fontsize": 9, "color": INK}
        panel.set_ylabel(visible(text), rotation=0, parse_math=False, **look)
    return axes


def _drawable(image: Array) -> Array:
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
        raise ValueError(
            f"images: expected (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {image.shape}"
        )
    return image if image.dtype == np.uint8 else image.astype(np.float64).clip(0, 1)


def _cell_width(labels: Sequence[str] | None, columns: int) -> float:
    """Inches beside the labels of the rows."""
    return (WIDTH - 0.075 * max(map(len, labels or ("",)))) / columns - 0.06


def _cut(line: str, fit: int) -> str:
    """So many characters at most: captions side by side must not meet."""
    return line if len(line) <= fit else line[: max(fit - 1, 1)].rstrip() + "…"


def _height(
    rows: Sequence[Sequence[Array | None]],
    labels: Sequence[str] | None,
    titles: Sequence[str] | None,
    captions: Sequence[Sequence[str]] | None,
) -> float:
    """Inches that fit the figure's width: every cell is as high as the highest image."""
    width = _cell_width(labels, len(rows[0]))
    shapes = [image.shape for row in rows for image in row if image is not None]
    tallest = max((height / width for height, width, *_ in shapes), default=1.0)
    below, above = _lines(chain(*(captions or ()))), _lines(titles or ())
    return len(rows) * (width * min(tallest, 4.0) + 0.06 + LINE * below) + LINE * above + 0.1


def _lines(texts: Iterable[str]) -> int:
    return max((text.count("\n") + 1 for text in texts), default=0)
