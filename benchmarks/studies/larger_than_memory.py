"""Training from a file that is not to be in memory.

``python -m benchmarks.studies.larger_than_memory [--gb 4]`` writes a file of random float32 rows,
maps it, trains a small network on it for an epoch, and prints the most memory that the process has
had resident, of which mapped pages are a part. It ends with exit code 0 where that is below 500 MB,
else 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import fanin

COLUMNS, BAR = 256, 500  # MB
PAGE = 4096


class Peak(threading.Thread):
    """The most resident memory, looked at every 5 ms: the kernel's own has what came before."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.done = 0, threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.005):
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
            self.most = max(self.most, resident)


def write(path: Path, rows: int) -> None:
    rng, block = np.random.default_rng(0), 2**16
    with path.open("wb") as file:
        for begin in range(0, rows, block):
            size = min(block, rows - begin)
            rng.standard_normal((size, COLUMNS), np.float32).tofile(file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=4.0)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    rows = int(options.gb * 2**30 / 4 / COLUMNS)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "X.f32"
        write(path, rows)
        X = np.memmap(path, np.float32, "r", shape=(rows, COLUMNS))
        y = np.random.default_rng(1).integers(0, 2, rows)
        net, peak, start = fanin.MLP([COLUMNS, 16, 2]), Peak(), time.perf_counter()
        peak.start()
        net.fit(X, y, epochs=1, batch_size=128, preprocess="standardize", progress=False)
        peak.done.set()
        peak.join()
        seconds = time.perf_counter() - start
    most = peak.most / 2**20
    print(f"{X.nbytes / 2**30:.1f} GB in {seconds:.0f} s, at most {most:.0f} MB resident")
    return 0 if most < BAR else 1


if __name__ == "__main__":
    sys.exit(main())
