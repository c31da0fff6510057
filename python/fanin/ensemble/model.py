"""The ensemble: its members, their combined predictions, evaluation, files."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fanin import _validate, checkpoint, losses
from fanin._files import reading
from fanin._typing import Array, Floats, PathLike
from fanin.ensemble.evaluation import (
    label_loss,
    member_outputs,
    of_labels,
    of_member,
    of_several,
    of_values,
)
from fanin.ensemble.members import Failure, check_networks
from fanin.network import MLP
from fanin.network.classes import given_classes, positions

COMBINATIONS = ("probability", "logits", "vote")
OF_LABELS = ("softmax", "svm", "mse")  # losses of members that may stand beside each other


class Ensemble:
    """Networks whose predictions are combined.

    Parameters
    ----------
    members : sequence of MLP
        With the same numbers of inputs and outputs.
    combine : {"probability", "logits", "vote"}
        The mean of the members' probabilities (the lecture's "average their results"), the mean of
        their scores, or the majority of their labels; a tie goes to the label with the highest mean
        probability. In place of probabilities a member with loss "svm" has the softmax of its
        scores; one with loss "mse" on labels its scores from 0 up, scaled to sum 1. Of several
        labels a row ("logistic") each is combined by itself.
    weights : sequence of float, optional
        Of the members in the mean or the vote, at least 0; equal by default.
    failures : sequence of Failure
        Members that could not be trained.

    Attributes
    ----------
    members : list of MLP
    weights : ndarray of shape (M,), float64
        They sum to 1.
    combine, failures
        As given.
    held_out : dict or None
        Of `from_cross_validation`: what the ensemble and its variants do for rows that the networks
        were not trained on.

    Notes
    -----
    Where every member has a loss of values ("mse", "huber", "poisson", ...), the ensemble's
    prediction is the mean of theirs, in the units of y; of quantiles level by level.

    Examples
    --------
    >>> import fanin
    >>> (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    >>> networks = [fanin.MLP([64, 32, 10], seed=seed) for seed in range(3)]
    >>> for net in networks:
    ...     history = net.fit(X, y, epochs=5, preprocess="standardize", progress=False)
    >>> ensemble = fanin.ensemble.Ensemble(networks)
    >>> result = ensemble.evaluate(X_test, y_test)
    >>> result["accuracy"] > sum(member["accuracy"] for member in result["members"]) / 3
    True
    >>> result["disagreement"].shape
    (3, 3)
    """

    def __init__(
        self,
        members: Sequence[MLP],
        *,
        combine: str = "probability",
        weights: Sequence[float] | None = None,
        failures: Sequence[Failure] = (),
    ) -> None:
        self.members: list[MLP] = _validate.FixedList(check_networks("members", members))
        self._kind = _kind_of(self.members)
        first = self.members[0].dims
        for i, net in enumerate(self.members):
            if (net.dims[0], net.dims[-1]) != (first[0], first[-1]):
                raise ValueError(
                    f"members: expected the inputs and outputs of the first, {first}, "
                    f"got {net.dims} at {i}"
                )
        _common_classes(self.members)
        self.combine: str = _validate.one_of("combine", combine, COMBINATIONS)
        self.weights: Floats = _mean_weights(weights, len(self.members))
        self.failures: list[Failure] = list(failures)
        self.held_out: dict[str, Any] | None = None

    def __setattr__(self, name: str, value: object) -> None:
        _validate.read_only(self, name, ("members", "weights", "combine"), "make another Ensemble")
        object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[MLP]:
        return iter(self.members)

    def __repr__(self) -> str:
        dims = {"-".join(map(str, net.dims)) for net in self.members}
        shape = dims.pop() if len(dims) == 1 else f"{len(dims)} shapes"
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"Ensemble({len(self)} members, {shape}, combine={self.combine!r}{failed})"

    # Prediction

    def scores(self, X: Array, *, n_threads: int | None = None) -> Array:
        """The members' combined outputs (N, C): probabilities, scores, shares of votes, values."""
        return self._as_dtype(self._combine_scores(self._member_scores(X, n_threads)))

    def predict(self, X: Array, *, n_threads: int | None = None) -> Array:
        """Labels (N,), as given in training; of several labels a row bools, (N, C); mean values.

        The last, (N, M) or of several quantiles as in `MLP.predict`, where all members have values.
        """
        scores = self._member_scores(X, n_threads)
        combined = self._combine_scores(scores)
        if self._kind == "values":
            return self._as_dtype(combined)
        if self._kind == "multilabel":
            return np.asarray(combined > (0.0 if self.combine == "logits" else 0.5))
        labels = self._labels(scores, combined)
        classes = _common_classes(self.members)
        return labels if classes is None else classes[labels]

    @property
    def classes_(self) -> Array | None:
        """The labels of the outputs, as the members have them; None of values."""
        return next((n.classes_ for n in self.members if n.classes_ is not None), None)

    def predict_proba(self, X: Array, *, n_threads: int | None = None) -> Array:
        """Probabilities (N, C): their mean, those of the mean scores, or shares of the votes."""
        if self._kind == "values":
            raise ValueError(
                "predict_proba: expected a member with loss 'softmax', 'svm' or 'logistic', got "
                f"{self.members[0].loss_name!r}"
            )
        combined = self._combine_scores(self._member_scores(X, n_threads))
        if self.combine == "logits":
            several = self._kind == "multilabel"
            combined = losses.sigmoid(combined) if several else losses.softmax(combined)
        return self._as_dtype(combined)

    def _member_scores(self, X: Array, n_threads: int | None) -> list[Array]:
        return [member_outputs(net, net.scores(X, n_threads=n_threads)) for net in self.members]

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.result_type(*(net.dtype for net in self.members))

    def _as_dtype(self, result: Floats) -> Array:
        return result.astype(self._dtype, copy=False)

    def _combine_scores(self, scores: Sequence[Array], how: str | None = None) -> Floats:
        """The weighted mean, summed in the members' order for the same bits every time."""
        how = "logits" if self._kind == "values" else how or self.combine
        total = np.zeros(scores[0].shape)
        for net, weight, own in zip(self.members, self.weights, scores, strict=True):
            total += weight * output(net, own, how)
        return total

    def _labels(self, scores: Sequence[Array], combined: Floats) -> npt.NDArray[np.int64]:
        if self.combine == "vote" and self._kind == "labels":
            # Shares are sums of rounded weights: those within rounding of the most are a tie.
            most = combined >= combined.max(axis=1, keepdims=True) - 1e-9
            combined = np.where(most, self._combine_scores(scores, "probability"), -1.0)
        return np.asarray(combined.argmax(axis=1))

    # Evaluation

    def evaluate(
        self, X: Array, y: Array, *, metrics: Sequence[str] = (), n_threads: int | None = None
    ) -> dict[str, Any]:
        """Loss and accuracy of the ensemble and its members, and how much the members disagree.

        Parameters
        ----------
        X : ndarray of shape (N, D) or (N, ...)
        y : ndarray
            Labels (N,), or soft labels / values (N, C); accuracies only for labels.
        metrics : sequence of str
            Of the ensemble, as in `MLP.evaluate`: of its labels and probabilities.
        n_threads : int, optional

        Returns
        -------
        dict
            ``accuracy`` and ``loss`` of the ensemble; ``members``, a list of each one's
            ``{"loss", "accuracy"}``, by its own loss; ``disagreement``, as from `disagreement`.
            The ensemble's loss is the mean of -log of the right class's probability; for
            ``combine="logits"`` its members' loss of the mean scores (softmax where they differ);
            for a vote the fraction of wrong rows, or of wrong labels of several a row. Of values it
            is the members' loss of their mean (the squared error where they differ), in the units
            of y.
        """
        if self._kind == "labels":
            y = positions("y", y, _common_classes(self.members))
        elif self._kind == "multilabel":
            y = self.members[0].targets.positions("y", y)
        scores = self._member_scores(X, n_threads)
        combined = self._combine_scores(scores)
        members = [of_member(net, own, y) for net, own in zip(self.members, scores, strict=True)]
        if self._kind == "values":
            result = of_values(self.members, combined, y, metrics, self._dtype)
        elif self._kind == "multilabel":
            result = of_several(self.combine, combined, y, metrics, self._dtype)
        else:
            own_losses = {label_loss(net) for net in self.members}
            loss = own_losses.pop() if len(own_losses) == 1 else "softmax"
            predicted = self._labels(scores, combined)
            result = of_labels(loss, self.combine, combined, y, predicted, metrics, self._dtype)
        return {**result, "members": members, "disagreement": self._disagreement(scores)}

    def disagreement(self, X: Array, *, n_threads: int | None = None) -> Floats:
        """Pairwise disagreement of members, (M, M), symmetric with zeros on the diagonal.

        The fraction of rows to which they give different labels, of several labels a row that of
        labels; of values the root of the mean square between them.
        """
        return self._disagreement(self._member_scores(X, n_threads))

    def _disagreement(self, scores: Sequence[Array]) -> Floats:
        several = self._kind == "multilabel"
        labels = [own > 0 if several else own.argmax(axis=1) for own in scores]
        result = np.zeros((len(self), len(self)))
        for i, j in itertools.combinations(range(len(self)), 2):
            if self._kind == "values":
                between = np.sqrt(np.mean(np.square(scores[i] - scores[j], dtype=float)))
            else:
                between = np.mean(labels[i] != labels[j])
            result[i, j] = result[j, i] = between
        return result

    # Files

    def save(self, path: PathLike) -> None:
        """Writes all members to one file, atomically, as `MLP.save` does."""
        states, arrays = [], {"weights": self.weights}
        for i, net in enumerate(self.members):
            net.refuse_non_finite()
            state = net.__getstate__()
            arrays |= {f"{i}.{name}": array for name, array in state.pop("arrays").items()}
            states.append(state)
        header: dict[str, Any] = {
            "kind": "ensemble",
            "combine": self.combine,
            "members": states,
            "failures": [asdict(failure) for failure in self.failures],
        }
        if self.held_out is not None:
            header["held_out"] = self.held_out
        checkpoint.save_archive(path, header, arrays)

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Reads what `save` wrote. It never runs code from the file.

        Raises
        ------
        FileError
            For a file that is damaged, foreign or of a later format, with the path and the reason.

        Examples
        --------
        >>> one = fanin.ensemble.Ensemble([fanin.MLP([4, 3, 2], seed=seed) for seed in range(2)])
        >>> one.save("pair.fanin")
        >>> fanin.ensemble.Ensemble.load("pair.fanin")
        Ensemble(2 members, 4-3-2, combine='probability')
        """
        members: list[MLP] = []

        def place(header: Mapping[str, Any]) -> dict[str, Array]:
            places = {}
            for i, state in enumerate(header["members"]):
                members.append(MLP.__new__(MLP))
                size = math.prod(header["arrays"][f"{i}.parameters"]["shape"])
                places[f"{i}.parameters"] = members[i].restore_config(state, size)
            return places

        header, arrays = checkpoint.load_archive(path, "ensemble", place)
        with reading(path, "not a usable ensemble"):
            for i, (net, state) in enumerate(zip(members, header["members"], strict=True)):
                start = f"{i}."
                own = {k.removeprefix(start): a for k, a in arrays.items() if k.startswith(start)}
                net.restore_state(state, own)
                net.refuse_non_finite()
            failures = [Failure(**failure) for failure in header["failures"]]
            loaded = cls(members, combine=header["combine"], failures=failures)
            # As they were, not scaled to sum 1 again: that could change their last bits.
            weights = arrays["weights"]
            if weights.shape != loaded.weights.shape or weights.dtype != loaded.weights.dtype:
                raise ValueError(f"weights: expected {len(members)} of {loaded.weights.dtype}")
            _mean_weights(weights.tolist(), len(members))  # raises where they are none
            vars(loaded)["weights"] = weights
            loaded.held_out = header.get("held_out")
        return loaded


def _kind_of(members: Sequence[MLP]) -> str:
    """labels, multilabel or values: what all members give; refuses those that do not go together.

    Of "mse" alone the outputs are values; beside losses of labels they are scores of labels.
    """
    specs = [net.targets.loss for net in members]
    if all(spec.takes_values for spec in specs):
        several = [i for i, spec in enumerate(specs) if spec.levels != specs[0].levels]
        if several:
            first, other = specs[0].levels, specs[several[0]].levels
            raise ValueError(
                f"members: expected the quantiles of the first, {list(first)}, got {list(other)} "
                f"at {several[0]}"
            )
        return "values"
    kinds = [net.targets.kind for net in members]
    if kinds[0] == "multilabel" and set(kinds) == {"multilabel"}:
        return "multilabel"
    for i, net in enumerate(members):
        if net.loss_name not in OF_LABELS and kinds[i] != "binary":
            raise ValueError(
                f"members: expected networks with loss {', '.join(OF_LABELS)} beside each other, "
                f"or all with values, or all with several labels, got {net.loss_name!r} at {i}"
            )
    return "labels"


def _common_classes(members: Sequence[MLP]) -> Array | None:
    """The classes that the members' outputs stand for; None for 0 .. C-1."""
    known = [net.classes_ for net in members if net.classes_ is not None]
    for i, classes in enumerate(known):
        if classes.dtype.kind != known[0].dtype.kind or not np.array_equal(classes, known[0]):
            raise ValueError(
                f"members: expected the classes of the first, {known[0].tolist()}, "
                f"got {classes.tolist()} at {i}"
            )
    return given_classes(known[0], len(known[0])) if known else None


def _mean_weights(weights: Sequence[float] | None, n: int) -> Floats:
    weights = [1.0] * n if weights is None else weights
    if len(weights) != n:
        raise ValueError(f"weights: expected {n}, one for each member, got {len(weights)}")
    values = [_validate.real("weights", w, 0) for w in weights]
    if not any(values):
        raise ValueError("weights: expected one above 0, got only zeros")
    result = np.array(values) / sum(values)
    result.flags.writeable = False
    return result


def output(net: MLP, scores: Array, combine: str) -> Floats:
    """What a member adds to the weighted mean: probabilities, scores or votes, (N, C) float64."""
    several = net.targets.kind == "multilabel"
    if combine == "vote":
        votes = scores > 0 if several else np.eye(scores.shape[1])[scores.argmax(axis=1)]
        return np.asarray(votes, dtype=np.float64)
    if combine == "probability" and net.loss_name != "mse":
        own = losses.sigmoid(scores) if several else losses.softmax(scores)
        return own.astype(np.float64)
    result = scores.astype(np.float64)
    if combine == "probability":
        np.maximum(result, 1e-9, out=result)
        result /= result.sum(axis=1, keepdims=True)
    return result
