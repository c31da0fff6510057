"""The kernels built alone by each compiler (tests/kernels), for the tests that look at those.

A build takes a minute or more: ``FANIN_KERNEL_BUILD=folder pytest`` says where to keep them, and
then a missing tool fails the tests instead of skipping them.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

KERNELS = Path(__file__).parents[1] / "kernels"
FOLDER = os.environ.get("FANIN_KERNEL_BUILD", "")

# The first of these compilers that is there.
COMPILERS = {"gcc": ["g++"], "clang": ["clang++-16", "clang++"], "cross": ["aarch64-linux-gnu-g++"]}
CROSS = [
    "-DCMAKE_SYSTEM_NAME=Linux",
    "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
    "-DCMAKE_EXE_LINKER_FLAGS=-static",
]


def tool(*names: str) -> str:
    """The path of the first of these programs that is installed; else this test is skipped."""
    for name in names:
        if path := shutil.which(name):
            return path
    missing = f"needs {' or '.join(names)}"
    if FOLDER:
        pytest.fail(missing)
    pytest.skip(missing)


@cache
def _build(compiler: str) -> Path:
    folder = Path(FOLDER).resolve() / compiler
    configure = [tool("cmake"), "-S", KERNELS, "-B", folder, "-DFANIN_STRICT=ON"]
    configure += [f"-DCMAKE_CXX_COMPILER={tool(*COMPILERS[compiler])}"]
    for command in (
        configure + (CROSS if compiler == "cross" else []),
        [tool("cmake"), "--build", folder, "--parallel", str(os.cpu_count())],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def build(compiler: str) -> Path:
    """The folder of one compiler's build, up to date."""
    if not FOLDER:
        pytest.skip("FANIN_KERNEL_BUILD names no folder to build the kernels in")
    if not (KERNELS.parents[1] / "cpp").is_dir():
        pytest.skip("no C++ sources beside the tests")
    if compiler == "cross" and platform.machine() != "x86_64":
        pytest.skip("the cross build is for x86-64 machines")
    return _build(compiler)


def kernel_object(compiler: str, isa: str) -> Path:
    """The object file of one instruction set."""
    (found,) = build(compiler).rglob(f"isa_{isa}.dir/**/{isa}.cpp.o")
    return found


@cache
def hashes(compiler: str, isa: str) -> dict[str, str]:
    """What run_kernels prints: name of a case -> hash of its results."""
    program = [str(build(compiler) / "run_kernels"), isa]
    if compiler == "cross":
        program.insert(0, tool("qemu-aarch64", "qemu-aarch64-static"))
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    return dict(line.rsplit(": ", 1) for line in done.stdout.splitlines())
