"""Training from a file that is not to be in memory.

``python -m benchmarks.studies.larger_than_memory [--gb 4] [--ways map chunks parquet memory]``
writes a file of random float32 rows, and trains a small network for an epoch of it in several ways:
on the memory map, whose rows it takes at random; on chunks of it; on the row groups of a Parquet
file of the same rows; on an array in memory; and PyTorch's DataLoader over the map. Each is a
process of its own. It prints the most memory that was resident while it trained, and what was
before, of which pages of the file are a part, rows a second of CPU time and of the clock, and the
accuracy on the first rows. The exit code is 1 where one of the first three took 500 MB or more.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fanin
from fanin.datasets import Chunks

COLUMNS, BAR = 256, 500  # MB
BLOCK = 2**16  # rows, 64 MB
TORCH_ROWS = 2**17  # of which it takes long enough
WAYS = ("map", "chunks", "parquet", "memory", "torch")


def write(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for begin in range(0, rows, BLOCK):
            rng.standard_normal((min(BLOCK, rows - begin), COLUMNS), np.float32).tofile(file)


def write_parquet(source: Path, path: Path, rows: int) -> None:
    """The rows and their labels, in row groups of a block each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [(f"x{i}", pa.float32()) for i in range(COLUMNS)]
    schema = pa.schema([*fields, ("label", pa.bool_())])
    X = np.memmap(source, np.float32, "r", shape=(rows, COLUMNS))
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for begin in range(0, rows, BLOCK):
            block = np.array(X[begin : begin + BLOCK])
            columns = [*map(pa.array, np.ascontiguousarray(block.T)), pa.array(labels(block))]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=BLOCK)


def labels(X: np.ndarray) -> np.ndarray:
    """By the sum of the first columns."""
    return np.concatenate([X[i : i + BLOCK, :4].sum(axis=1) > 0 for i in range(0, len(X), BLOCK)])


def status(name: str) -> float:
    """A line of the process's status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def train(way: str, X: np.ndarray, y: np.ndarray, path: Path) -> int:
    """An epoch; returns the rows that it had."""
    if way == "torch":
        return train_torch(X, y)
    net = fanin.MLP([COLUMNS, 16, 2])
    options = {"epochs": 1, "batch_size": 128, "preprocess": "standardize", "progress": False}
    if way == "chunks":
        parts = [(X[i : i + BLOCK], y[i : i + BLOCK]) for i in range(0, len(X), BLOCK)]
        net.fit(Chunks(parts), **options)
    elif way == "parquet":
        net.fit(fanin.datasets.parquet(path.with_suffix(".parquet"), target="label"), **options)
    else:
        net.fit(X, y, **options)
    accuracy = net.evaluate(X[:10_000], y[:10_000])["accuracy"]
    print(f"  accuracy {accuracy:.4f}, at the end RssAnon {status('RssAnon'):.0f} MB, RssFile "
          f"{status('RssFile'):.0f} MB")  # fmt: skip
    return len(X)


def train_torch(X: np.ndarray, y: np.ndarray) -> int:
    """The same steps over a DataLoader of the map's rows, standardised already."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(fanin.get_num_threads())
    rows = min(len(X), TORCH_ROWS)
    data = TensorDataset(torch.from_numpy(X[:rows]), torch.from_numpy(y[:rows].astype(np.int64)))
    net = torch.nn.Sequential(torch.nn.Linear(COLUMNS, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
    adam = torch.optim.Adam(net.parameters())
    for inputs, targets in DataLoader(data, 128, shuffle=True):
        adam.zero_grad()
        torch.nn.functional.cross_entropy(net(inputs), targets).backward()
        adam.step()
    return rows


def measure(way: str, path: Path) -> int:
    """One way, in this process."""
    rows = path.stat().st_size // 4 // COLUMNS
    X = np.memmap(path, np.float32, "r" if way != "torch" else "c", shape=(rows, COLUMNS))
    y = labels(X)
    if way == "memory":
        X = np.array(X)
    else:
        del X
        X = np.memmap(path, np.float32, "r" if way != "torch" else "c", shape=(rows, COLUMNS))
    Path("/proc/self/clear_refs").write_text("5")  # the peak is from here on
    start, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    before = status("VmRSS")
    rows = train(way, X, y, path)
    seconds, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    spent = now.ru_utime + now.ru_stime - cpu.ru_utime - cpu.ru_stime
    peak = status("VmHWM")
    print(f"{way:>7}: at most {peak:4.0f} MB resident ({before:.0f} before); "
          f"{rows / spent / 1e3:.0f} thousand rows a second of CPU, {rows / seconds / 1e3:.0f} of "
          f"the clock ({seconds:.0f} s)")  # fmt: skip
    return int(way in WAYS[:3] and peak >= BAR)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=4.0)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["map", "chunks"])
    parser.add_argument("--file", type=Path, help="measure one way on this file, here")
    options = parser.parse_args()
    if options.file is not None:
        return measure(options.ways[0], options.file)
    rows = int(options.gb * 2**30 / 4 / COLUMNS)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "X.f32"
        write(path, rows)
        if "parquet" in options.ways:
            write_parquet(path, path.with_suffix(".parquet"), rows)
        print(f"{rows * COLUMNS * 4 / 2**30:.1f} GB, {rows} rows", flush=True)
        command = [sys.executable, "-m", "benchmarks.studies.larger_than_memory", "--file", path]
        return max(subprocess.call([*command, "--ways", way]) for way in options.ways)


if __name__ == "__main__":
    sys.exit(main())
