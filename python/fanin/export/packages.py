"""Packages that are imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any


def required(package: str, caller: str, install: str) -> Any:
    """The module of that name; where it is missing an error says what to install."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(f"{caller} needs {package}: pip install {install}") from error
