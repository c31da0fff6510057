"""The lecture's "top models discovered during cross-validation"."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fanin import _validate, losses
from fanin._typing import Array, Floats, PathLike
from fanin.arrays import describe, some_rows
from fanin.callbacks.standard import EarlyStopping
from fanin.ensemble.builders import MEMBER_FIT_OPTIONS
from fanin.ensemble.evaluation import member_outputs
from fanin.ensemble.held_out import binary_log_losses, greedy_counts, log_losses
from fanin.ensemble.kept import Folder
from fanin.ensemble.members import Failure, Fold, Member, check, with_classes
from fanin.ensemble.model import Ensemble, output
from fanin.ensemble.training import train_all
from fanin.executors import as_executor
from fanin.network import MLP
from fanin.network.classes import as_labels
from fanin.network.options import NETWORK_OPTIONS

Options = Mapping[str, Any]


def from_cross_validation(
    dims: Sequence[int],
    X: Array,
    y: Array,
    variants: Sequence[Options] = ({},),
    *,
    n_folds: int = 5,
    repeats: int = 1,
    k: int = 3,
    patience: int | None = 10,
    seed: int = 0,
    network: Options | None = None,
    executor: Any = None,
    combine: str = "probability",
    checkpoint: PathLike | None = None,
    resume: bool = True,
    progress: bool = True,
    **fit_options: Any,
) -> Ensemble:
    """Cross-validate variants of a network, and keep the folds' networks of the best.

    Each variant trains a network without each fold, which is its validation data. The k variants
    with the least loss of held-out rows are kept; for labels each is weighted by how often a
    greedy selection takes it, which minimises the log loss of held-out rows (Caruana et al. 2004).

    Parameters
    ----------
    dims : sequence of int
    X, y : ndarray
        As `MLP.fit` takes them. Folds are stratified where y is labels (`fanin.datasets.folds`).
    variants : sequence of dict
        What each changes: any option of `MLP` or `MLP.fit`, or ``dims``.
    n_folds, repeats : int
    k : int
        How many variants to keep, at most.
    patience : int or None
        Epochs without a lower validation loss after which a network stops; it is that of its best
        epoch. None trains all epochs.
    seed : int
        Of the folds; the networks without fold i have the seed ``seed + i``.
    network, executor, combine, checkpoint, resume, progress, **fit_options
        As in `from_initializations`.

    Returns
    -------
    Ensemble
        ``held_out`` says what it does for rows that its networks were not trained on: ``loss`` (of
        labels the log loss, else the squared error) with its standard ``error`` over the rows,
        ``accuracy`` for labels, and of each of the ``variants`` the same and its ``weight``.

    Notes
    -----
    The loss is a little too good, since each network's epoch and the weights were chosen by the
    held-out rows too.

    Examples
    --------
    >>> (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    >>> ensemble = fanin.ensemble.from_cross_validation(
    ...     [64, 32, 10], X, y, [{"keep": 1.0}, {"keep": 0.8}, {"dims": [64, 10]}], n_folds=3, k=2,
    ...     epochs=15, batch_size=32, preprocess="standardize", progress=False)
    >>> len(ensemble), len(ensemble.held_out["variants"])
    (3, 3)
    >>> ensemble.evaluate(X_test, y_test)["accuracy"] > 0.95
    True
    """
    given = _validate.sequence("variants", variants, "a list of dicts")
    if not given:
        raise ValueError("variants: expected at least one, got none")
    X, y = some_rows("X", X), as_labels("y", y)
    if len(y) != len(X):
        raise ValueError(f"y: expected {len(X)}, one for each row of X, got {describe(y)}")
    n_folds = _validate.whole("n_folds", n_folds, 2, max(len(X), 2))
    repeats, k = _validate.whole("repeats", repeats, 1), _validate.whole("k", k, 1)
    if "validation_data" in fit_options:
        raise ValueError("validation_data: expected none, since each fold is held out in turn")
    arrays = {"X": X, "y": y}
    if (weights := fit_options.pop("sample_weight", None)) is not None:
        arrays["sample_weight"] = weights
    parts = [Fold(fold, n_folds, repeats, seed) for fold in range(n_folds * repeats)]
    members = []
    for i, variant in enumerate(given):
        net, fit = _options(i, variant, {"dims": dims, **(network or {})}, fit_options)
        if patience is not None:
            stopping = EarlyStopping("val_loss", patience=patience)
            fit["callbacks"] = [*fit.get("callbacks", ()), stopping]
        for part in parts:
            own = {**net, "seed": seed + part.fold % n_folds}
            member = Member(f"variant {i}, fold {part.fold}", own, fit, part)
            members.append(with_classes(member, y))
        check(members[-1], arrays)
    folder = Folder(checkpoint, resume)
    networks, failures = train_all(members, arrays, as_executor(executor), progress, folder)
    failed, trained = {failure.member for failure in failures}, iter(networks)
    found = [None if i in failed else next(trained) for i in range(len(members))]
    groups = [found[i * len(parts) : (i + 1) * len(parts)] for i in range(len(given))]
    whole = {i: [net for net in g if net] for i, g in enumerate(groups) if None not in g}
    if not whole:
        raise RuntimeError(
            "ensemble: in every variant a network failed to train; "
            f"the first, {failures[0].name}: {failures[0].reason}"
        )
    splits = [part.split(arrays["y"])[1] for part in parts]
    outputs = {i: _held_out(nets, splits, X, combine) for i, nets in whole.items()}
    y = next(iter(whole.values()))[0].targets.positions("y", y)
    return _best(whole, outputs, y, k, len(given), combine, failures)


def _best(
    networks: Mapping[int, Sequence[MLP]],
    outputs: Mapping[int, Floats],
    y: Array,
    k: int,
    n_variants: int,
    combine: str,
    failures: Sequence[Failure],
) -> Ensemble:
    """The k best variants, by their outputs for held-out rows, and what is to be said of all."""
    facts = {i: _facts(nets[0], outputs[i], y) for i, nets in networks.items()}
    best = sorted(networks, key=lambda i: (facts[i]["loss"], i))[:k]
    first = networks[best[0]][0]
    shares = dict(zip(best, _shares([outputs[i] for i in best], y, first), strict=True))
    kept = [i for i in best if shares[i]]
    result = Ensemble(
        [net for i in kept for net in networks[i]],
        combine=combine,
        weights=[shares[i] for i in kept for _ in networks[i]],
        failures=failures,
    )
    mean = np.asarray(sum(shares[i] * outputs[i] for i in kept))
    none = {"loss": None, "error": None}
    variants = [facts.get(i, none) | {"weight": shares.get(i, 0.0)} for i in range(n_variants)]
    result.held_out = _facts(first, mean, y) | {"variants": variants}
    return result


def _options(
    i: int, variant: Any, network: Options, fit: Options
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of a variant's networks, and of their fits."""
    if not isinstance(variant, Mapping):
        raise TypeError(f"variants[{i}]: expected a dict of options, got {type(variant).__name__}")
    own = [name for name in MEMBER_FIT_OPTIONS if name not in ("validation_data", "sample_weight")]
    for name in (*variant, *fit, *network):
        if name not in (*NETWORK_OPTIONS, "dims", *own):
            known = ", ".join((*NETWORK_OPTIONS, "dims", *own))
            raise ValueError(f"variants[{i}]: expected options among {known}; got {name!r}")
    fits = {**fit, **{k: v for k, v in variant.items() if k in own}}
    return {**network, **{k: v for k, v in variant.items() if k not in own}}, fits


def _held_out(networks: Sequence[MLP], splits: Sequence[Array], X: Array, combine: str) -> Floats:
    """Of each row, the mean output of the networks not trained on it; NaN where there is none."""
    first = networks[0].targets
    values = first.loss.takes_values
    columns = first.n_outputs if values else max(first.n_classes, first.n_outputs)
    total, count = np.zeros((len(X), columns)), np.zeros(len(X))
    how = "logits" if values else combine
    for net, held in zip(networks, splits, strict=True):
        if len(held):
            own = member_outputs(net, net.scores(X[held]))
            total[held] += output(net, own.reshape(len(held), columns), how)
            count[held] += 1
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count[:, None])


