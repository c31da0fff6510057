"""Image augmentation: whole batches in one parallel pass, each sample with its own draws.

>>> import numpy as np
>>> from fanin import augment
>>> aug = augment.Compose([
...     augment.RandomCrop(32, padding=4),
...     augment.HorizontalFlip(),
...     augment.ColorJitter(0.4, 0.4, 0.4, 0.1),
...     augment.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
... ], seed=0)
>>> images = np.zeros((512, 32, 32, 3), np.uint8)
>>> x = aug(images, layout="NCHW")
>>> x.shape, x.dtype
((512, 3, 32, 32), dtype('float32'))

Names, parameters and formulas are torchvision's, and where they are not, the transform says so. A
result depends on the seed, the epoch and the number of the sample (``indices=``), not on the batch,
on threads or on worker processes.
"""

from __future__ import annotations

from fanin.augment.colour import ColorJitter, GaussianNoise, Normalize, RandomGrayscale
from fanin.augment.compose import Compose
from fanin.augment.composition import OneOf, RandomApply
from fanin.augment.crops import CenterCrop, FiveCrop, RandomCrop, RandomResizedCrop, Resize, TenCrop
from fanin.augment.erasing import Cutout, RandomErasing
from fanin.augment.flips import HorizontalFlip, VerticalFlip
from fanin.augment.loaders import Indexed, batches, torch_collate
from fanin.augment.mixing import CutMix, Mixup
from fanin.augment.spec import parse
from fanin.augment.transform import Transform
from fanin.augment.warps import LensDistortion, RandomAffine, RandomRotation

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "CutMix",
    "Cutout",
    "FiveCrop",
    "GaussianNoise",
    "HorizontalFlip",
    "Indexed",
    "LensDistortion",
    "Mixup",
    "Normalize",
    "OneOf",
    "RandomAffine",
    "RandomApply",
    "RandomCrop",
    "RandomErasing",
    "RandomGrayscale",
    "RandomResizedCrop",
    "RandomRotation",
    "Resize",
    "TenCrop",
    "Transform",
    "VerticalFlip",
    "batches",
    "parse",
    "torch_collate",
]
