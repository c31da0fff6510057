"""Images before they enter a network: ``augment`` and ``mix`` of `fit`, ``tta`` of prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fanin import _core
from fanin._validate import data_rows, describe, plain_array

if TYPE_CHECKING:
    from fanin.augment import Compose, Transform
    from fanin.augment.mixing import Mix
    from fanin.network.inputs import Preparation
    from fanin.network.mlp import MLP

Array = npt.NDArray[Any]

BLOCK = 2**22  # values of views that are predicted at once


class TrainingImages:
    """What a fit does to its minibatches, checked against its data and its network."""

    def __init__(
        self, net: MLP, X: Array, weighted: bool, augment: Compose | None, mix: Mix | None
    ) -> None:
        self.pipeline, self.mix = _pipeline(augment), _mix(mix)
        self.params = {
            name: value.to_dict()
            for name, value in (("augment", self.pipeline), ("mix", self.mix))
            if value is not None
        }
        if self.pipeline is not None:
            self._take_mix_of(self.pipeline)
        if self.mix is not None:
            self._check_mix(self.mix, net, weighted)
        self._width, self._dtype = net.dims[0], net.dtype
        self.shape = self._image_shape(X)
        self.size = self._size_after(net.dims[0])
        self.core = _core.BatchAugmenter(
            self.shape,
            None if self.pipeline is None else self.pipeline.engine,
            None if self.mix is None else self._mixing(self.mix, net.seed),
        )

    def _take_mix_of(self, pipeline: Compose) -> None:
        if pipeline.mix is not None:
            if self.mix is not None:
                raise ValueError(
                    f"mix: expected None beside an augment that ends with {pipeline.mix!r}, "
                    f"got {self.mix!r}"
                )
            self.mix = pipeline.mix

    @staticmethod
    def _check_mix(mix: Mix, net: MLP, weighted: bool) -> None:
        if weighted:
            raise ValueError(
                f"sample_weight: expected None with {mix!r}, which makes one sample of two"
            )
        if mix.num_classes not in (None, net.dims[-1]):
            raise ValueError(
                f"mix: expected num_classes={net.dims[-1]}, the network's, or None; got {mix!r}"
            )
        most = _core.most_soft_svm_classes
        if net.loss_name == "svm" and net.dims[-1] > most:
            raise ValueError(
                f"mix: expected at most {most} classes for loss='svm', which it gives soft "
                f"targets, got {net.dims[-1]}"
            )

    def _image_shape(self, X: Array) -> tuple[int, int, int]:
        """(height, width, channels) of a row of X."""
        from fanin.augment import Mixup
        from fanin.augment.batch import image_batch

        array = plain_array("X", X)
        if self.pipeline is None and isinstance(self.mix, Mixup) and array.ndim > 0:
            if array.dtype not in (np.dtype(np.uint8), np.dtype(np.float32)):
                raise TypeError(
                    f"X: expected uint8 or float32 for {self.mix!r}, got {describe(array)}; "
                    "X.astype('float32') converts"
                )
            return 1, self._width, 1  # it mixes rows of any shape
        images = image_batch("X", array)
        if self.pipeline is not None:
            self.pipeline.check_channels(images.channels)
        return (*images.size, images.channels)

    def _size_after(self, width: int) -> tuple[int, int]:
        """(height, width) of the images that reach the network, which must be of its width."""
        h, w, channels = self.shape
        size = (h, w) if self.pipeline is None else self.pipeline.output_size(h, w)
        values = size[0] * size[1] * channels
        if values != width:
            name = "augment" if self.pipeline is not None else "mix"
            raise ValueError(
                f"{name}: expected images of {width} values, the network's dims[0], "
                f"got {size[0]} x {size[1]} x {channels} = {values} from X's {h} x {w} x {channels}"
            )
        return size

    def _mixing(self, mix: Mix, seed: int) -> tuple[str, float, float, bool, int]:
        """As the core takes it; the draws are those of the pipeline that ends with it."""
        if self.pipeline is not None:
            seed = self.pipeline.seed
        return mix.kind, mix.alpha, mix.p, mix.per_sample, seed

    @property
    def columns(self) -> int:
        """Values of a row of X."""
        height, width, channels = self.shape
        return height * width * channels

    def check_entering(self, entering: Preparation) -> None:
        """Refuses what preprocessing cannot be with rows that change from epoch to epoch."""
        mixing = [step for step in entering.steps if step.combines_columns]
        if mixing:
            raise ValueError(
                f"preprocess: expected none that mixes columns with augment or mix, got "
                f"{mixing[0]!r}, which would have to transform every augmented image; "
                "Normalize, ZeroCenter, 'standardize' or (mean, scale) go inside the loop"
            )
        fits = entering.new or isinstance(entering.given, str)
        if fits and self.columns != self._width:
            raise ValueError(
                f"preprocess: expected (mean, scale) of one number or {self._width} each, since "
                f"augment makes {self._width} values of the {self.columns} of a row of X, on "
                "which it would be fitted"
            )

    def validation(self, X: Array) -> Array:
        """Rows that are not augmented, and so are of the network's width."""
        given = plain_array("validation X", X)
        if given.ndim > 0 and given.size != len(given) * self._width and self.pipeline is not None:
            height, width = self.size
            raise ValueError(
                f"validation X: expected images of {height} x {width} x {self.shape[2]}, as they "
                f"are after augment, which validation data do not go through; got "
                f"{describe(given)}; Compose([CenterCrop(({height}, {width}))])(X) crops them"
            )
        return data_rows("validation X", given, self._width, self._dtype)


def _pipeline(augment: Any) -> Compose | None:
    """The pipeline of ``augment``, where it makes one image of each in X's own units."""
    from fanin.augment import Compose

    if augment is None:
        return None
    if not isinstance(augment, Compose):
        raise TypeError(
            f"augment: expected a fanin.augment.Compose, got {describe(augment)}; "
            "Compose([...], seed=0) makes one of transforms"
        )
    if augment.variants > 1:
        raise ValueError(
            f"augment: expected one image of each, got {augment!r}, which makes "
            f"{augment.variants}; it is for the tta of predict_proba"
        )
    _require_own_units("augment", augment)
    return augment


def _require_own_units(name: str, pipeline: Compose) -> None:
    """Refuses Normalize: whatever does not go through the pipeline would miss it."""
    if pipeline.engine.normalizes:
        raise ValueError(
            f"{name}: expected no Normalize, which data that are not augmented would miss, got "
            f"{pipeline!r}; preprocess='standardize' or (mean, scale) holds for all data and is "
            "saved with the network"
        )


def _mix(mix: Any) -> Mix | None:
    from fanin.augment.mixing import Mix

    if mix is not None and not isinstance(mix, Mix):
        raise TypeError(f"mix: expected Mixup, CutMix or None, got {describe(mix)}")
    return mix


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
        _require_own_units(name, item)
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
