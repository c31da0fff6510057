"""Other libraries, where they are installed, as oracles."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest


def torch_activations() -> dict[str, Any]:
    """PyTorch's function of each activation's name; softplus without its default threshold."""
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    return {
        "identity": lambda z: z,
        "relu": torch.relu,
        "leaky_relu": f.leaky_relu,
        "elu": f.elu,
        "gelu": f.gelu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "silu": f.silu,
        "mish": f.mish,
        "softplus": lambda z: f.softplus(z, threshold=40),
        "selu": f.selu,
    }


def torchvision_functional() -> Any:
    """``torchvision.transforms.functional``, also where torchvision's compiled part is missing.

    A torchvision built for another build of torch has no operators, and its import fails where it
    describes their shapes; its functional code needs neither.
    """
    shapes = "torchvision._meta_registrations"
    sys.modules.setdefault(shapes, ModuleType(shapes))
    return pytest.importorskip("torchvision.transforms.functional")
