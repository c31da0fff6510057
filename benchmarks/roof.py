"""The machine's own roof: fused multiply-adds and reads from memory, on one and two threads.

``python -m benchmarks.roof`` prints it. With a C compiler (``$CC``, cc, gcc or clang) roof.c is
compiled for this machine; without one the figures are what fanin's and NumPy's own loops reach,
and say so. ``FANIN_ISA=avx2`` gives the roof of AVX2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

SOURCE = Path(__file__).with_name("roof.c")
ISA_FLAGS = {"avx2": ["-mno-avx512f"]}


class Roof(NamedTuple):
    """Of ``threads`` threads together."""

    threads: int
    gflops: float
    gbytes: float  # GB/s of reads
    source: str

    def seconds(self, flops: float, memory_bytes: float) -> float:
        """The least time for that much work: arithmetic and reading overlap at best."""
        return 1e-9 * max(flops / self.gflops, memory_bytes / self.gbytes)


def measure(threads: tuple[int, ...] = (1, 2)) -> list[Roof]:
    compiler = _compiler()
    if compiler:
        with tempfile.TemporaryDirectory() as folder:
            try:
                program = _compile(compiler, Path(folder))
            except subprocess.CalledProcessError as error:
                print(f"roof: {compiler} failed: {error.stderr.strip()}", file=sys.stderr)
            else:
                return [_run(program, n, Path(compiler).name) for n in threads]
    return [_from_kernels(n) for n in threads]


def best(a: list[Roof], b: list[Roof]) -> list[Roof]:
    """The higher of two measurements, figure by figure."""
    return [
        x._replace(gflops=max(x.gflops, y.gflops), gbytes=max(x.gbytes, y.gbytes))
        for x, y in zip(a, b, strict=True)
    ]


def _compiler() -> str | None:
    names = [os.environ.get("CC", ""), "cc", "gcc", "clang"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


def _compile(compiler: str, folder: Path) -> Path:
    program = folder / "roof"
    target = "-mcpu=native" if os.uname().machine in ("arm64", "aarch64") else "-march=native"
    flags = [
        "-O3",
        target,
        *ISA_FLAGS.get(os.environ.get("FANIN_ISA", ""), []),
        "-ffp-contract=fast",
    ]
    command = [compiler, *flags, "-pthread", str(SOURCE), "-o", str(program)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return program


def _run(program: Path, threads: int, source: str) -> Roof:
    done = subprocess.run([program, str(threads)], check=True, capture_output=True, text=True)
    gflops, gbytes = map(float, done.stdout.split())
    return Roof(threads, gflops, gbytes, source)


def _from_kernels(threads: int) -> Roof:
    """Without a compiler: a dense layer that stays in cache, and a maximum over a long array."""
    import fanin

    size = 512
    x, W = (np.ones((size, size), dtype=np.float32) for _ in range(2))
    out = np.empty_like(x)
    product = _least(lambda: fanin.layers.dense(x, W, out=out, n_threads=threads))
    streams = [np.ones(1 << 25, dtype=np.float32) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        read = _least(lambda: list(pool.map(np.max, streams)))
    return Roof(
        threads, 2e-9 * size**3 / product, 4e-9 * threads * (1 << 25) / read, "fanin's own kernels"
    )


def _least(work: Callable[[], object], rounds: int = 10) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    for roof in measure():
        print(
            f"{roof.threads} thread{'s' if roof.threads > 1 else ' '}  "
            f"{roof.gflops:7.1f} GFLOP/s  {roof.gbytes:6.1f} GB/s  ({roof.source})"
        )


if __name__ == "__main__":
    main()
