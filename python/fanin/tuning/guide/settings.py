"""Hyperparameters as the guide passes them from step to step: JSON values by name."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from fanin import _validate
from fanin.network import MLP
from fanin.network.options import FIT_OPTIONS, NETWORK_OPTIONS
from fanin.tuning.guide.problem import Problem
from fanin.tuning.guide.tasks import Task
from fanin.tuning.search.objective import OPTIONS

# All that a search may vary, but what has a place of its own or belongs to the data.
OF_THE_DATA = ("class_weight", "depth", "preprocess", "sampling", "seed")
KNOWN = [name for name in OPTIONS if name not in OF_THE_DATA]
# Those of `MLP.fit`; the optimizer is made with its rate.
FIT_SETTINGS = [name for name in KNOWN if name in FIT_OPTIONS and name != "optimizer"]


FEW = 5000  # rows, of which fewer ask for narrower layers


def default_settings(problem: Problem) -> dict[str, Any]:
    """Where a guide begins that knows nothing."""
    return {
        "hidden": [128] if problem.n < FEW else [256],
        "activation": "relu",
        "init": "kaiming",
        **problem.task.spec.config(),
        "keep": 1.0,
        "optimizer": "adam",
        "batch_size": problem.batch_size,
        "reg": 0.0,
    }


def settings_of(net: MLP) -> dict[str, Any]:
    """The settings that a network has: all but those of its training."""
    config = net.config()
    settings: dict[str, Any] = {"hidden": list(config.pop("dims")[1:-1])}
    del config["seed"]
    for name, value in config.items():
        if isinstance(value, list) and len(set(value)) == 1:  # one for each layer
            value = value[0]
        if value != []:
            settings[name] = value
    return settings


def check_settings(name: str, settings: Any) -> dict[str, Any]:
    """A dict of known settings."""
    if not isinstance(settings, Mapping):
        raise TypeError(f"{name}: expected a dict, got {_validate.describe(settings)}")
    if unknown := [key for key in settings if key not in KNOWN]:
        raise ValueError(f"{name}: expected options among {', '.join(KNOWN)}; got {unknown[0]!r}")
    return dict(settings)


def build_network(
    settings: Mapping[str, Any], width: int, task: Task, seed: int, **changes: Any
) -> MLP:
    """A fresh network of these settings, with so many inputs, for that task."""
    options = {**settings, **changes}
    given = {k: v for k, v in options.items() if k in NETWORK_OPTIONS}
    return task.start(MLP(all_dims(options, (width, task.n_outputs)), seed=seed, **given))


def count_parameters(settings: Mapping[str, Any], dims: tuple[int, int]) -> int:
    """Weights and biases of such a network."""
    return sum((before + 1) * width for before, width in pairwise(all_dims(settings, dims)))


def all_dims(settings: Mapping[str, Any], dims: tuple[int, int]) -> list[int]:
    hidden = settings["hidden"]
    widths = [hidden] if isinstance(hidden, int) else hidden
    return [dims[0], *widths, dims[1]]


def describe(settings: Mapping[str, Any]) -> str:
    """``hidden 256-128, lr 0.001, keep 0.8``: the settings in short."""
    unsaid = ("reg", 0.0), ("keep", 1.0)
    names = ["hidden", "activation", "init", "optimizer", "lr", "reg", "keep", "schedule"]
    if settings.get("hidden") == []:  # nothing to activate or to drop
        names = [name for name in names if name not in ("activation", "keep")]
    found = ((name, settings.get(name)) for name in names)
    return ", ".join(f"{n} {text(v)}" for n, v in found if v is not None and (n, v) not in unsaid)


def text(value: Any) -> str:
    """A setting in few characters."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return "-".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
