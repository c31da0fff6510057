"""Every example in a public docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanin

MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages(fanin.__path__, "fanin.")
    if not any(part.startswith("_") for part in m.name.split(".")[1:])
)
OPTIONAL = {"fanin.plots": "matplotlib"}
WITH_EXAMPLES = [
    "augment",
    "augment.colour",
    "augment.compose",
    "augment.composition",
    "augment.crops",
    "augment.erasing",
    "augment.flips",
    "augment.loaders",
    "augment.mixing",
    "augment.spec",
    "augment.warps",
    "diagnostics",
    "ensemble.averaging",
    "ensemble.builders",
    "ensemble.model",
    "ensemble.selection",
    "initializers",
    "layers",
    "lecture",
    "losses",
    "network.mlp",
    "optim",
    "preprocessing",
    "random",
    "schedules",
]


def _optional(module: str) -> str | None:
    """The package that a module's examples need, beyond the run-time dependencies."""
    return OPTIONAL.get(".".join(module.split(".")[:2]))


@pytest.mark.parametrize("module", ["fanin", "fanin.diagnostics.data_report", *MODULES])
def test_examples(module: str, tmp_path: Path, monkeypatch: Any) -> None:
    if package := _optional(module):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)  # an example that writes does so here
    before = fanin.get_num_threads()
    try:
        results = doctest.testmod(
            importlib.import_module(module),
            extraglobs={"fanin": fanin, "np": np},  # as a reader has them
            optionflags=doctest.NORMALIZE_WHITESPACE,
        )
    finally:
        fanin.set_num_threads(before)
    assert results.failed == 0
    if module.removeprefix("fanin.") in WITH_EXAMPLES:
        assert results.attempted > 0


def test_every_public_name_has_a_docstring() -> None:
    missing = []
    for module in MODULES:
        if _optional(module):
            continue
        contents = importlib.import_module(module)
        for name in getattr(contents, "__all__", ()):
            item = getattr(contents, name)
            if callable(item) and not (item.__doc__ or "").strip():
                missing.append(f"{module}.{name}")
    assert not missing
