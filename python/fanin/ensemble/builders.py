"""Ensembles trained from data, by four ways to make members differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fanin import _validate
from fanin._typing import Array, PathLike
from fanin.arrays import some_rows
from fanin.callbacks import Callback
from fanin.ensemble.kept import Folder
from fanin.ensemble.members import SEED_STREAM, Failure, Member, Rows, check, with_classes
from fanin.ensemble.model import Ensemble
from fanin.ensemble.training import train_all
from fanin.executors import as_executor
from fanin.network import MLP
from fanin.network.classes import as_labels
from fanin.network.options import CHECKPOINT_OPTIONS, FIT_OPTIONS, NETWORK_OPTIONS
from fanin.random import package_generator
from fanin.schedules import CyclicCosine

Options = Mapping[str, Any]

VARIANTS: tuple[Options, ...] = (
    {"loss": "softmax"},
    {"loss": "svm"},
    {"optimizer": "momentum"},
    {"activation": "tanh"},
    {"keep": 0.8},
)


DATA_OPTIONS = ("validation_data", "sample_weight")
MEMBER_FIT_OPTIONS = [n for n in FIT_OPTIONS if n not in ("progress", *CHECKPOINT_OPTIONS)]


def from_initializations(
    dims: Sequence[int],
    X: Array,
    y: Array,
    *,
    n_members: int = 5,
    seed: int = 0,
    network: Options | None = None,
    executor: Any = None,
    combine: str = "probability",
    checkpoint: PathLike | None = None,
    resume: bool = True,
    progress: bool = True,
    **fit_options: Any,
) -> Ensemble:
    """One architecture from different initialisations, and in different orders of the data.

    Parameters
    ----------
    dims : sequence of int
    X, y : ndarray
        As `MLP.fit` takes them.
    n_members : int
    seed : int
        The members' seeds are drawn from it; member i does not depend on how many there are.
    network : dict, optional
        Further options of `MLP`: activation, init, loss, keep, dtype...
    executor : concurrent.futures.Executor or Dask client, optional
        Where the members train, to the same bits: by default as many threads as there are cores.
        Threads share the data, processes of this machine map it from files (in TMPDIR), Dask's
        workers are sent it once each. A `ProcessPoolExecutor` is best made with
        ``mp_context=multiprocessing.get_context("spawn")``.
    combine : {"probability", "logits", "vote"}
        As in `Ensemble`.
    checkpoint : path, optional
        A folder for the members that are trained, ``member-0.fanin`` and so on, from which a killed
        build goes on to the same bits; more members may be asked for later. Members of other data
        or options are an error that names the difference.
    resume : bool
        False raises if the folder holds members already.
    progress : bool
        A bar of members on stderr.
    **fit_options
        Of `MLP.fit`. Each member has its own copy of optimizer, schedule and callbacks, and by
        default its share of the cores as ``n_threads``.

    Returns
    -------
    Ensemble
        Its ``failures`` are the members that raised, diverged, or lost their worker twice.

    Raises
    ------
    ValueError, TypeError
        For what `MLP` or `MLP.fit` would reject, before anything trains.
    RuntimeError
        Where every member failed, with the first one's reason.

    Examples
    --------
    >>> (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    >>> ensemble = fanin.ensemble.from_initializations(
    ...     [64, 32, 10], X, y, n_members=3, epochs=5, preprocess="standardize", progress=False)
    >>> ensemble
    Ensemble(3 members, 64-32-10, combine='probability')
    """
    network = _network_options("network", network)
    members = [
        Member(f"member {i}", {"dims": dims, **network, "seed": own}, fit_options)
        for i, own in enumerate(_seeds(seed, n_members))
    ]
    folder = Folder(checkpoint, resume)
    return _train(members, 1, X, y, executor, combine, folder, progress, fit_options)


def from_objectives(
    dims: Sequence[int],
    X: Array,
    y: Array,
    variants: Sequence[Options] = VARIANTS,
    *,
    seed: int = 0,
    network: Options | None = None,
    executor: Any = None,
    combine: str = "probability",
    checkpoint: PathLike | None = None,
    resume: bool = True,
    progress: bool = True,
    **fit_options: Any,
) -> Ensemble:
    """Different losses, optimizers, activations or hyperparameters: a member of each variant.

    Parameters
    ----------
    variants : sequence of dict
        What each member changes: any option of `MLP` or `MLP.fit`, ``dims`` or ``seed``, such as
        ``{"optimizer": fanin.optim.SGD(lr=0.1), "reg": 1e-3}``.
    dims, X, y, seed, network, executor, combine, checkpoint, resume, progress, **fit_options
        As in `from_initializations`.

    Examples
    --------
    >>> (X, y), test = fanin.datasets.load("digits")
    >>> ensemble = fanin.ensemble.from_objectives(
    ...     [64, 32, 10], X, y, [{"loss": "softmax"}, {"loss": "svm"}, {"optimizer": "momentum"}],
    ...     epochs=5, preprocess="standardize", progress=False)
    >>> [net.loss_name for net in ensemble]
    ['softmax', 'svm', 'softmax']
    """
    network = _network_options("network", network)
    if not _validate.sequence("variants", variants, "a list of dicts"):
        raise ValueError("variants: expected at least one, got none")
    known = [*NETWORK_OPTIONS, "dims", "seed", *_without(MEMBER_FIT_OPTIONS, DATA_OPTIONS)]
    members = []
    for i, (own, variant) in enumerate(zip(_seeds(seed, len(variants)), variants, strict=True)):
        variant = _known(f"variants[{i}]", variant, known)
        fit = {k: v for k, v in variant.items() if k in MEMBER_FIT_OPTIONS}
        net = {k: v for k, v in variant.items() if k not in MEMBER_FIT_OPTIONS}
        name = ", ".join(f"{k}={v!r}" for k, v in variant.items())
        options = {"dims": dims, "seed": own, **network, **net}
        members.append(Member(f"member {i} ({name})", options, {**fit_options, **fit}))
    folder = Folder(checkpoint, resume)
    return _train(members, len(members), X, y, executor, combine, folder, progress, fit_options)


def from_datasets(
    dims: Sequence[int],
    X: Array,
    y: Array,
    *,
    method: str = "bootstrap",
    n_members: int = 5,
    seed: int = 0,
    network: Options | None = None,
    executor: Any = None,
    combine: str = "probability",
    checkpoint: PathLike | None = None,
    resume: bool = True,
    progress: bool = True,
    **fit_options: Any,
) -> Ensemble:
    """Different data: samples of the rows, or all rows but a fold.

    Parameters
    ----------
    method : {"bootstrap", "folds"}
        "bootstrap": each member trains on N rows drawn with replacement (bagging, Breiman 1996),
        some 63 % of them different. "folds": member i trains without fold i of n_members, as in
        cross-validation. Each member copies its rows while it trains.
    dims, X, y, n_members, seed, network, executor, combine, checkpoint, resume, progress
        As in `from_initializations`.
    **fit_options
        As in `from_initializations`.

    Examples
    --------
    >>> (X, y), test = fanin.datasets.load("digits")
    >>> len(fanin.ensemble.from_datasets(
    ...     [64, 32, 10], X, y, method="folds", n_members=4, epochs=3, progress=False))
    4
    """
    network = _network_options("network", network)
    _validate.one_of("method", method, ["bootstrap", "folds"])
    networks = [{"dims": dims, **network, "seed": own} for own in _seeds(seed, n_members)]
    if method == "folds":
        _validate.whole("n_members", n_members, 2, len(some_rows("X", X)))
    members = [
        Member(f"member {i}", options, fit_options, Rows(method, seed, i, n_members))
        for i, options in enumerate(networks)
    ]
    folder = Folder(checkpoint, resume)
    return _train(members, 1, X, y, executor, combine, folder, progress, fit_options)


def from_checkpoints(
    dims: Sequence[int],
    X: Array,
    y: Array,
    *,
    n_cycles: int = 5,
    epochs_per_cycle: int = 4,
    seed: int = 0,
    network: Options | None = None,
    combine: str = "probability",
    checkpoint: PathLike | None = None,
    resume: bool = True,
    progress: bool = True,
    **fit_options: Any,
) -> Ensemble:
    """Snapshots of a single run, at the cost of one network (Huang et al. 2017).

    The learning rate falls to 0 along a cosine in every cycle, then restarts
    (`schedules.CyclicCosine`): a member is what the network is at a cycle's end.

    Parameters
    ----------
    n_cycles, epochs_per_cycle : int
        The run has ``n_cycles * epochs_per_cycle`` epochs and gives n_cycles members.
    checkpoint : path, optional
        A file for the run, as `MLP.fit` writes it, with the members so far, from which a killed
        build goes on to the same bits.
    resume : bool
        False raises if the file is there already.
    dims, X, y, seed, network, combine, progress, **fit_options
        As in `from_initializations`, but for epochs and schedule, which are set here. The network's
        seed is `seed` itself.

    Examples
    --------
    >>> (X, y), test = fanin.datasets.load("digits")
    >>> ensemble = fanin.ensemble.from_checkpoints(
    ...     [64, 32, 10], X, y, n_cycles=3, epochs_per_cycle=2, progress=False)
    >>> [net.epochs_done for net in ensemble]
    [2, 4, 6]
    """
    network = _network_options("network", network)
    n_cycles = _validate.whole("n_cycles", n_cycles, 1)
    epochs_per_cycle = _validate.whole("epochs_per_cycle", epochs_per_cycle, 1)
    _validate.one_of("combine", combine, ["probability", "logits", "vote"])
    _known("fit_options", fit_options, _without(MEMBER_FIT_OPTIONS, ("epochs", "schedule")))
    net, snapshots = MLP(dims, **network, seed=seed), Snapshots(epochs_per_cycle)
    kept = {} if checkpoint is None else {"checkpoint": checkpoint, "resume": resume}
    callbacks = [*fit_options.get("callbacks", ()), snapshots]
    options = {**fit_options, **kept, "callbacks": callbacks, "progress": progress}
    n_epochs, schedule = n_cycles * epochs_per_cycle, CyclicCosine(n_cycles)
    reason = net.fit(X, y, epochs=n_epochs, schedule=schedule, **options).stop_reason
    networks = snapshots.networks
    if not networks:
        raise RuntimeError(f"ensemble: the run ended in its first cycle: {reason}")
    failures = [
        Failure(i, f"cycle {i}", f"the run ended before it ({reason})")
        for i in range(len(networks), n_cycles)
    ]
    return Ensemble(networks, combine=combine, failures=failures)


class Snapshots(Callback):
    """Copies of the network, each at the end of a cycle."""

    def __init__(self, epochs_per_cycle: int) -> None:
        self.epochs_per_cycle = epochs_per_cycle
        self.networks: list[MLP] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if (epoch + 1) % self.epochs_per_cycle == 0:
            self.networks.append(self.network.copy())

    def state_dict(self) -> dict[str, Any]:
        return {"networks": [net.__getstate__() for net in self.networks]}

    def load_state_dict(self, state: Options) -> None:
        for own in state["networks"]:
            net = MLP.__new__(MLP)
            net.__setstate__(own)
            if net.config() != self.network.config():
                raise ValueError("networks: expected copies of the network, got another kind")
            self.networks.append(net)


def _train(
    members: Sequence[Member],
    distinct: int,
    X: Array,
    y: Array,
    executor: Any,
    combine: str,
    folder: Folder,
    progress: bool,
    fit_options: Options,
) -> Ensemble:
    """Checks the distinct ones among the members, then trains all."""
    _known("fit_options", fit_options, MEMBER_FIT_OPTIONS)
    _validate.one_of("combine", combine, ["probability", "logits", "vote"])
    runner = as_executor(executor)
    arrays = {"X": some_rows("X", X), "y": as_labels("y", y)}
    if (weights := fit_options.get("sample_weight")) is not None:
        arrays["sample_weight"] = weights
    if (validation := fit_options.get("validation_data")) is not None:
        pair = _validate.pair("validation_data", validation, "(X, y)")
        arrays["validation_X"] = some_rows("validation X", pair[0])
        arrays["validation_y"] = as_labels("validation y", pair[1])
    fits = [{k: v for k, v in m.fit.items() if k not in DATA_OPTIONS} for m in members]
    members = [replace(member, fit=fit) for member, fit in zip(members, fits, strict=True)]
    for member in members[:distinct]:
        try:
            check(member, arrays)
        except (TypeError, ValueError) as error:
            if distinct == 1:
                raise
            raise type(error)(f"{member.name}: {error}") from error
    members = [with_classes(member, arrays["y"]) for member in members]
    networks, failures = train_all(members, arrays, runner, progress, folder)
    return Ensemble(networks, combine=combine, failures=failures)


def _seeds(seed: int, n_members: int) -> list[int]:
    n = _validate.whole("n_members", n_members, 1)
    rng = package_generator(_validate.whole("seed", seed, 0, 2**64 - 1), "search", SEED_STREAM)
    return [int(own) for own in np.asarray(rng.integers(0, 2**63, size=n))]


def _network_options(name: str, network: Options | None) -> dict[str, Any]:
    return _known(name, {} if network is None else network, NETWORK_OPTIONS)


def _known(name: str, options: Options, known: Sequence[str]) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        raise TypeError(f"{name}: expected a dict of options, got {type(options).__name__}")
    for option in options:
        if option not in known:
            raise ValueError(f"{name}: expected options among {', '.join(known)}; got {option!r}")
    return dict(options)


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    return [name for name in names if name not in others]
