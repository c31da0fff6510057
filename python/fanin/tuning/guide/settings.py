"""Hyperparameters as the guide passes them from step to step: JSON values by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fanin import _validate
from fanin.network import MLP
from fanin.network.options import NETWORK_OPTIONS
from fanin.tuning.guide.problem import Problem

HIDDEN = [256]
# All that a search may vary, but what has a place of its own (depth, seed) or belongs to the data.
KNOWN = (
    "activation",
    "augment",
    "batch_size",
    "clip_norm",
    "drop_connect",
    "drop_connect_inference",
    "drop_connect_mask",
    "dropout_mode",
    "dtype",
    "hidden",
    "init",
    "keep",
    "loss",
    "lr",
    "mix",
    "optimizer",
    "output_init",
    "reg",
    "schedule",
)


def default_settings(problem: Problem) -> dict[str, Any]:
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


def settings_of(net: MLP) -> dict[str, Any]:
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


def check_settings(name: str, settings: Any) -> dict[str, Any]:
    """A dict of known settings."""
    if not isinstance(settings, Mapping):
        raise TypeError(f"{name}: expected a dict, got {_validate.describe(settings)}")
    for key in settings:
        if key not in KNOWN:
            raise ValueError(f"{name}: expected options among {', '.join(KNOWN)}; got {key!r}")
    return dict(settings)


def build_network(settings: Mapping[str, Any], problem: Problem, seed: int, **changes: Any) -> MLP:
    """A fresh network of these settings."""
    options = {**settings, **changes}
    hidden = options["hidden"]
    widths = [hidden] if isinstance(hidden, int) else list(hidden)
    given = {k: v for k, v in options.items() if k in NETWORK_OPTIONS}
    return MLP([problem.width, *widths, problem.n_classes], seed=seed, **given)


def count_parameters(settings: Mapping[str, Any], problem: Problem) -> int:
    """Weights and biases of such a network."""
    hidden = settings["hidden"]
    widths = [hidden] if isinstance(hidden, int) else list(hidden)
    dims = np.array([problem.width, *widths, problem.n_classes], dtype=np.int64)
    return int(((dims[:-1] + 1) * dims[1:]).sum())


def describe(settings: Mapping[str, Any]) -> str:
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
