"""Test-time augmentation: predictions averaged over many views of an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fanin._typing import Array
from fanin._validate import describe

if TYPE_CHECKING:  # images are rare, and their import takes a while
    from fanin.augment import Compose, Transform

BLOCK = 2**22  # values of views that are predicted at once


def require_own_units(name: str, pipeline: Compose) -> None:
    """Refuses Normalize: data that skip the pipeline would not be normalised."""
    if pipeline.engine.normalizes:
        raise ValueError(
            f"{name}: expected no Normalize, which data that are not augmented would miss, got "
            f"{pipeline!r}; preprocess='standardize' or (mean, scale) holds for all data and is "
            "saved with the network"
        )


def test_time_pipelines(tta: Compose | Transform | Sequence[Compose | Transform]) -> list[Compose]:
    """The pipelines of ``tta``, each of which makes images of the network's size."""
    from fanin.augment import Compose, Transform

    many = isinstance(tta, (list, tuple))
    given: list[Any] = list(tta) if many else [tta]  # type: ignore[arg-type]
    if not given:
        raise ValueError("tta: expected at least one pipeline, got none")
    pipelines = []
    for i, item in enumerate(given):
        name = f"tta[{i}]" if many else "tta"
        if isinstance(item, Transform):
            item = Compose([item])
        if not isinstance(item, Compose):
            raise TypeError(
                f"{name}: expected a fanin.augment.Compose or a transform, got {describe(item)}"
            )
        if item.mix is not None:
            raise ValueError(f"{name}: expected no {item.mix!r}, which mixes labels")
        require_own_units(name, item)
        pipelines.append(item)
    return pipelines


def mean_over_views(
    pipelines: Sequence[Compose],
    X: Array,
    width: int,
    outputs: Callable[[Array], Array],
    n_threads: int | None,
) -> Array:
    """The mean, over all views of each image, of what `outputs` makes of rows."""
    from fanin.augment.batch import image_batch

    images = image_batch("X", X)
    if images.n == 0:
        raise ValueError(f"X: expected at least one image, got {describe(X)}")
    for pipeline in pipelines:
        height, breadth = pipeline.output_size(*images.size)
        values = height * breadth * images.channels
        if values != width:
            raise ValueError(
                f"tta: expected images of {width} values, the network's dims[0], got "
                f"{height} x {breadth} x {images.channels} = {values} from {pipeline!r}"
            )
    views = sum(pipeline.variants for pipeline in pipelines)
    step = max(1, BLOCK // (width * max(p.variants for p in pipelines)))
    parts = []
    for begin in range(0, images.n, step):
        rows = np.arange(begin, min(begin + step, images.n))
        total: Any = 0.0
        for epoch, pipeline in enumerate(pipelines):
            seen = pipeline(X[rows[0] : rows[-1] + 1], None, rows, epoch, n_threads=n_threads)
            result = outputs(seen.reshape(len(rows) * pipeline.variants, width))
            each = result.reshape(len(rows), pipeline.variants, -1)
            total = total + each.sum(axis=1, dtype=np.float64)
        parts.append((total / views).astype(result.dtype))
    return np.concatenate(parts)
