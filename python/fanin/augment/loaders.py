"""Augmented batches for other training loops: a plain generator, and PyTorch's DataLoader."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin import _core
from fanin._typing import Array
from fanin._validate import boolean, describe, one_of, whole
from fanin.arrays import as_array
from fanin.augment.batch import image_batch
from fanin.augment.compose import Compose

__all__ = ["Indexed", "batches", "torch_collate"]


def _pipeline(aug: object) -> Compose:
    if not isinstance(aug, Compose):
        raise TypeError(f"aug: expected a Compose, got {describe(aug)}")
    return aug


def batches(
    X: Array | Sequence[Array],
    y: Array | None,
    aug: Compose,
    batch_size: int,
    epoch: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    *,
    drop_last: bool = False,
    layout: str = "NHWC",
    dtype: npt.DTypeLike | None = None,
    n_threads: int | None = None,
) -> Iterator[Any]:
    """An epoch of augmented minibatches.

    Parameters
    ----------
    X : (N, H, W[, C]) uint8 or float32, or a list of images
    y : labels (N, ...), or None
    aug : Compose
    batch_size : int
    epoch : int, optional
        Decides the order and every draw; without it each call is a new one, as of `aug`.
    shuffle : bool, default True
        A new permutation in each epoch, that of `fanin.MLP.fit` with this seed.
    seed : int, default 0
        Of the order; the transforms have the pipeline's.
    drop_last : bool, default False
        Drop the last batch if it is not full.
    layout, dtype, n_threads
        As for the pipeline's call.

    Yields
    ------
    images, or (images, y)
        What the pipeline returns.

    Examples
    --------
    >>> from fanin.augment import Compose, HorizontalFlip, batches
    >>> X, y = np.zeros((10, 8, 8), np.uint8), np.arange(10)
    >>> for epoch in range(2):
    ...     for images, labels in batches(X, y, Compose([HorizontalFlip()]), 4, epoch):
    ...         print(epoch, images.shape, labels)
    0 (4, 8, 8) [7 1 4 3]
    0 (4, 8, 8) [9 6 0 5]
    0 (2, 8, 8) [8 2]
    1 (4, 8, 8) [6 0 1 2]
    1 (4, 8, 8) [5 9 8 3]
    1 (2, 8, 8) [7 4]
    """
    pipeline, images = _pipeline(aug), image_batch("X", X)
    size = whole("batch_size", batch_size, 1)
    at, seed = pipeline._epoch(epoch), whole("seed", seed, 0, 2**64 - 1)
    one_of("layout", layout, ["NHWC", "NCHW"])
    images.check_labels(y)
    labels = None if y is None else as_array("y", y)
    order = np.arange(images.n)
    if boolean("shuffle", shuffle):
        _core.random_permutation(order, seed, _core.stream_of("shuffle", 0, at))
    end = images.n // size * size if boolean("drop_last", drop_last) else images.n

    def each() -> Iterator[Any]:
        for begin in range(0, end, size):
            rows = order[begin : begin + size]
            batch = X[rows] if isinstance(X, np.ndarray) else [X[row] for row in rows]
            given = (batch, None if labels is None else labels[rows], rows, at)
            yield pipeline(*given, layout=layout, dtype=dtype, n_threads=n_threads)

    return each()


class Indexed:
    """A PyTorch data set whose items begin with their number: (index, image, label).

    Parameters
    ----------
    dataset : object with ``len()`` and ``[index]``
        Gives (image, label, ...) or an image alone; without random transforms of its own.

    Examples
    --------
    >>> pictures = [(np.zeros((8, 8), np.uint8), 3)]
    >>> index, image, label = fanin.augment.Indexed(pictures)[0]
    >>> index, label
    (0, 3)
    """

    def __init__(self, dataset: Any) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(f"dataset: expected len() and [index], got {describe(dataset)}")
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        item = self.dataset[index]
        return (index, *item) if isinstance(item, (tuple, list)) else (index, item)


class _Collate:
    """What `torch_collate` returns. The epoch is in memory shared with the workers."""

    def __init__(
        self, aug: Compose, epoch: int | None, layout: str, dtype: npt.DTypeLike | None
    ) -> None:
        self.aug, self._layout, self._dtype = aug, layout, dtype
        torch = _torch()
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self.epoch = epoch

    @property
    def epoch(self) -> int | None:
        """The epoch of the next draws, in all workers; None where each call is a new one."""
        epoch = int(self._epoch)
        return None if epoch < 0 else epoch

    @epoch.setter
    def epoch(self, value: int | None) -> None:
        self._epoch.fill_(-1 if value is None else whole("epoch", value, 0, 2**40 - 1))

    def set_epoch(self, epoch: int | None) -> None:
        """As ``collate.epoch = epoch``; the name that PyTorch's samplers have."""
        self.epoch = epoch

    def __call__(self, samples: Sequence[Any]) -> Any:
        torch = _torch()
        indices, images, labels = _columns(samples)
        arrays = [np.ascontiguousarray(image) for image in images]
        X = np.stack(arrays) if len({(a.shape, a.dtype) for a in arrays}) == 1 else arrays
        y = None if labels is None else np.asarray(labels)
        results = self.aug(X, y, indices, self.epoch, layout=self._layout, dtype=self._dtype)
        if isinstance(results, tuple):
            return tuple(torch.from_numpy(r) for r in results)
        return torch.from_numpy(results)


