"""What ``compute="bf16"`` gains, and what it costs: ``python -m benchmarks.studies.bf16``.

Layers relu(xW + b) and epochs in bf16 beside fanin's float32 and PyTorch's bf16 (autocast), each
library in a process of its own, in turns, on one thread and on two; the least time of each counts.
Then the test accuracy on Fashion-MNIST of both ways over some seeds. Ends with exit code 1 where a
bar is missed. What is not installed is left out by name. Where there are no tiles (AMX), the bars
are those of the emulation: 0.8 of float32's speed.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import fanin
from benchmarks import data
from benchmarks.worker import environment, seconds_of
from fanin import _core

LAYERS = [
    (128, 784, 256), (128, 1024, 1024), (256, 784, 1024), (64, 784, 512), (256, 4096, 4096),
    (1024, 1024, 1024),
]  # fmt: skip
EPOCHS = {"784-256-10": 128, "784-1024-1024-10": 256}  # and rows of a minibatch
# Bars of bf16 over float32 by threads, with tiles and without.
LAYER_BAR, EPOCH_BARS = 5.5, {"784-256-10": (3.0, 2.7), "784-1024-1024-10": (5.5, 4.8)}
EMULATED_BAR, TORCH_BAR, ACCURACY_BAR = 0.8, 1.3, 0.2
STEPS = 100  # of an epoch, which stand for it
SHORTEST = 0.1  # seconds of a measurement
ACCURACY = {"epochs": 5, "batch_size": 128, "optimizer": "adam", "progress": False}

Run = Callable[[], object]


def operands(shape: Sequence[int]) -> list[np.ndarray]:
    n, d, h = shape
    rng = np.random.default_rng(0)
    return [rng.standard_normal(s, dtype=np.float32) for s in ((n, d), (d, h), (h,))]


def fanin_layer(shape: Sequence[int], compute: str | None) -> Run:
    x, W, b = operands(shape)
    out = np.empty((len(x), len(b)), np.float32)
    return lambda: fanin.layers.dense(x, W, b, activation="relu", compute=compute, out=out)


def fanin_epoch(name: str, compute: str | None) -> Run:
    dims, batch = list(map(int, name.split("-"))), EPOCHS[name]
    job = data.synthetic(batch * STEPS, dims[0], dims[-1])
    net = fanin.MLP(dims, compute=compute)
    options = {"epochs": 1, "batch_size": batch, "optimizer": fanin.optim.Adam()}
    return lambda: net.fit(job.X, job.y, preprocess=(0, 1 / 255), progress=False, **options)


def torch_layer(shape: Sequence[int], compute: str | None) -> Run:
    import torch

    x, W, b = map(torch.from_numpy, operands(shape))
    if compute == "bf16":
        x, W, b = (t.bfloat16() for t in (x, W, b))
    W = W.T.contiguous()

    @torch.inference_mode()
    def run() -> object:
        return torch.relu_(torch.nn.functional.linear(x, W, b))

    return run


def torch_epoch(name: str, compute: str | None) -> Run:
    import torch

    dims, batch = list(map(int, name.split("-"))), EPOCHS[name]
    job = data.synthetic(batch * STEPS, dims[0], dims[-1])
    X, y = torch.from_numpy(data.scaled(job.X)), torch.from_numpy(job.y)
    layers: list[Any] = []
    for d, h in itertools.pairwise(dims):
        layers += [torch.nn.Linear(d, h), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(net.parameters(), fused=True)

    def run() -> None:
        for rows in torch.randperm(len(X)).split(batch):
            with torch.autocast("cpu", torch.bfloat16, enabled=compute == "bf16"):
                loss = torch.nn.functional.cross_entropy(net(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


MAKERS: dict[str, dict[str, Callable[..., Run]]] = {
    "fanin": {"layer": fanin_layer, "epoch": fanin_epoch},
    "torch": {"layer": torch_layer, "epoch": torch_epoch},
}


def child(library: str, threads: int) -> None:
    """Answers [kind, what, compute] with the seconds of one run."""
    if library == "torch":
        import torch

        torch.set_num_threads(threads)
    else:
        fanin.set_num_threads(threads)

    @functools.lru_cache(maxsize=2)
    def made(kind: str, what: Any, compute: str | None) -> tuple[Run, int]:
        run = MAKERS[library][kind](what, compute)
        run()
        return run, max(1, round(SHORTEST / seconds_of(run, 1)))

    for line in sys.stdin:
        kind, what, compute = json.loads(line)
        found = made(kind, tuple(what) if isinstance(what, list) else what, compute)
        print(json.dumps(seconds_of(*found)), flush=True)


class Child:
    """A library in a process of its own."""

    def __init__(self, library: str, threads: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.studies.bf16", "--child", library, str(threads)],
            env=environment(os.environ, threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, kind: str, what: Any, compute: str | None) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([kind, what, compute]), file=self.process.stdin, flush=True)
        return float(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def least(children: dict[str, Child], kind: str, what: Any, rounds: int) -> dict[str, float]:
    """The least seconds of each way, measured in turns."""
    ways = [("float32", "fanin", None), ("bf16", "fanin", "bf16"), ("torch", "torch", "bf16")]
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, library, compute in ways:
            if library in children:
                seconds = children[library].seconds(kind, what, compute)
                times.setdefault(name, []).append(seconds)
    return {name: min(seconds) for name, seconds in times.items()}


def bar_of(kind: str, what: Any, threads: int, tiles: bool) -> float | None:
    if not tiles:
        return EMULATED_BAR
    if kind == "epoch":
        return EPOCH_BARS[what][threads - 1]
    return LAYER_BAR if threads == 1 else None


def compare(libraries: Sequence[str], threads: int, rounds: int, tiles: bool) -> bool:
    """Prints a table; whether no bar is missed."""
    children = {library: Child(library, threads) for library in libraries}
    good = True
    print(f"\n{threads}T: ms of float32 and bf16, bf16 over float32 (bar), over PyTorch's bf16")
    rows = [("epoch", name) for name in EPOCHS] + [("layer", shape) for shape in LAYERS]
    try:
        for kind, what in rows:
            found = least(children, kind, what, rounds)
            gain, bar = found["float32"] / found["bf16"], bar_of(kind, what, threads, tiles)
            good &= bar is None or gain >= bar
            name = f"{what}, {STEPS} steps" if kind == "epoch" else "x".join(map(str, what))
            line = f"{name:28} {1e3 * found['float32']:9.3f} {1e3 * found['bf16']:9.3f} {gain:6.2f}"
            line += f" ({bar})" if bar else ""
            if "torch" in found:
                line += f"   {found['torch'] / found['bf16']:6.2f}"
            print(line, flush=True)
    finally:
        for one in children.values():
            one.close()
    return good


def accuracies(seeds: int) -> bool:
    """Prints the test accuracy of both ways; whether their means are as near as the bar says."""
    images = data.images()
    found: dict[str | None, list[float]] = {None: [], "bf16": []}
    for seed in range(seeds):
        for compute, results in found.items():
            net = fanin.MLP([784, 256, 10], compute=compute, seed=seed)
            net.fit(images.X, images.y, **ACCURACY)
            results.append(100 * net.evaluate(images.X_test, images.y_test)["accuracy"])
    differences = [b - a for a, b in zip(found[None], found["bf16"], strict=True)]
    mean = statistics.mean(differences)
    spread = statistics.stdev(differences) if seeds > 1 else 0.0
    print(
        f"\n{images.name}, test accuracy: float32 {statistics.mean(found[None]):.2f} %, "
        f"bf16 {statistics.mean(found['bf16']):.2f} %; difference {mean:+.3f} points, sd "
        f"{spread:.3f} over {seeds} seeds (bar {ACCURACY_BAR})"
    )
    return abs(mean) <= ACCURACY_BAR


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.bf16", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each (5)")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2], help="1 and 2")
    parser.add_argument("--seeds", type=int, default=6, help="of the accuracies; 0: none (6)")
    parser.add_argument("--child", nargs=2, metavar=("LIBRARY", "THREADS"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        child(options.child[0], int(options.child[1]))
        return 0
    tiles = _core.tiles(ask=True)
    print(f"fanin {fanin.__version__} ({_core.isa()}), tiles: {tiles}")
    libraries = [name for name in MAKERS if importlib.util.find_spec(name)]
    if "torch" not in libraries:
        print("PyTorch is not installed: left out")
    good = [compare(libraries, n, options.rounds, tiles == "in use") for n in options.threads]
    if options.seeds:
        good.append(accuracies(options.seeds))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
