"""The ensemble: its members, their combined predictions, evaluation, files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fanin import _core, _validate, checkpoint, losses
from fanin._typing import Array, Floats, PathLike
from fanin.ensemble.members import Failure
from fanin.network import MLP

COMBINATIONS = ("probability", "logits", "vote")


class Ensemble:
    """Networks whose predictions are combined.

    Parameters
    ----------
    members : sequence of MLP
        With the same numbers of inputs and outputs.
    combine : {"probability", "logits", "vote"}
        The mean of the members' probabilities (the lecture's "average their results"), the mean of
        their scores, or the majority of their labels; a tie goes to the label with the highest mean
        probability. A member with loss "svm" has no probabilities: the softmax of its scores
        stands in for them; one with loss "mse" on labels: its scores from 0 up, scaled to sum 1.
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

    Notes
    -----
    Where every member has loss "mse", the ensemble's prediction is the mean of their outputs.

    Examples
    --------
    >>> import fanin
    >>> (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    >>> networks = [fanin.MLP([64, 32, 10], seed=seed) for seed in range(3)]
    >>> for net in networks:
    ...     history = net.fit(X, y, epochs=5, preprocess="standardize", progress=False)
    >>> together = fanin.ensemble.Ensemble(networks)
    >>> result = together.evaluate(X_test, y_test)
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
        self.members: list[MLP] = list(_validate.sequence("members", members, "a list of MLP"))
        if not self.members:
            raise ValueError("members: expected at least one, got none")
        for i, net in enumerate(self.members):
            if not isinstance(net, MLP):
                raise TypeError(f"members: expected MLP, got {type(net).__name__} at {i}")
            ends = net.dims[0], net.dims[-1]
            if ends != (self.members[0].dims[0], self.members[0].dims[-1]):
                raise ValueError(
                    f"members: expected the inputs and outputs of the first, "
                    f"{self.members[0].dims}, got {net.dims} at {i}"
                )
        self.combine = _validate.one_of("combine", combine, COMBINATIONS)
        self.weights = _mean_weights(weights, len(self.members))
        self.failures = list(failures)
        self._regression = all(net.loss_name == "mse" for net in self.members)

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
        """The members' combined outputs (N, C): probabilities, scores or shares of votes."""
        return self._as_dtype(self._combine_scores(self._member_scores(X, n_threads)))

    def predict(self, X: Array, *, n_threads: int | None = None) -> Array:
        """Labels (N,); the mean output (N, C) where every member has loss "mse"."""
        scores = self._member_scores(X, n_threads)
        combined = self._combine_scores(scores)
        return self._as_dtype(combined) if self._regression else self._labels(scores, combined)

    def predict_proba(self, X: Array, *, n_threads: int | None = None) -> Array:
        """Probabilities (N, C): their mean, softmax of the mean scores, or shares of the votes."""
        self._require_classes("predict_proba")
        return self._as_dtype(
            self._probabilities(self._combine_scores(self._member_scores(X, n_threads)))
        )

    def _member_scores(self, X: Array, n_threads: int | None) -> list[Array]:
        return [net.scores(X, n_threads=n_threads) for net in self.members]

    def _require_classes(self, what: str) -> None:
        if self._regression:
            raise ValueError(f"{what}: expected a member with loss 'softmax' or 'svm', got 'mse'")

    def _as_dtype(self, result: Floats) -> Array:
        return result.astype(np.result_type(*(net.dtype for net in self.members)), copy=False)

    def _combine_scores(self, scores: Sequence[Array], how: str | None = None) -> Floats:
        """The weighted mean, summed in the members' order for the same bits every time."""
        how = "logits" if self._regression else how or self.combine
        total = np.zeros(scores[0].shape)
        for net, weight, own in zip(self.members, self.weights, scores, strict=True):
            total += weight * output(net, own, how)
        return total

    def _labels(self, scores: Sequence[Array], combined: Floats) -> npt.NDArray[np.int64]:
        if self.combine == "vote" and not self._regression:
            # Shares are sums of rounded weights: those within rounding of the most are a tie.
            most = combined >= combined.max(axis=1, keepdims=True) - 1e-9
            combined = np.where(most, self._combine_scores(scores, "probability"), -1.0)
        return np.asarray(combined.argmax(axis=1))

    def _probabilities(self, combined: Floats) -> Floats:
        return losses.softmax(combined) if self.combine == "logits" else combined

    # Evaluation

    def evaluate(self, X: Array, y: Array, *, n_threads: int | None = None) -> dict[str, Any]:
        """Loss and accuracy of the ensemble and of each member, and how much members differ.

        Parameters
        ----------
        X : ndarray of shape (N, D) or (N, ...)
        y : ndarray
            Labels (N,), or soft labels / values (N, C); accuracies only for labels.
        n_threads : int, optional

        Returns
        -------
        dict
            ``accuracy`` and ``loss`` of the ensemble; ``members``, a list of each one's
            ``{"loss", "accuracy"}``, by its own loss; ``disagreement``, as from `disagreement`.
            The ensemble's loss is the mean of -log of the right class's probability; for
            ``combine="logits"`` its members' loss of the mean scores (softmax where they differ);
            for a vote the share of wrong rows; for members with "mse" that of the mean output.
        """
        scores = self._member_scores(X, n_threads)
        combined = self._combine_scores(scores)
        labels = [s.argmax(axis=1) for s in scores]
        members = [
            _evaluate(net.loss_name, s, y, own, n_threads)
            for net, s, own in zip(self.members, scores, labels, strict=True)
        ]
        names = {net.loss_name for net in self.members}
        predicted = self._labels(scores, combined)
        if self.combine == "logits" or self._regression:
            own_loss = names.pop() if len(names) == 1 else "softmax"
            result = _evaluate(own_loss, combined, y, predicted, n_threads)
        elif self.combine == "vote":
            votes = np.eye(combined.shape[1])[predicted]
            result = _evaluate("softmax", combined, y, predicted, n_threads)
            result["loss"] = 1.0 - _expectation(votes, y)
        else:
            # Floored at the smallest float32, where a probability has been rounded to 0.
            logs = _core.map("log", np.maximum(combined, np.finfo(np.float32).tiny))
            result = _evaluate("softmax", logs, y, predicted, n_threads)
        return {**result, "members": members, "disagreement": self._disagreement(scores, labels)}

    def disagreement(self, X: Array, *, n_threads: int | None = None) -> Floats:
        """How much each pair of members differs, (M, M), symmetric with zeros on the diagonal.

        The share of rows to which they give different labels; where every member has loss "mse",
        the root of the mean square between their outputs. Members that never disagree gain nothing
        together.
        """
        scores = self._member_scores(X, n_threads)
        return self._disagreement(scores, [s.argmax(axis=1) for s in scores])

    def _disagreement(self, scores: Sequence[Array], labels: Sequence[Array]) -> Floats:
        result = np.zeros((len(self), len(self)))
        for i in range(len(self)):
            for j in range(i):
                if self._regression:
                    between = np.sqrt(np.mean(np.square(scores[i] - scores[j], dtype=float)))
                else:
                    between = np.mean(labels[i] != labels[j])
                result[i, j] = result[j, i] = between
        return result

    # Files

    def save(self, path: PathLike) -> None:
        """Writes all members to one file, or leaves the old one.

        The file is an ``.npz`` archive, whatever its extension, with a JSON header and a checksum
        of each array, as of `MLP.save`.
        """
        states, arrays = [], {"weights": self.weights}
        for i, net in enumerate(self.members):
            state = net.__getstate__()
            arrays |= {f"{i}.{name}": array for name, array in state.pop("arrays").items()}
            states.append(state)
        header = {
            "kind": "ensemble",
            "combine": self.combine,
            "members": states,
            "failures": [asdict(failure) for failure in self.failures],
        }
        checkpoint.save_archive(path, header, arrays)

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Reads what `save` wrote. It never runs code from the file.

        Raises
        ------
        ValueError
            For a file that is damaged, foreign or of a later format, with the path and the reason.

        Examples
        --------
        >>> one = fanin.ensemble.Ensemble([fanin.MLP([4, 3, 2], seed=seed) for seed in range(2)])
        >>> one.save("pair.fanin")
        >>> fanin.ensemble.Ensemble.load("pair.fanin")
        Ensemble(2 members, 4-3-2, combine='probability')
        """
        header, arrays = checkpoint.load_archive(path, kind="ensemble")
        try:
            members = []
            for i, state in enumerate(header["members"]):
                start = f"{i}."
                own = {k.removeprefix(start): a for k, a in arrays.items() if k.startswith(start)}
                net = MLP.__new__(MLP)
                net.__setstate__({**state, "arrays": own})
                members.append(net)
            failures = [Failure(**failure) for failure in header["failures"]]
            loaded = cls(members, combine=header["combine"], failures=failures)
            # As they were, not scaled to sum 1 again: that could change their last bits.
            if arrays["weights"].shape != loaded.weights.shape:
                raise ValueError(f"weights: expected {len(members)}")
            loaded.weights = arrays["weights"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{os.fspath(path)}: not a usable ensemble: {error}") from None
        return loaded


def _mean_weights(weights: Sequence[float] | None, n: int) -> Floats:
    if weights is None:
        return np.full(n, 1 / n)
    if len(weights) != n:
        raise ValueError(f"weights: expected {n}, one for each member, got {len(weights)}")
    values = np.array([_validate.real("weights", w, 0) for w in weights])
    total = sum(values.tolist())
    if total == 0:
        raise ValueError("weights: expected one above 0, got only zeros")
    return np.asarray(values / total)


def output(net: MLP, scores: Array, combine: str) -> Floats:
    """What a member adds to the weighted mean: probabilities, scores or votes, (N, C) float64."""
    if combine == "vote":
        return np.asarray(np.eye(scores.shape[1])[scores.argmax(axis=1)])
    if combine == "probability" and net.loss_name != "mse":
        return losses.softmax(scores).astype(np.float64)
    result = scores.astype(np.float64)
    if combine == "probability":
        np.maximum(result, 1e-9, out=result)
        result /= result.sum(axis=1, keepdims=True)
    return result


def _evaluate(
    loss: str, scores: Array, y: Array, labels: Array, n_threads: int | None
) -> dict[str, float]:
    value, _ = losses.get(loss)(scores, y, n_threads=n_threads)
    result = {"loss": value}
    hard, _ = _targets(y, scores, loss)
    if hard is not None:
        result["accuracy"] = float(np.mean(labels == hard))
    return result


def _targets(y: Array, scores: Array, loss: str) -> losses.Targets:
    n_rows, n_outputs = scores.shape
    return losses.targets("y", y, n_rows, n_outputs, loss, scores.dtype)


def _expectation(values: Floats, y: Array) -> float:
    """The mean of each row's value at its label."""
    hard, soft = _targets(y, values, "softmax")
    right = values[np.arange(len(values)), hard] if soft is None else (values * soft).sum(axis=1)
    return float(np.mean(right))
