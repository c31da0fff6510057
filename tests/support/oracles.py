"""Other libraries, where they are installed, as oracles."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest


def torchvision_functional() -> Any:
    """``torchvision.transforms.functional``, also where torchvision's compiled part is missing.

    A torchvision built for another build of torch has no operators, and its import fails where it
    describes their shapes; its functional code needs neither.
    """
    shapes = "torchvision._meta_registrations"
    sys.modules.setdefault(shapes, ModuleType(shapes))
    return pytest.importorskip("torchvision.transforms.functional")
