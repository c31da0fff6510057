"""The augmentation of minibatches: ``augment`` and ``mix``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fanin import _core
from fanin._typing import Array
from fanin._validate import describe, plain_array
from fanin.network import MLP
from fanin.network.images import require_own_units
from fanin.network.inputs import Inputs

if TYPE_CHECKING:  # images are rare, and their import takes a while
    from fanin.augment import Compose
    from fanin.augment.mixing import Mix


class TrainingImages:
    """The augmentation of minibatches, checked against the data and the network."""

    pipeline: Compose | None

    def __init__(
        self,
        net: MLP,
        X: Array,
        weighted: Sequence[str],  # the options that weigh rows
        augment: Compose | None,
        mix: Mix | None,
    ) -> None:
        self.pipeline, self.mix = _pipeline(augment), _mix(mix)
        self.params: dict[str, dict[str, Any]] = {
            name: value.to_dict()
            for name, value in (("augment", self.pipeline), ("mix", self.mix))
            if value is not None
        }
        if self.pipeline is not None:
            self._take_mix_of(self.pipeline)
        if self.mix is not None:
            self._check_mix(self.mix, net, weighted)
        self._width = net.dims[0]
        self.shape: tuple[int, int, int] = self._image_shape(X)
        self.size: tuple[int, int] = self._size_after(net.dims[0])
        self.core: _core.BatchAugmenter = _core.BatchAugmenter(
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
    def _check_mix(mix: Mix, net: MLP, weighted: Sequence[str]) -> None:
        if weighted:
            raise ValueError(
                f"{weighted[0]}: expected None with {mix!r}, which makes one sample of two"
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
            self.pipeline.check_values("X", images)
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
        return mix.core_options(seed)

    @property
    def columns(self) -> int:
        """Values of a row of X."""
        height, width, channels = self.shape
        return height * width * channels

    def check_inputs(self, inputs: Inputs, before: Inputs) -> Inputs:
        """The inputs, for images as they are after augment.

        Refuses preprocessing that rows which change from epoch to epoch cannot have, and images of
        another shape than before.
        """
        combining = [s for s in (inputs.to_fit or inputs.steps) if s.combines_columns]
        if combining:
            raise ValueError(
                f"preprocess: expected none that mixes columns with augment or mix, got "
                f"{combining[0]!r}, which would have to transform every augmented image; "
                "Normalize, ZeroCenter, 'standardize' or (mean, scale) go inside the loop"
            )
        fits = inputs.to_fit or inputs.standardize  # not "auto", of one number
        if fits and self.columns != self._width:
            raise ValueError(
                f"preprocess: expected (mean, scale) of one number or {self._width} each, since "
                f"augment makes {self._width} values of the {self.columns} of a row of X, on "
                "which it would be fitted"
            )
        if self.shape[0] == 1 and self.pipeline is None:
            return inputs  # rows, mixed
        after = (*self.size, self.shape[2])
        before.check_shape("X", after)
        return replace(inputs, shape=after)

    def check_validation(self, X: Array) -> None:
        """Refuses validation images, which are not augmented, of another width."""
        given = plain_array("validation X", X)
        if given.ndim > 0 and given.size != len(given) * self._width and self.pipeline is not None:
            height, width = self.size
            raise ValueError(
                f"validation X: expected images of {height} x {width} x {self.shape[2]}, as they "
                f"are after augment, which validation data do not go through; got "
                f"{describe(given)}; Compose([CenterCrop(({height}, {width}))])(X) crops them"
            )


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
    require_own_units("augment", augment)
    return augment


def _mix(mix: Any) -> Mix | None:
    from fanin.augment.mixing import Mix

    if mix is not None and not isinstance(mix, Mix):
        raise TypeError(f"mix: expected Mixup, CutMix or None, got {describe(mix)}")
    return mix
