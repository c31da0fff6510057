"""Data-parallel training: the same bits for 1, 2 and 4 workers."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import HANG, run

import fanin
from fanin import schedules
from fanin.callbacks import EarlyStopping
from fanin.datasets import Chunks
from fanin.training import fit_on_dask, fit_parallel
from fanin.training.parallel import Communicator

RNG = np.random.default_rng(1)
X = RNG.normal(1, 2, (230, 6)).astype(np.float32)
Y = (X[:, 0] > X[:, 1]).astype(int)
PARTS = [(X[i::4], Y[i::4]) for i in range(4)]  # of 58, 58, 57 and 57 rows
OPTIONS: dict[str, Any] = {
    "epochs": 2, "batch_size": 32, "preprocess": "standardize", "reg": 1e-3, "schedule": "cosine"
}  # fmt: skip


def new_net() -> fanin.MLP:
    return fanin.MLP([6, 8, 2], keep=0.8, seed=3)


class Rank:
    """A communicator of threads."""

    def __init__(self, rank: int, size: int, boxes: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.size, self.boxes, self.barrier = rank, size, boxes, barrier

    def Get_rank(self) -> int:
        return self.rank

    def Get_size(self) -> int:
        return self.size

    def Sendrecv(self, sendbuf: Any, dest: int, *, recvbuf: Any, source: int) -> None:
        assert dest == source
        self.boxes[self.rank] = sendbuf.copy()
        self.barrier.wait(HANG)
        recvbuf[...] = self.boxes[source]
        self.barrier.wait(HANG)


def run_threads(
    size: int, chunks: Chunks, own: Callable[[], dict[str, Any]] = dict, **options: Any
) -> list[fanin.MLP]:
    nets = [new_net() for _ in range(size)]
    barrier, boxes = threading.Barrier(size), [None] * size

    def run(rank: int) -> None:
        comm: Communicator = Rank(rank, size, boxes, barrier)
        try:
            fit_parallel(nets[rank], chunks, comm, **(OPTIONS | options | own()))
        except BaseException:
            barrier.abort()
            raise

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
    return nets


def test_the_bits_do_not_depend_on_the_workers() -> None:
    alone = new_net()
    history = fit_parallel(alone, Chunks(PARTS), validation_data=(X, Y), **OPTIONS)
    assert history.stop_reason == "all epochs done"
    assert alone.steps_done == 2 * 8
    for size in (1, 2, 4):
        for net in run_threads(size, Chunks(PARTS), validation_data=(X, Y)):
            np.testing.assert_array_equal(net.get_parameters(), alone.get_parameters())
            assert net.history is not None
            assert net.history.history == history.history


def test_all_workers_stop_in_the_same_epoch() -> None:
    def stopping() -> dict[str, Any]:
        return {
            "validation_data": (X, Y[::-1].copy()),
            "epochs": 20,
            "schedule": schedules.Plateau(patience=1),
            "callbacks": [EarlyStopping(patience=3)],
        }

    alone = new_net()
    history = fit_parallel(alone, Chunks(PARTS), **(OPTIONS | stopping()))
    assert 3 < len(history.epoch) < 20
    assert "early stopping" in history.stop_reason
    for net in run_threads(2, Chunks(PARTS), stopping):
        assert net.history is not None
        assert net.history.history == history.history
        np.testing.assert_array_equal(net.get_parameters(), alone.get_parameters())


def test_it_learns() -> None:
    net = new_net()
    fit_parallel(
        net, Chunks(PARTS), **(OPTIONS | {"epochs": 30, "optimizer": fanin.optim.Adam(0.01)})
    )
    assert net.evaluate(X, Y)["accuracy"] > 0.9


def test_a_step_is_that_of_fit_on_all_rows() -> None:
    """Without masks, in minibatches of everything, up to the order of the sums."""
    options: dict[str, Any] = {"epochs": 3, "optimizer": "sgd", "reg": 0.01}
    weights = np.linspace(0, 2, 224)
    parts = [(X[i:224:4], Y[i:224:4], weights[i::4]) for i in range(4)]
    nets = [fanin.MLP([6, 8, 2], dtype="float64") for _ in range(2)]
    nets[0].fit(X[:224], Y[:224], sample_weight=weights, batch_size=224, progress=False, **options)
    fit_parallel(nets[1], Chunks(parts), batch_size=224, **options)
    np.testing.assert_allclose(nets[1].arena, nets[0].arena, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    ("chunks", "options", "message"),
    [
        (PARTS[:3], {}, "chunks: expected 1, 2, 4, 8, ... chunks, got 3"),
        (PARTS, {"batch_size": 30}, "batch_size: expected a multiple of 4"),
        (PARTS, {"optimizer": fanin.optim.AdamW()}, "optimizer: expected none with weight decay"),
        (PARTS, {"schedule": schedules.Plateau()}, "Plateau: expected validation_data"),
        (PARTS, {"callbacks": [EarlyStopping()]}, "EarlyStopping: expected validation_data"),
    ],
)
def test_what_is_refused(chunks: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_parallel(new_net(), Chunks(chunks), **options)


def test_other_options_are_refused() -> None:
    with pytest.raises(TypeError, match="checkpoint: expected options among batch_size"):
        fit_parallel(new_net(), Chunks(PARTS), checkpoint="run.npz")
    with pytest.raises(ValueError, match="norm: expected none"):
        fit_parallel(fanin.MLP([6, 8, 2], norm="batch"), Chunks(PARTS))


def test_arguments_of_other_types() -> None:
    net, chunks = new_net(), Chunks(PARTS)
    cases: list[tuple[str, Any]] = [
        ("net: expected fanin.MLP, got NoneType", lambda: fit_parallel(None, chunks)),  # type: ignore[arg-type]
        ("chunks: expected fanin.datasets.Chunks", lambda: fit_parallel(net, X)),  # type: ignore[arg-type]
        ("comm: expected an mpi4py.MPI.Comm, got int", lambda: fit_parallel(net, chunks, 3)),  # type: ignore[arg-type]
        ("client: expected a distributed.Client", lambda: fit_on_dask(net, chunks, None)),
    ]
    for message, call in cases:
        with pytest.raises(TypeError, match=message):
            call()


def test_a_diverging_run_is_put_back() -> None:
    net = new_net()
    before = net.get_parameters()
    with pytest.warns(fanin.DivergenceWarning, match="in epoch 1"):
        history = fit_parallel(
            net, Chunks(PARTS), **(OPTIONS | {"optimizer": fanin.optim.SGD(1e30)})
        )
    assert history.stop_reason == "diverged"
    np.testing.assert_array_equal(net.get_parameters(), before)


def test_a_network_comes_out_of_a_pickle_with_unaligned_buffers() -> None:
    net, buffers = new_net(), []
    text = pickle.dumps(net, protocol=5, buffer_callback=buffers.append)
    moved = [memoryview(b"x" + bytes(buffer.raw()))[1:] for buffer in buffers]
    again = pickle.loads(text, buffers=moved)
    np.testing.assert_array_equal(again.get_parameters(), net.get_parameters())


@contextlib.contextmanager
def two_workers(*, processes: bool) -> Iterator[Any]:
    """The client of a cluster."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=processes,
            protocol="tcp",
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.filterwarnings("ignore")
def test_on_a_dask_cluster() -> None:
    alone = new_net()
    fit_parallel(alone, Chunks(PARTS), **OPTIONS)
    with two_workers(processes=False) as client:
        net = new_net()
        history = fit_on_dask(net, Chunks(PARTS), client, **OPTIONS)
    np.testing.assert_array_equal(net.get_parameters(), alone.get_parameters())
    assert history.stop_reason == "all epochs done"


