"""fanin: dense networks on the CPU, from NumPy, at hardware speed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fanin import _runtime

_runtime.load_core()

from fanin import (  # noqa: E402
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    optim,
    preprocessing,
    random,
    schedules,
)
from fanin._core import __version__  # noqa: E402
from fanin._files import FileError, NotDurableError  # noqa: E402
from fanin._runtime import get_num_threads, set_num_threads, show_config  # noqa: E402
from fanin.network import MLP  # noqa: E402
from fanin.training import DivergenceWarning  # noqa: E402

if TYPE_CHECKING:
    from fanin import (
        augment,
        checkpoint,
        datasets,
        diagnostics,
        ensemble,
        export,
        lecture,
        plots,
        tuning,
    )
    from fanin.lecture import ClassifierTrainer, init_two_layer_model, two_layer_net

__all__ = [
    "MLP", "ClassifierTrainer", "DivergenceWarning", "FileError", "NotDurableError", "__version__",
    "augment", "callbacks", "checkpoint", "datasets", "diagnostics", "ensemble", "export",
    "get_num_threads", "init_two_layer_model", "initializers", "layers", "lecture", "losses",
    "metrics", "optim", "plots", "preprocessing", "random", "schedules", "set_num_threads",
    "show_config", "tuning", "two_layer_net",
]  # fmt: skip

_LAZY = (
    "augment", "checkpoint", "cli", "datasets", "diagnostics", "ensemble", "estimators", "export",
    "lecture", "plots", "tuning",
)  # fmt: skip
_OF_LECTURE = ("ClassifierTrainer", "init_two_layer_model", "two_layer_net")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"fanin.{name}")
    if name in _OF_LECTURE:
        return getattr(importlib.import_module("fanin.lecture"), name)
    raise AttributeError(f"module 'fanin' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
