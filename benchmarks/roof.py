"""The machine's own roof: fused multiply-adds, reads from memory, and updates in memory.

``python -m benchmarks.roof`` prints it for one and two threads. With a C compiler (``$CC``, cc, gcc
or clang) roof.c is compiled for this machine; without one the figures are what fanin's and NumPy's
own loops reach, and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

SOURCE = Path(__file__).with_name("roof.c")
ISA_FLAGS = {"avx2": ["-mno-avx512f"]}


class Roof(NamedTuple):
    """Of ``threads`` threads together."""

    threads: int
    gflops: float
    reads: float  # GB/s of arrays that are only read
    updates: float  # GB/s of four arrays read, three of them written back
    source: str

    def seconds(self, flops: float, memory_bytes: float, traffic: str = "read") -> float:
        """The least time for that much work: arithmetic and memory overlap at best."""
        return 1e-9 * max(flops / self.gflops, memory_bytes / self.gbytes(traffic))

    def gbytes(self, traffic: str) -> float:
        """GB/s of "read" or of "update"."""
        return {"read": self.reads, "update": self.updates}[traffic]

    def at_bandwidth(self, gbytes: float) -> Self:
        """The same arithmetic beside another memory."""
        return self._replace(reads=gbytes, updates=gbytes)


class Meter:
    """The program that measures the roof of an instruction set; "" is the machine's best."""

    def __init__(self, isa: str = "") -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.program: Path | None = None
        self.source = "fanin's own kernels"
        if compiler := _compiler():
            try:
                self.program = _compile(compiler, Path(self.folder.name), isa)
            except subprocess.CalledProcessError as error:
                print(f"roof: {compiler} failed: {error.stderr.strip()}", file=sys.stderr)
            else:
                self.source = Path(compiler).name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()

    def measure(self, threads: int) -> Roof:
        if self.program is None:
            return Roof(threads, *_from_kernels(threads), self.source)
        command = [self.program, str(threads)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        gflops, reads, updates = map(float, done.stdout.split())
        return Roof(threads, gflops, reads, updates, self.source)


def best(roofs: Sequence[Roof]) -> Roof:
    """The highest of several measurements, figure by figure."""
    gflops, reads, updates = (max(r[i] for r in roofs) for i in (1, 2, 3))
    return roofs[0]._replace(gflops=gflops, reads=reads, updates=updates)


def _compiler() -> str | None:
    names = [os.environ.get("CC", ""), "cc", "gcc", "clang"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


def _compile(compiler: str, folder: Path, isa: str) -> Path:
    program = folder / "roof"
    target = "-mcpu=native" if os.uname().machine in ("arm64", "aarch64") else "-march=native"
    flags = ["-O3", target, *ISA_FLAGS.get(isa, []), "-ffp-contract=fast"]
    command = [compiler, *flags, "-pthread", str(SOURCE), "-o", str(program)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return program


def _from_kernels(threads: int) -> tuple[float, float, float]:
    """Without a compiler: a dense layer in cache, a maximum over and a sum into long arrays."""
    import fanin

    size, length = 512, 1 << 25
    x, W = (np.ones((size, size), dtype=np.float32) for _ in range(2))
    out = np.empty_like(x)
    product = _least(lambda: fanin.layers.dense(x, W, out=out, n_threads=threads))
    arrays = [np.ones((2, length), dtype=np.float32) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        read = _least(lambda: list(pool.map(np.max, arrays)))
        update = _least(lambda: list(pool.map(lambda a: np.add(a[0], a[1], out=a[0]), arrays)))
    gbytes = 4e-9 * length * threads
    return 2e-9 * size**3 / product, 2 * gbytes / read, 3 * gbytes / update


def _least(work: Callable[[], object], rounds: int = 10) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    for isa in ("", *ISA_FLAGS):
        with Meter(isa) as meter:
            for roof in map(meter.measure, (1, 2)):
                print(
                    f"{isa or 'native':6} {roof.threads} thread{'s' if roof.threads > 1 else ' '}  "
                    f"{roof.gflops:6.1f} GFLOP/s  {roof.reads:5.1f} GB/s read  "
                    f"{roof.updates:5.1f} GB/s updated  ({roof.source})"
                )


if __name__ == "__main__":
    main()
