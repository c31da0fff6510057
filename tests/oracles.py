"""Other libraries, where they are installed, as oracles."""

from __future__ import annotations

import importlib
from typing import Any

import pytest


def torchvision_functional() -> Any:
    """``torchvision.transforms.functional``, also where torchvision's compiled part is missing.

    The pip index of PyTorch has torchvision without operators for other builds of torch; its
    functional code needs none of them, only that their names exist.
    """
    torch = pytest.importorskip("torch")
    try:
        importlib.import_module("torchvision")
    except ImportError:
        pytest.skip("no torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)
    return importlib.import_module("torchvision.transforms.functional")


_kept: list[Any] = []  # a library's operators live as long as it does
