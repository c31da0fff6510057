"""The compiled tiles: a matrix product keeps its accumulators in registers."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

import kernel_builds
import pytest
from children import run

from fanin import _core

sys.path.insert(0, str(Path(__file__).parents[2]))
hot_loops = pytest.importorskip("benchmarks.hot_loops", reason="no benchmarks beside the tests")

# Accumulators that the largest tile must have at least: with fewer, the latency of the
# multiplications shows. (Registers there: 32, 16, 32.)
LEAST_ACCUMULATORS = {"avx512": 16, "avx2": 10, "neon": 16}
HERE = {"x86_64": ["avx512", "avx2"], "aarch64": ["neon"]}.get(platform.machine(), [])
INSTALLED = [isa for isa in HERE if isa in _core.supported_isas()]

needs_objdump = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("objdump"), reason="needs objdump on Linux"
)


def faults(loops, isa):
    """What is wrong with the tiles of one instruction set."""
    found = []
    for dtype in ("float32", "float64"):
        tiles = [loop for loop in loops if (loop.isa, loop.dtype) == (isa, dtype)]
        found += [f"{dtype}: {loop}" for loop in tiles if loop.spills or loop.calls]
        most = max((loop.accumulators for loop in tiles), default=0)
        if most < LEAST_ACCUMULATORS[isa]:
            found.append(f"{dtype}: the largest tile has {most} accumulators")
    return found


@pytest.fixture(scope="module")
def loops_of_the_module():
    return hot_loops.tile_loops(Path(_core.__file__))


@needs_objdump
@pytest.mark.parametrize("isa", INSTALLED)
def test_installed_tiles_spill_no_accumulator(isa, loops_of_the_module):
    assert faults(loops_of_the_module, isa) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("compiler", "isa"), [("clang", "avx512"), ("clang", "avx2"), ("cross", "neon")]
)
def test_tiles_of_other_compilers_spill_no_accumulator(compiler, isa):
    if compiler == "clang" and isa not in HERE:
        pytest.skip(f"no {isa} here")
    compiled = kernel_builds.kernel_object(compiler, isa)
    objdump = kernel_builds.tool("aarch64-linux-gnu-objdump" if isa == "neon" else "objdump")
    assert faults(hot_loops.tile_loops(compiled, objdump), isa) == []


# A tile of ROWS x 2 vectors of WIDTH bytes, written as the real ones are.
TILE = """
typedef TYPE V __attribute__((vector_size(WIDTH)));
void tile(const TYPE* a, long a_row, const TYPE* b, TYPE* c, long n) {
  V acc[ROWS][2] = {};
  for (long k = 0; k < n; ++k, b += 2 * WIDTH / sizeof(TYPE)) {
    V b0, b1;
    __builtin_memcpy(&b0, b, WIDTH);
    __builtin_memcpy(&b1, (const char*)b + WIDTH, WIDTH);
#pragma GCC unroll 64
    for (int r = 0; r < ROWS; ++r) {
      const TYPE x = a[r * a_row + k];
      acc[r][0] += b0 * x;
      acc[r][1] += b1 * x;
    }
  }
  __builtin_memcpy(c, acc, sizeof acc);
}
"""
TARGETS = {
    "avx512": ("g++", "objdump", ["-mavx512f", "-mprefer-vector-width=512"], 64),
    "avx2": ("g++", "objdump", ["-mavx2", "-mfma"], 32),
    "neon": ("aarch64-linux-gnu-g++", "aarch64-linux-gnu-objdump", ["-fno-schedule-insns"], 16),
}


def compiled_tile(folder, isa, rows, dtype):
    compiler, objdump, flags, width = TARGETS[isa]
    if isa in HERE:
        compiler, objdump = "g++", "objdump"
    for program in (compiler, objdump):
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    if isa not in HERE and isa != "neon":
        pytest.skip(f"no compiler for {isa}")
    source, output = folder / "tile.cpp", folder / "tile.o"
    source.write_text(TILE)
    defines = [f"-DROWS={rows}", f"-DTYPE={dtype}", f"-DWIDTH={width}"]
    command = [compiler, "-O3", *flags, *defines, "-c", source, "-o", output]
    run(command, check=True)
    return hot_loops.tile_loops(output, objdump)


@pytest.mark.parametrize("dtype", ["float", "double"])
@pytest.mark.parametrize("isa", TARGETS)
def test_the_spill_detector_detects(isa, dtype, tmp_path):
    fitting, excessive = {"avx512": (8, 20), "avx2": (5, 12), "neon": (10, 20)}[isa]
    (loop,) = compiled_tile(tmp_path, isa, fitting, dtype)
    assert (loop.isa, loop.multiplications, loop.spills) == (isa, 2 * fitting, ())
    assert loop.accumulators == 2 * fitting
    spilling = compiled_tile(tmp_path, isa, excessive, dtype)
    assert spilling
    assert all(loop.spills for loop in spilling)
    assert any("Loop" in fault for fault in faults(spilling, isa))


def test_too_small_a_tile_is_a_fault():
    assert faults([], "avx2") == [
        f"{dtype}: the largest tile has 0 accumulators" for dtype in ("float32", "float64")
    ]