def _row_losses(net: MLP, outputs: Floats, y: Array) -> Floats:
    known = np.isfinite(outputs[:, 0])
    result = np.full(len(y), np.nan)
    targets = net.targets
    if targets.loss.takes_values:
        each = outputs.reshape(len(y), targets.n_values, -1)
        squares = (each - y.reshape(len(y), targets.n_values, 1)) ** 2
        result[known] = squares.mean(axis=(1, 2))[known]
    elif targets.kind == "multilabel":
        own = outputs[known]
        probabilities = losses.sigmoid(own) if (own < 0).any() or (own > 1).any() else own
        result[known] = binary_log_losses(probabilities, y[known])
    else:
        result[known] = log_losses(_probabilities(outputs[known]), y[known])
    return result


def _probabilities(outputs: Floats) -> Floats:
    """Of mean scores their softmax; probabilities and shares of votes as they are."""
    sums = outputs.sum(axis=1)
    if (outputs >= 0).all() and np.allclose(sums, 1.0):
        return outputs
    return np.asarray(losses.softmax(outputs))


def _shares(outputs: Sequence[Floats], y: Array, net: MLP) -> list[float]:
    if net.targets.loss.takes_values or y.ndim > 1:
        return [1 / len(outputs)] * len(outputs)
    known = np.isfinite(np.sum([o[:, 0] for o in outputs], axis=0))
    counts = greedy_counts([_probabilities(o[known]) for o in outputs], y[known])
    return [count / sum(counts) for count in counts]


def _facts(net: MLP, outputs: Floats, y: Array) -> dict[str, Any]:
    rows = _row_losses(net, outputs, y)
    known = np.isfinite(rows)
    n = int(known.sum())
    facts = {"loss": float(rows[known].mean()), "error": float(rows[known].std()) / math.sqrt(n)}
    if net.targets.kind in ("labels", "binary"):
        facts["accuracy"] = float((outputs[known].argmax(axis=1) == y[known]).mean())
    return facts
