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

from fanin.augment import (
    colour,
    compose,
    composition,
    crops,
    erasing,
    flips,
    loaders,
    mixing,
    spec,
    warps,
)
from fanin.augment.colour import *
from fanin.augment.compose import *
from fanin.augment.composition import *
from fanin.augment.crops import *
from fanin.augment.erasing import *
from fanin.augment.flips import *
from fanin.augment.loaders import *
from fanin.augment.mixing import *
from fanin.augment.spec import *
from fanin.augment.transform import Transform
from fanin.augment.warps import *

__all__ = ["Transform"]
__all__ += colour.__all__
__all__ += compose.__all__
__all__ += composition.__all__
__all__ += crops.__all__
__all__ += erasing.__all__
__all__ += flips.__all__
__all__ += loaders.__all__
__all__ += mixing.__all__
__all__ += spec.__all__
__all__ += warps.__all__
