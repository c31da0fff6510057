"""Data-parallel training: each worker has some of the chunks, and all the same network.

A step takes as many rows of each chunk, whose gradients are added in a fixed binary tree over the
chunks. A worker has whole branches of the tree, so that the bits do not depend on how many workers
there are: 1, 2, 4, ... up to the number of chunks.
"""

from __future__ import annotations

import contextlib
import importlib
import secrets
import selectors
import socket
import time
from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np

from fanin import _core, _validate, optim, schedules
from fanin._core import TrainingData
from fanin._runtime import warn_caller
from fanin._typing import Array, Floats, Ints
from fanin.callbacks import Callback, CallbackList, EarlyStopping, History
from fanin.datasets import Chunks
from fanin.network import MLP, passes
from fanin.network.options import FitOptions
from fanin.network.targets import Targets
from fanin.training.blocks import HeldChunks, picked
from fanin.training.chunked import ChunkedData
from fanin.training.data import Validation
from fanin.training.fit import DivergenceWarning, refuse_monitors_of_validation
from fanin.training.steps import StopOnRise, epochs_of_a_run

__all__ = ["fit_on_dask", "fit_parallel"]

OPTIONS = {
    *("epochs", "batch_size", "optimizer", "reg", "schedule", "class_weight", "preprocess"),
    *("standardize_targets", "validation_data", "metrics", "callbacks", "n_threads"),
}
TOKEN = 32  # bytes that a worker shows to another
PATIENCE = 60.0  # seconds, for another worker to come
LOOK = 1.0  # seconds between two looks at which workers are there


class Communicator(Protocol):
    """What is used of ``mpi4py.MPI.Comm``."""

    def Get_rank(self) -> int: ...
    def Get_size(self) -> int: ...
    def Sendrecv(self, sendbuf: Any, dest: int, *, recvbuf: Any, source: int) -> Any:
        """Sends an array, and receives one of the same shape and dtype."""


class Alone:
    """The communicator of a single worker."""

    def Get_rank(self) -> int:
        return 0

    def Get_size(self) -> int:
        return 1

    def Sendrecv(self, sendbuf: Any, dest: int, *, recvbuf: Any, source: int) -> Any:
        raise AssertionError((sendbuf, dest, recvbuf, source))


def fit_parallel(
    net: MLP, chunks: Chunks, comm: Communicator | None = None, **options: Any
) -> History:
    """Trains a network on several workers, each of which calls this with the same arguments.

    Worker r of W has chunks r·n/W to (r+1)·n/W of n in memory, after a first pass in which each
    worker reads all of them. All end with the same parameters, whose bits do not depend on W. They
    are not those of `MLP.fit`, which takes the rows in another order.

    Parameters
    ----------
    net : MLP
        The same on each worker, without batch norm.
    chunks : Chunks
        A sequence of n chunks, n a power of two: each is held by one worker.
    comm : mpi4py.MPI.Comm, optional
        Of a power of two of workers, n at most: ``MPI.COMM_WORLD``. By default there is one worker.
    **options
        Of `MLP.fit`: epochs, batch_size (rows of a step, of all workers together, a multiple of n;
        by default 128 n), optimizer, reg, schedule, class_weight, preprocess, standardize_targets,
        validation_data and metrics (which each worker evaluates), callbacks (each worker has its
        own, which all must stop in the same epoch, as `EarlyStopping` does), n_threads.

    Returns
    -------
    History

    Raises
    ------
    ValueError, TypeError
        On all workers, before anything is changed.

    Notes
    -----
    A step sends the parameters' size log2(W) times, by recursive doubling: worker r changes sums
    with worker r ^ 1, then r ^ 2, and so on. Workers wait for each other in each step.

    Examples
    --------
    >>> X, y = np.eye(8, dtype=np.float32), np.arange(8) % 2
    >>> chunks = fanin.datasets.Chunks([(X[i::4], y[i::4]) for i in range(4)])
    >>> net = fanin.MLP([8, 2])
    >>> history = fanin.training.fit_parallel(net, chunks, epochs=2, batch_size=4)
    >>> net.steps_done
    4
    """
    _check_arguments(net, chunks, options)
    comm = Alone() if comm is None else comm
    if not all(hasattr(comm, name) for name in ("Get_rank", "Get_size", "Sendrecv")):
        raise TypeError(f"comm: expected an mpi4py.MPI.Comm, got {_validate.describe(comm)}")
    return ParallelFit(net, chunks, comm, options).run()


