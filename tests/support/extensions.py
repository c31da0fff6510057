"""Extension modules of a few lines, which show what pybind11 does by itself."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import pytest
from children import run


def with_module(folder: Path, name: str, body: str) -> dict[str, str]:
    """The environment of a child that can import a module, compiled from its body; else a skip."""
    pybind11 = pytest.importorskip("pybind11")
    if sys.platform != "linux" or not shutil.which("g++"):
        pytest.skip("needs g++ on Linux")
    source = folder / f"{name}.cpp"
    source.write_text(f"#include <pybind11/pybind11.h>\n{body}")
    includes = [f"-I{pybind11.get_include()}", f"-I{sysconfig.get_path('include')}"]
    to = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    run(["g++", "-std=c++17", "-shared", "-fPIC", *includes, source, "-o", to], check=True)
    return os.environ | {"PYTHONPATH": str(folder)}
