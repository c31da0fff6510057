"""Hyperparameters as the guide passes them from step to step: JSON values by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fanin import _validate
from fanin.network import MLP
from fanin.tuning.guide.problem import Problem
from fanin.tuning.search.objective import OPTIONS
from fanin.tuning.space import Choice, Integers, Parameter, Range

HIDDEN = [256]
# What has a place of its own, or belongs to the data.
_NOT_HERE = ("depth", "seed", "preprocess", "sampling", "sample_weight")
KNOWN = [name for name in OPTIONS if name not in _NOT_HERE]
_KINDS: dict[str, type[Range | Choice]] = {"range": Range, "integers": Integers, "choice": Choice}


def defaults(problem: Problem) -> dict[str, Any]:
    """Where a guide begins that knows nothing."""
    return {
        "hidden": list(HIDDEN),
        "activation": "relu",
        "init": "kaiming",
        "loss": "softmax",
        "keep": 1.0,
        "optimizer": "adam",
        "batch_size": problem.batch_size,
        "reg": 0.0,
    }


def of_network(net: MLP) -> dict[str, Any]:
    """The settings that a network has: all but those of its training."""
    config = net.config()
    hidden = config["dims"][1:-1]
    settings: dict[str, Any] = {"hidden": list(hidden)}
    for name, value in config.items():
        if name in ("dims", "seed"):
            continue
        if isinstance(value, list):  # one for each layer
            if not value:
                continue
            value = value[0] if len(set(value)) == 1 else value
        settings[name] = value
    return settings


def check(name: str, settings: Any) -> dict[str, Any]:
    """A dict of known settings."""
    if not isinstance(settings, Mapping):
        raise TypeError(f"{name}: expected a dict, got {_validate.describe(settings)}")
    for key in settings:
        if key not in KNOWN:
            raise ValueError(f"{name}: expected options among {', '.join(KNOWN)}; got {key!r}")
    return dict(settings)


def build(settings: Mapping[str, Any], problem: Problem, seed: int, **changes: Any) -> MLP:
    """A fresh network of these settings."""
    options = {**settings, **changes}
    hidden = options["hidden"]
    widths = [hidden] if isinstance(hidden, int) else list(hidden)
    names = of_network(MLP([1, 1, 1]))
    given = {k: v for k, v in options.items() if k in names and k != "hidden"}
    return MLP([problem.width, *widths, problem.n_classes], seed=seed, **given)


def n_params(settings: Mapping[str, Any], problem: Problem) -> int:
    """Weights and biases of such a network."""
    hidden = settings["hidden"]
    widths = [hidden] if isinstance(hidden, int) else list(hidden)
    dims = np.array([problem.width, *widths, problem.n_classes], dtype=np.int64)
    return int(((dims[:-1] + 1) * dims[1:]).sum())


def space_to_dict(space: Mapping[str, Parameter]) -> dict[str, Any]:
    """A space as JSON values."""
    return {name: parameter.to_dict() for name, parameter in space.items()}


def space_from_dict(data: Mapping[str, Any]) -> dict[str, Parameter]:
    """The inverse of `space_to_dict`."""
    space: dict[str, Parameter] = {}
    for name, facts in data.items():
        values = {k: v for k, v in facts.items() if k != "kind"}
        if facts["kind"] == "choice":
            values["options"] = tuple(values["options"])
        space[name] = _KINDS[facts["kind"]](**values)
    return space


def text(settings: Mapping[str, Any]) -> str:
    """``hidden 256-128, lr 0.001, keep 0.8``: what a person wants to read of them."""
    parts = []
    for name in ("hidden", "activation", "init", "optimizer", "lr", "reg", "keep", "schedule"):
        value = settings.get(name)
        if value is None or (name in ("reg", "keep") and value == {"reg": 0.0, "keep": 1.0}[name]):
            continue
        if isinstance(value, list):
            value = "-".join(map(str, value))
        parts.append(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(parts)
