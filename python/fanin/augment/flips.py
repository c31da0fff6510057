"""Flips, torchvision's ``RandomHorizontalFlip`` and ``RandomVerticalFlip``."""

from __future__ import annotations

from fanin.augment.transform import Operation, Transform

__all__ = ["HorizontalFlip", "VerticalFlip"]


class _Flip(Transform):
    p: float = 0.5
    alternating: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alternating and self.p != 0.5:
            raise ValueError(
                "p: expected its default 0.5 with alternating=True, which flips in every other "
                f"epoch; got {self.p}"
            )

    def _program(self) -> list[Operation]:
        return [(self._kind, 1.0 if self.alternating else self.p, self._fields())]


class HorizontalFlip(_Flip):
    """Mirrors left and right, with probability p for each sample.

    Parameters
    ----------
    p : float, default 0.5
    alternating : bool
        At random in epoch 0, then in every other epoch, so that any two epochs show both sides:
        airbench's "alternating flip" (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds").

    Notes
    -----
    torchvision's ``RandomHorizontalFlip``; its call on a batch flips all images or none.

    Examples
    --------
    >>> flip = fanin.augment.Compose([fanin.augment.HorizontalFlip(p=1)])
    >>> flip(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
    array([[[2, 1, 0],
            [5, 4, 3]]], dtype=uint8)
    """

    _kind = "hflip"


class VerticalFlip(_Flip):
    """Mirrors top and bottom, with probability p for each sample.

    Parameters
    ----------
    p : float, default 0.5
    alternating : bool
        In every other epoch, as in `HorizontalFlip`.

    Examples
    --------
    >>> flip = fanin.augment.Compose([fanin.augment.VerticalFlip(p=1)])
    >>> flip(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
    array([[[3, 4, 5],
            [0, 1, 2]]], dtype=uint8)
    """

    _kind = "vflip"
