"""What peers do where fanin's tests of reliability look: kills, flipped bits, forks, Ctrl-C.

``python -m benchmarks.studies.reliability``, with strace, scikit-learn and PyTorch where they are
installed; others are left out by name. The figures are in docs/reliability.md.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import importlib.util
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[2] / "tests" / "support"))

import faults

PATIENCE = 20  # seconds; what takes so long hangs
SIZE = 60  # of a matrix of weights: some writes of the system, not hundreds


@dataclass(frozen=True)
class Peer:
    """How a library saves a network's weights, and trains one."""

    save: Callable[[Path, np.ndarray], object]
    load: Callable[[Path], np.ndarray]
    fit: Callable[[int, int], bytes]  # threads, epochs -> the weights' bytes


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((2000, 100), dtype=np.float32), rng.integers(0, 10, 2000)


def fanin_peer() -> Peer:
    import fanin

    def save(path: Path, weights: np.ndarray) -> None:
        net = fanin.MLP([SIZE, SIZE])
        net.params["W1"][...] = weights
        net.save(path)

    def load(path: Path) -> np.ndarray:
        return fanin.MLP.load(path).params["W1"]

    def fit(threads: int, epochs: int) -> bytes:
        net = fanin.MLP([100, 64, 10], seed=0)
        net.fit(*data(), epochs=epochs, n_threads=threads, progress=False)
        return net.get_parameters().tobytes()

    return Peer(save, load, fit)


def sklearn_peer() -> Peer:
    import joblib
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    def fit(threads: int, epochs: int) -> bytes:
        options: dict[str, Any] = {
            "random_state": 0,
            "max_iter": epochs,
            "tol": 0,
            "n_iter_no_change": epochs,
        }
        with threadpool_limits(threads), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net = MLPClassifier((64,), **options).fit(*data())
        return b"".join(w.tobytes() for w in net.coefs_)

    return Peer(
        lambda path, w: joblib.dump({"w": w}, path), lambda path: joblib.load(path)["w"], fit
    )


def torch_peer() -> Peer:
    import torch

    def fit(threads: int, epochs: int) -> bytes:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        net = torch.nn.Sequential(
            torch.nn.Linear(100, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
        )
        optimizer = torch.optim.Adam(net.parameters())
        X, y = (torch.from_numpy(a) for a in data())
        for _ in range(epochs):
            for start in range(0, 2000, 200):
                optimizer.zero_grad()
                rows = slice(start, start + 200)
                torch.nn.functional.cross_entropy(net(X[rows]), y[rows]).backward()
                optimizer.step()
        return b"".join(p.detach().numpy().tobytes() for p in net.parameters())

    def save(path: Path, weights: np.ndarray) -> None:
        torch.save({"w": torch.from_numpy(weights)}, path)

    return Peer(save, lambda path: torch.load(path)["w"].numpy(), fit)


def numpy_peer() -> Peer:
    def save(path: Path, weights: np.ndarray) -> None:
        with path.open("wb") as file:
            np.savez(file, w=weights)

    return Peer(save, lambda path: np.load(path)["w"], lambda *_: b"")


PEERS = {
    "fanin": ("fanin", fanin_peer),
    "scikit-learn, joblib": ("sklearn", sklearn_peer),
    "PyTorch": ("torch", torch_peer),
    "NumPy's savez": ("numpy", numpy_peer),
}


def in_child(work: Callable[[], str]) -> str:
    """What the work says in a forked child; "hang" or "signal n" where it does not end well."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.write(write, work().encode())
        os._exit(0)
    os.close(write)
    end = time.monotonic() + PATIENCE
    while (status := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(read)
            return "hang"
        time.sleep(0.001)
    with os.fdopen(read, "rb") as file:
        said = file.read().decode()
    return f"signal {os.WTERMSIG(status[1])}" if os.WIFSIGNALED(status[1]) else said or "error"


def matrices() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    old, new = (rng.standard_normal((SIZE, SIZE)).astype(np.float32) for _ in range(2))
    return old, new


def kills(peer: Peer, folder: Path) -> Mapping[str, int]:
    """A save over a good file, killed at each system call: which is there afterwards."""
    old, new = matrices()
    path = folder / "weights"

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        peer.save(path, old)

    seen: Counter[str] = Counter()
    for _ in faults.sweep(functools.partial(peer.save, path, new), prepare, kinds=("KILL",)):
        seen[in_child(lambda: which(peer, path, old, new))] += 1
    return seen


def which(peer: Peer, path: Path, old: np.ndarray, new: np.ndarray) -> str:
    try:
        here = peer.load(path)
    except Exception:
        return "lost"
    return "old" if np.array_equal(here.ravel(), old.ravel()) else (
        "new" if np.array_equal(here.ravel(), new.ravel()) else "silently wrong"
    )  # fmt: skip


def flips(peer: Peer, folder: Path, n: int) -> Mapping[str, int]:
    """One bit of the file is another: what loading it gives."""
    weights, _ = matrices()
    path = folder / "weights"
    peer.save(path, weights)
    good, draw = path.read_bytes(), random.Random(0)
    seen: Counter[str] = Counter()
    for _ in range(n):
        data = bytearray(good)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        found = in_child(lambda: which(peer, path, weights, weights))
        names = {"old": "same", "lost": "error", "error": "error"}
        seen[names.get(found, found)] += 1
    return seen


def fork(peer: Peer) -> str:
    """A fit by two threads, then one in a forked child."""
    expected = peer.fit(2, 2)
    return in_child(lambda: "same bits" if peer.fit(2, 2) == expected else "other bits")


def threads(peer: Peer) -> str:
    digests = {hashlib.sha256(peer.fit(n, 3)).hexdigest() for n in (1, 2, 3, 4)}
    return "same bits" if len(digests) == 1 else f"{len(digests)} results"


def ctrl_c(peer: Peer) -> str:
    """Seconds from SIGINT to the end of a fit, and whether it raises."""
    sent: list[float] = []

    def send() -> None:
        time.sleep(1.0)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=send).start()
    try:
        peer.fit(2, 100_000)
        raised = "returned normally"
    except KeyboardInterrupt:
        raised = "KeyboardInterrupt"
    return f"{raised} after {time.perf_counter() - sent[0]:.2f} s"


def told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks.studies.reliability", description=__doc__)
    parser.add_argument("--flips", type=int, default=500, help="bits to flip")
    options = parser.parse_args()
    names = (
        "killed at each system call of a save",
        "one flipped bit",
        "fork",
        "1 to 4 threads",
        "Ctrl-C",
    )
    print(f"| | {' | '.join(names)} |\n|---|---|---|---|---|---|")
    for name, (module, make) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            print(f"| {name} | not installed |")
            continue
        peer, row = make(), [name]
        with tempfile.TemporaryDirectory() as folder:
            why = faults.why_not()
            row.append(why or told(kills(peer, Path(folder) / "kills")))
            (Path(folder) / "flips").mkdir()
            row.append(told(flips(peer, Path(folder) / "flips", options.flips)))
        if name != "NumPy's savez":
            with contextlib.redirect_stderr(io.StringIO()):
                row += [fork(peer), threads(peer), ctrl_c(peer)]
        print(f"| {' | '.join(row + ['-'] * (6 - len(row)))} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
