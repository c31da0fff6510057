"""Groups of transforms: all of them with a probability, or one at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fanin._validate import describe, sequence
from fanin.augment.transform import Operation, Transform

__all__ = ["OneOf", "RandomApply"]


def _transforms(name: str, value: Any) -> tuple[Transform, ...]:
    given = sequence(name, value, "a list of transforms")
    if not given:
        raise ValueError(f"{name}: expected at least one transform, got an empty list")
    for transform in given:
        if not isinstance(transform, Transform):
            raise TypeError(f"{name}: expected transforms, got {describe(transform)}")
    return tuple(given)


class _Group(Transform):
    _checks = Transform._checks | {"transforms": _transforms}

    transforms: Sequence[Transform]

    def __post_init__(self) -> None:
        super().__post_init__()
        for leaf in self._leaves():
            if leaf._kind in ("corner_crop", "normalize", ""):
                raise ValueError(
                    f"transforms: expected transforms that can be left out, got {leaf!r} in "
                    f"{type(self).__name__}; put it into the Compose itself"
                )

    def _leaves(self) -> Iterator[Transform]:
        for transform in self.transforms:
            yield from transform._leaves()


class RandomApply(_Group):
    """All of some transforms, in order, with probability p for each sample, else none.

    As in torchvision; the transforms' own p count within.

    Parameters
    ----------
    transforms : sequence of transforms
        With and without them the result's size must be the same.
    p : float, default 0.5

    Examples
    --------
    >>> from fanin.augment import ColorJitter, Compose, GaussianNoise, RandomApply
    >>> aug = Compose([RandomApply([ColorJitter(0.4), GaussianNoise()], p=0.8)])
    >>> aug(np.zeros((2, 8, 8, 3), np.uint8)).shape
    (2, 8, 8, 3)
    """

    p: float = 0.5

    def _program(self) -> list[Operation]:
        inner = [operation for t in self.transforms for operation in t._program()]
        return [("gate", self.p, {"count": len(inner)}), *inner]


class OneOf(_Group):
    """One of some transforms for each sample, each as likely as the others.

    Parameters
    ----------
    transforms : sequence of transforms
        All must give the same size.

    Notes
    -----
    torchvision's ``RandomChoice``. Albumentations' ``OneOf`` weighs by the transforms' own p; here
    these decide whether the chosen one happens.

    Examples
    --------
    >>> from fanin.augment import Compose, HorizontalFlip, OneOf, VerticalFlip
    >>> aug = Compose([OneOf([HorizontalFlip(p=1), VerticalFlip(p=1)])], seed=0)
    >>> aug(np.arange(4, dtype=np.uint8).reshape(1, 2, 2)).ravel().tolist() != [0, 1, 2, 3]
    True
    """

    def _program(self) -> list[Operation]:
        groups = [t._program() for t in self.transforms]
        inner = [operation for group in groups for operation in group]
        return [("choose", 1.0, {"counts": [len(g) for g in groups]}), *inner]
