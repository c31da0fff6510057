"""Public names are documented, and every example in a docstring prints what it says."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import pkgutil
import re
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
OPTIONAL = {
    "fanin.augment.loaders": "torch",
    "fanin.plots": "matplotlib",
    "fanin.estimators": "sklearn",
    "fanin.export.converters": "skl2onnx",
    "fanin.export.onnx_file": "onnx",
    "fanin.export.pytorch": "torch",
    "fanin.export.pytorch_reading": "torch",
    "fanin.export.scikit_learn": "sklearn",
    "fanin.export.torch_modules": "torch",
}


def _optional(module: str) -> str | None:
    """The package that a module's examples need, beyond the run-time dependencies."""
    return OPTIONAL.get(module) or OPTIONAL.get(".".join(module.split(".")[:2]))


HIDDEN = ["fanin._files", "fanin._runtime"]  # their names are public in `fanin`


@pytest.mark.parametrize("module", ["fanin", "fanin.diagnostics.data_report", *HIDDEN, *MODULES])
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


def _compiled(item: Any) -> bool:
    """Whether it is of the core, whose docstrings have no examples."""
    return str(getattr(item, "__module__", "")).startswith("fanin._core")


def _arguments(item: Any) -> list[str]:
    try:
        return [n for n in inspect.signature(item).parameters if n not in {"args", "kwargs"}]
    except ValueError:  # of an exception, or an alias of a built-in type
        return []


def test_every_public_name_has_a_docstring_with_its_parameters_and_an_example() -> None:
    faults = []
    for module in ["fanin", *MODULES]:
        if (package := _optional(module)) and not importlib.util.find_spec(package):
            continue
        contents = importlib.import_module(module)
        for name in getattr(contents, "__all__", ()):
            item = getattr(contents, name)
            if not callable(item):
                continue
            text = inspect.getdoc(item) if item.__doc__ else None
            if not text:
                faults.append(f"{module}.{name} has no docstring")
            elif module.count(".") > 1:
                continue
            elif not re.search(r"^Examples\n---.*>>> ", text, re.M | re.S) and not _compiled(item):
                faults.append(f"{module}.{name} has no example")
            elif not _arguments(item):
                continue
            elif not re.search(r"^(Parameters|Attributes)\n---", text, re.M):
                faults.append(f"{module}.{name} does not describe its parameters")
    assert not faults, "\n".join(faults)