def _check_arguments(net: object, chunks: object, options: dict[str, Any]) -> None:
    if unknown := sorted(options.keys() - OPTIONS):
        names = ", ".join(sorted(OPTIONS))
        raise TypeError(f"{unknown[0]}: expected options among {names}")
    if not isinstance(net, MLP):
        raise TypeError(f"net: expected fanin.MLP, got {_validate.describe(net)}")
    if not isinstance(chunks, Chunks):
        raise TypeError(f"chunks: expected fanin.datasets.Chunks, got {_validate.describe(chunks)}")


class ParallelFit:
    """One worker's part of a run."""

    net: MLP
    comm: Communicator
    targets: Targets
    n_chunks: int
    rows: int
    steps: int
    epochs: int
    reg: float
    threads: int
    optimizer: optim.Optimizer
    schedule: schedules.Schedule
    callbacks: CallbackList
    members: range
    held: list[TrainingData]
    validation: Validation | None
    metrics: tuple[str, ...]
    history: History

    def __init__(
        self, net: MLP, chunks: Chunks, comm: Communicator, options: dict[str, Any]
    ) -> None:
        if net.norm == "batch":
            raise ValueError("norm: expected none, or 'layer', for data-parallel training")
        data = ChunkedData(net, chunks, None, FitOptions(**options))
        self.net, self.comm, self.targets = net, comm, data.targets
        self.n_chunks = _power_of_two("chunks", len(data.lengths), "chunks")
        size = _power_of_two("comm", comm.Get_size(), "workers")
        if size > self.n_chunks or not chunks.in_any_order:
            raise ValueError(
                f"chunks: expected a sequence of at least {size}, one for each worker, got {chunks}"
            )
        batch = options.get("batch_size", 128 * self.n_chunks)
        batch = _validate.whole("batch_size", batch, self.n_chunks)
        if batch % self.n_chunks:
            raise ValueError(
                f"batch_size: expected a multiple of {self.n_chunks}, the chunks, got {batch}"
            )
        self.rows = batch // self.n_chunks
        self.steps = -(-max(data.lengths) // self.rows)
        self.epochs = epochs_of_a_run(options.get("epochs", 10), data.n_rows, batch)
        self.reg = _validate.real("reg", options.get("reg", 0.0), 0)
        self.threads = _validate.threads(options.get("n_threads"))
        self.optimizer = optim.get(options.get("optimizer", "adam"))
        if self.optimizer.hyperparameters.get("weight_decay"):
            raise ValueError(f"optimizer: expected none with weight decay, got {self.optimizer!r}")
        self.schedule = schedules.get(options.get("schedule"))
        params: dict[str, Any] = {"epochs": self.epochs, "batch_size": batch, "steps": self.steps}
        n_val = 0 if data.validation is None else len(data.validation)
        params |= {"n_train": data.n_rows, "n_val": n_val, "reg": self.reg}
        self.callbacks = CallbackList(_callbacks(options, n_val), net, params)
        if self.callbacks.uses_batches:
            raise ValueError("callbacks: expected none that is called for each minibatch")
        if n_val == 0:
            refuse_monitors_of_validation(self.callbacks, self.schedule)
        own = self.n_chunks // size
        self.members = range(own * comm.Get_rank(), own * (comm.Get_rank() + 1))
        data.prepare(options.get("n_threads"))
        self.held = [data.ready(i, next(chunks.read([i]))) for i in self.members]
        self.validation, self.metrics = data.validation, data.metrics
        net.inputs, net.targets = data.inputs, data.targets
        self.history = History(
            params={**params, "optimizer": self.optimizer.name},
            expected_initial_loss=data.targets.expected_initial_loss(
                data.train.soft, data.train.weights
            ),
        )

    def run(self) -> History:
        net, began = self.net, time.perf_counter()
        net.history = self.history
        net.stop_training, net.stop_reason = False, ""
        with self.callbacks:
            self.callbacks.on_train_begin({})
            self.history.stop_reason = self._run_epochs()
            self.callbacks.on_train_end({})
        self.history.seconds = time.perf_counter() - began
        return self.history

    def _run_epochs(self) -> str:
        """Epochs until the last, a callback's stop or divergence; returns the reason."""
        net = self.net
        for epoch in range(self.epochs):
            self.callbacks.on_epoch_begin(epoch, {})
            good = net.engine.state()
            logs = self._run_epoch(epoch)
            if logs is None:
                net.engine.put_back(good)
                warn_caller(
                    f"the loss stopped being finite in epoch {epoch + 1}; the parameters were put "
                    "back to its beginning: lower the learning rate, or scale the inputs",
                    DivergenceWarning,
                )
                return "diverged"
            net.epochs_done += 1
            logs |= self._evaluate()
            self.history.append(epoch, logs)
            self.schedule.on_epoch_end(logs)
            self.callbacks.on_epoch_end(epoch, logs)
            if net.stop_training:
                return net.stop_reason or "stopped by a callback"
        return "all epochs done"

    def _run_epoch(self, epoch: int) -> dict[str, float] | None:
        """Mean loss and last rate; None where the loss is not finite."""
        net, totals, rate = self.net, np.zeros(2), self.optimizer.lr
        orders = [
            self._order(i, len(data)) for i, data in zip(self.members, self.held, strict=True)
        ]
        rates = self.schedule.lr(rate, epoch * self.steps, self.steps, self.steps, self.epochs)
        try:
            for step in range(self.steps):
                gradient, sums = self._gradient(orders, step)
                weight, loss = float(sums[0]), float(sums[1] / sums[0])
                if not np.isfinite(loss):
                    return None
                if self.history.initial_loss is None:
                    self.history.initial_loss = loss
                gradient /= gradient.dtype.type(weight)
                self._add_l2(gradient)
                self.optimizer.lr = float(rates[step])
                self.optimizer.step(net.arena, gradient)
                net.steps_done += 1
                totals += sums
        finally:
            self.optimizer.lr = rate
        if not np.isfinite(net.arena).all():
            return None
        return {"loss": float(totals[1] / totals[0]), "lr": float(rates[-1])}

    def _order(self, i: int, n: int) -> Ints:
        """The rows of a chunk: a function of seed, epoch and chunk."""
        order = np.empty(n, np.int64)
        stream = _core.stream_of("shuffle", i, self.net.epochs_done)
        _core.random_permutation(order, self.net.seed, stream)
        return order

    def _gradient(self, orders: Sequence[Ints], step: int) -> tuple[Array, Floats]:
        """The sum over all chunks of weight * gradient, and the sums beside it."""
        part = slice(step * self.rows, (step + 1) * self.rows)
        branches = [
            self._of_chunk(i, picked(data, order[part]))
            for i, data, order in zip(self.members, self.held, orders, strict=True)
        ]
        while len(branches) > 1:
            pairs = zip(branches[::2], branches[1::2], strict=True)
            branches = [(a + b, s + t) for (a, s), (b, t) in pairs]
        gradient, sums = branches[0]
        distance = 1
        while distance < self.comm.Get_size():
            gradient = gradient + self._exchanged(gradient, distance)
            sums = sums + self._exchanged(sums, distance)
            distance *= 2
        return gradient, sums

    def _of_chunk(self, i: int, data: TrainingData) -> tuple[Array, Floats]:
        """Weight * gradient of rows of a chunk, with masks of their own."""
        engine = self.net.engine
        if len(data) == 0:
            return np.zeros_like(self.net.arena), np.zeros(2)
        weight = len(data) if data.weights is None else float(data.weights.sum(dtype=float))
        if weight == 0:
            return np.zeros_like(self.net.arena), np.zeros(2)
        number = self.net.steps_done * self.n_chunks + i
        loss, gradient = engine.gradient(
            data, l2=0.0, seed=self.net.seed, dropout_step=number, n_threads=self.threads
        )
        gradient *= gradient.dtype.type(weight)
        return gradient, np.array([weight, weight * loss])

    def _exchanged(self, own: Array, distance: int) -> Array:
        """The partner's array for one's own; a sum of two has the same bits in either order."""
        partner, other = self.comm.Get_rank() ^ distance, np.empty_like(own)
        self.comm.Sendrecv(own, partner, recvbuf=other, source=partner)
        return other

    def _add_l2(self, gradient: Array) -> None:
        if self.reg == 0:
            return
        for p in self.net.engine.layout:
            if p.decays:
                part = slice(p.offset, p.offset + p.rows * p.cols)
                gradient[part] += gradient.dtype.type(self.reg) * self.net.arena[part]

    def _evaluate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        n_threads = self.threads or None
        if isinstance(self.validation, HeldChunks):
            result = self.validation.evaluate(self.metrics, n_threads)
        else:
            engine, targets = self.net.engine, self.net.targets
            result = passes.evaluate(engine, self.validation, n_threads)
            result |= passes.evaluate_metrics(
                engine, self.validation, targets, self.metrics, n_threads
            )
        return {f"val_{name}": value for name, value in result.items()}


def _callbacks(options: dict[str, Any], n_val: int) -> list[Callback]:
    """Those given, and what ends a run of as many epochs as are good."""
    given: list[Callback] = list(options.get("callbacks", ()))
    stops = any(isinstance(callback, EarlyStopping) for callback in given)
    return (
        [*given, StopOnRise()] if options.get("epochs") == "auto" and n_val and not stops else given
    )


def _power_of_two(name: str, count: int, what: str) -> int:
    if count < 1 or count & (count - 1):
        raise ValueError(f"{name}: expected 1, 2, 4, 8, ... {what}, got {count}")
    return count


# Dask


def fit_on_dask(net: MLP, chunks: Chunks, client: Any, **options: Any) -> History:
    """`fit_parallel` on the workers of a Dask cluster, which send sums to each other directly.

    As many workers are taken as there are chunks, and as a power of two allows. Each must be able
    to reach the others by the host names of their addresses.

    Parameters
    ----------
    net : MLP
        Gets the parameters of the end.
    chunks : Chunks
        As of `fit_parallel`; the functions that read them are called on the workers.
    client : distributed.Client
    **options
        As of `fit_parallel`.

    Returns
    -------
    History

    Raises
    ------
    RuntimeError
        With the name of a worker that was lost; nothing is changed. The bits do not depend on the
        number of workers, so that a new call on those that are left gives the same network.
    ConnectionError
        Where a worker does not come within a minute, since it is busy with other tasks.

    Examples
    --------
    >>> from distributed import Client  # doctest: +SKIP
    >>> history = fanin.training.fit_on_dask(net, chunks, Client())  # doctest: +SKIP
    """
    if not hasattr(client, "scheduler_info"):
        got = _validate.describe(client)
        raise TypeError(f"client: expected a distributed.Client, got {got}")
    _check_arguments(net, chunks, options)
    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    if not workers:
        raise ValueError("client: expected a cluster with workers, got none")
    size = 1 << (min(len(workers), len(chunks)).bit_length() - 1)
    ranks, token = workers[:size], secrets.token_bytes(TOKEN)

    def on_each(function: Any, *arguments: Any) -> list[Any]:
        """What the function gives on each worker, called with its number."""
        return _results(client, ranks, [
            client.submit(function, rank, *arguments, workers=[worker], pure=False)
            for rank, worker in enumerate(ranks)
        ])  # fmt: skip

    hosts = [worker.partition("://")[2].rpartition(":")[0] for worker in ranks]
    ports = on_each(_listen, token)
    addresses = list(zip(hosts, ports, strict=True))
    trained, history = on_each(_run_rank, token, addresses, net, chunks, options)[0]
    net.inputs, net.targets = trained.inputs, trained.targets
    net.set_parameters(trained.get_parameters())
    net.epochs_done, net.steps_done = trained.epochs_done, trained.steps_done
    net.history = History.from_dict(history)
    return net.history


def _results(client: Any, ranks: Sequence[str], futures: Sequence[Any]) -> list[Any]:
    """Of each worker. Dask itself would wait for ever for one that has gone."""
    wait = importlib.import_module("distributed").wait
    pending = list(futures)
    while pending:
        with contextlib.suppress(TimeoutError):
            wait(futures, timeout=LOOK)
        pending = [future for future in futures if future.status == "pending"]
        there = client.scheduler_info(n_workers=-1)["workers"] if pending else ranks
        if lost := [rank for rank in ranks if rank not in there]:
            client.cancel(pending)
            raise RuntimeError(
                f"client: lost the worker {lost[0]} of {len(ranks)}; the network is as it was"
            )
    # A worker whose partner ended says so; what ended the partner is the error to see.
    errors = [future.exception() for future in futures if future.status == "error"]
    for error in sorted(errors, key=lambda one: isinstance(one, ConnectionError)):
        raise error
    results: list[Any] = client.gather(list(futures))
    return results


_SERVERS: dict[tuple[bytes, int], socket.socket] = {}  # of this process, by token and rank


def _listen(rank: int, token: bytes) -> int:
    """Opens a port for the partners of a rank; returns its number."""
    server = _SERVERS[token, rank] = socket.create_server(("", 0))
    server.settimeout(PATIENCE)
    return int(server.getsockname()[1])


def _run_rank(
    rank: int,
    token: bytes,
    addresses: Sequence[tuple[str, int]],
    net: MLP,
    chunks: Chunks,
    options: dict[str, Any],
) -> tuple[MLP, dict[str, Any]]:
    server = _SERVERS.pop((token, rank), None)
    if server is None:
        raise RuntimeError(f"worker {rank} was lost, and has been started anew")
    with Peers(rank, token, addresses, server) as comm:
        net = net.copy()
        history = fit_parallel(net, chunks, comm, **options)
    return net, history.to_dict()


class Peers:
    """A communicator over sockets between workers that know each other's addresses."""

    def __init__(
        self, rank: int, token: bytes, addresses: Sequence[tuple[str, int]], server: socket.socket
    ) -> None:
        self._rank, self._token, self._addresses = rank, token, addresses
        self._server = server
        self._open: dict[int, socket.socket] = {}

    def Get_rank(self) -> int:
        return self._rank

    def Get_size(self) -> int:
        return len(self._addresses)

    def Sendrecv(self, sendbuf: Any, dest: int, *, recvbuf: Any, source: int) -> None:
        """Both ways at once."""
        assert dest == source
        peer = self._open[dest]
        out, into = sendbuf.data.cast("B"), recvbuf.data.cast("B")
        try:
            with selectors.DefaultSelector() as ready:
                ready.register(peer, selectors.EVENT_READ)
                while out or into:
                    writes = selectors.EVENT_WRITE if out else 0
                    ready.modify(peer, writes | (selectors.EVENT_READ if into else 0))
                    for _, events in ready.select():
                        if events & selectors.EVENT_WRITE:
                            out = out[peer.send(out) :]
                        if events & selectors.EVENT_READ:
                            into = into[_received(peer, into) :]
        except OSError as error:
            host, port = self._addresses[dest]
            raise ConnectionError(f"worker {dest} at {host}:{port} has ended: {error}") from error

    def _meet(self, rank: int) -> None:
        """Opens the connection to a partner: the lower one calls, and says who it is."""
        if self._rank < rank:
            peer = socket.create_connection(self._addresses[rank], PATIENCE)
            peer.sendall(self._token + self._rank.to_bytes(4, "big"))
            self._open[rank] = peer
        while rank not in self._open:
            peer, _ = self._server.accept()
            peer.settimeout(PATIENCE)
            hello = bytearray(TOKEN + 4)
            with contextlib.suppress(OSError):  # of one that is not a worker
                missing = memoryview(hello)
                while missing:
                    missing = missing[_received(peer, missing) :]
            if secrets.compare_digest(hello[:TOKEN], self._token):
                self._open[int.from_bytes(hello[TOKEN:], "big")] = peer
            else:
                peer.close()

    def __enter__(self) -> Self:
        """Meets the partners, before any of them reads its data."""
        partners = [self._rank ^ (1 << k) for k in range((len(self._addresses) - 1).bit_length())]
        for rank in partners:
            try:
                self._meet(rank)
            except OSError as error:
                self.__exit__()
                host, port = self._addresses[rank]
                raise ConnectionError(
                    f"worker {rank} at {host}:{port} did not come within {PATIENCE:g} s: {error}"
                ) from error
        for peer in self._open.values():
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a machine may vanish
            peer.setblocking(False)
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._server, *self._open.values()):
            one.close()


def _received(peer: socket.socket, into: memoryview) -> int:
    """How many bytes came."""
    count = peer.recv_into(into)
    if count == 0:
        raise ConnectionError("its end of the connection is closed")
    return count
