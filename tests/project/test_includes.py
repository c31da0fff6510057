"""The folders of the C++ sources include one another in one direction only."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

CPP = Path(__file__).parents[2] / "cpp"
INCLUDE = re.compile(r'^#include "(.+)"', re.MULTILINE)

# What each folder may include besides itself. Tables of kernels lie in isa, which compiles them.
MAY_INCLUDE = {
    "core": set(),
    "simd": {"core"},
    "kernels": {"core", "simd"},
    "isa": {"core", "simd", "kernels"},
    "engine": {"core", "simd", "kernels", "isa"},
    "bind": {"core", "simd", "kernels", "isa", "engine"},
}

pytestmark = pytest.mark.skipif(not CPP.is_dir(), reason="no C++ sources beside the tests")


def includes():
    """File -> the files that it includes, as paths below cpp."""
    return {
        file.relative_to(CPP).as_posix(): INCLUDE.findall(file.read_text(encoding="utf-8"))
        for file in CPP.rglob("*.[ch]pp")
    }


def folder(file):
    return file.split("/")[0]


def test_every_include_is_a_file_below_cpp():
    lost = [
        (f, i) for f, included in includes().items() for i in included if not (CPP / i).exists()
    ]
    assert lost == []


def test_arrows_run_from_bind_to_core():
    assert {folder(file) for file in includes()} == MAY_INCLUDE.keys()
    wrong = [
        f"{file} includes {i}"
        for file, included in includes().items()
        for i in included
        if folder(i) != folder(file) and folder(i) not in MAY_INCLUDE[folder(file)]
    ]
    assert wrong == []


def test_no_file_includes_itself_by_way_of_others():
    TopologicalSorter(includes()).prepare()  # raises CycleError