def ends_a_process(k: int, flag: Path) -> Any:
    """Chunk k; the first process that reads it ends there."""
    if k == 3:
        with contextlib.suppress(FileExistsError):
            flag.touch(exist_ok=False)
            os._exit(1)
    return PARTS[k]


@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_lost_is_named(tmp_path: Path) -> None:
    flag = tmp_path / "ended"
    chunks = Chunks([partial(ends_a_process, k, flag) for k in range(4)])
    net = new_net()
    before = net.get_parameters()
    with two_workers(processes=True) as client:
        with pytest.raises(RuntimeError, match=r"lost the worker tcp://.* of 2"):
            fit_on_dask(net, chunks, client, **OPTIONS)
        np.testing.assert_array_equal(net.get_parameters(), before)
        fit_on_dask(net, chunks, client, **OPTIONS)
    alone = new_net()
    fit_parallel(alone, Chunks(PARTS), **OPTIONS)
    np.testing.assert_array_equal(net.get_parameters(), alone.get_parameters())


READS: list[int] = []


def fails_at_last(k: int) -> Any:
    """Chunk k; the third time that the last one is read, one of two workers fails."""
    if k == 3:
        READS.append(k)
        if len(READS) == 3:
            raise MemoryError("chunk 3")
    return PARTS[k]


@pytest.mark.filterwarnings("ignore")
def test_an_error_of_a_worker_is_the_one_that_is_told() -> None:
    READS.clear()
    chunks = Chunks([partial(fails_at_last, k) for k in range(4)])
    with two_workers(processes=False) as client, pytest.raises(MemoryError, match="chunk 3"):
        fit_on_dask(new_net(), chunks, client, **OPTIONS)


SCRIPT = """
import sys
import numpy as np
from mpi4py import MPI
sys.path.insert(0, {folder!r})
import test_parallel as t
net = t.new_net()
t.fit_parallel(net, t.Chunks(t.PARTS), MPI.COMM_WORLD, **t.OPTIONS)
np.save(sys.argv[1] + str(MPI.COMM_WORLD.Get_rank()), net.get_parameters())
"""


def test_with_mpi(tmp_path: Path) -> None:
    pytest.importorskip("mpi4py")
    mpiexec = Path(sys.executable).with_name("mpiexec")
    if not mpiexec.exists():
        pytest.skip("no mpiexec beside Python")
    alone = new_net()
    fit_parallel(alone, Chunks(PARTS), **OPTIONS)
    script = SCRIPT.format(folder=str(Path(__file__).parent))
    command = [mpiexec, "-n", "2", sys.executable, "-c", script, str(tmp_path / "net")]
    run(command, check=True)
    for rank in range(2):
        np.testing.assert_array_equal(np.load(tmp_path / f"net{rank}.npy"), alone.get_parameters())