def torch_collate(
    aug: Compose, epoch: int | None = None, layout: str = "NCHW", dtype: npt.DTypeLike | None = None
) -> Callable[[Sequence[Any]], Any]:
    """A ``collate_fn`` for PyTorch's DataLoader that augments whole batches.

    No worker repeats another, and no epoch the one before. With an epoch, draws are a pure function
    of it and of the sample's number::

        collate = fanin.augment.torch_collate(aug)
        loader = DataLoader(fanin.augment.Indexed(dataset), 128, shuffle=True, num_workers=4,
                            persistent_workers=True, collate_fn=collate)
        for epoch in range(n_epochs):
            collate.epoch = epoch
            for x, y in loader:
                ...

    Parameters
    ----------
    aug : Compose
    epoch : int, optional
        Set ``collate.epoch`` before each epoch begins; the workers see it, persistent ones too.
        Without it each batch draws anew, in each worker from a random number on.
    layout : {"NCHW", "NHWC"}
        PyTorch's by default.
    dtype : {"uint8", "float32"}, optional
        As for the pipeline's call.

    Returns
    -------
    callable
        Takes a list of (index, image, label) or (index, image), as in `Indexed`; images are
        arrays, PIL images or tensors, (H, W) or (H, W, C). Returns tensors: (x, y), or x alone.

    Examples
    --------
    >>> aug = fanin.augment.Compose([fanin.augment.HorizontalFlip()])
    >>> collate = fanin.augment.torch_collate(aug)
    >>> pictures = fanin.augment.Indexed([(np.zeros((8, 8), np.uint8), 3)])
    >>> images, labels = collate([pictures[0]])
    >>> tuple(images.shape), labels.tolist()
    ((1, 8, 8), [3])
    """
    one_of("layout", layout, ["NHWC", "NCHW"])
    return _Collate(_pipeline(aug), epoch, layout, dtype)


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise ImportError("torch_collate: expected PyTorch; pip install torch") from error


def _columns(samples: Sequence[Any]) -> tuple[list[int], list[Any], list[Any] | None]:
    """Indices, images and labels of a list of samples."""
    for sample in samples:
        many = isinstance(sample, (tuple, list))
        if not many or len(sample) not in (2, 3):
            raise TypeError(
                "samples: expected (index, image, label) or (index, image), got "
                f"{f'{len(sample)} values' if many else 'another'}; "
                "fanin.augment.Indexed(dataset) adds the index"
            )
    columns = [list(column) for column in zip(*samples, strict=True)]
    try:
        indices = [whole("index", index, 0) for index in columns[0]]
    except TypeError as error:
        raise TypeError(f"samples: {error}; fanin.augment.Indexed(dataset) adds it") from None
    return indices, columns[1], columns[2] if len(columns) == 3 else None
