"""The ensemble: its members, their combined predictions, evaluation, files."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fanin import _core, _validate, checkpoint, losses
from fanin._files import reading
from fanin._typing import Array, Floats, PathLike
from fanin.diagnostics.rare_classes import warn_if_never_predicted
from fanin.ensemble.members import Failure, check_networks
from fanin.losses.checks import Targets, targets
from fanin.metrics import check_names, check_targets, compute
from fanin.network import MLP
from fanin.network.classes import given_classes, positions

COMBINATIONS = ("probability", "logits", "vote")
LOSSES = ("softmax", "svm", "mse")


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
        scores; one with loss "mse" on labels its scores from 0 up, scaled to sum 1.
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
    Where every member has loss "mse", the ensemble's prediction is the mean of their outputs.

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
        _check_losses(self.members)
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
        self._regression = all(net.loss_name == "mse" for net in self.members)

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
        """The members' combined outputs (N, C): probabilities, scores or shares of votes."""
        return self._as_dtype(self._combine_scores(self._member_scores(X, n_threads)))

    def predict(self, X: Array, *, n_threads: int | None = None) -> Array:
        """Labels (N,), as given in training; the mean output (N, C) where all have loss "mse"."""
        scores = self._member_scores(X, n_threads)
        combined = self._combine_scores(scores)
        if self._regression:
            return self._as_dtype(combined)
        labels = self._labels(scores, combined)
        classes = _common_classes(self.members)
        return labels if classes is None else classes[labels]

    @property
    def classes_(self) -> Array | None:
        """The labels of the outputs, as the members have them; None where all have loss "mse"."""
        return next((n.classes_ for n in self.members if n.classes_ is not None), None)

    def predict_proba(self, X: Array, *, n_threads: int | None = None) -> Array:
        """Probabilities (N, C): their mean, softmax of the mean scores, or shares of the votes."""
        if self._regression:
            raise ValueError(
                "predict_proba: expected a member with loss 'softmax' or 'svm', got 'mse'"
            )
        combined = self._combine_scores(self._member_scores(X, n_threads))
        return self._as_dtype(losses.softmax(combined) if self.combine == "logits" else combined)

    def _member_scores(self, X: Array, n_threads: int | None) -> list[Array]:
        return [net.targets.outputs(net.scores(X, n_threads=n_threads)) for net in self.members]

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
            for a vote the fraction of wrong rows; for members with "mse" that of the mean output.
        """
        y = y if self._regression else positions("y", y, _common_classes(self.members))
        scores = self._member_scores(X, n_threads)
        combined = self._combine_scores(scores)
        members = [
            _evaluate(net.loss_name, own, y, own.argmax(axis=1), n_threads)
            for net, own in zip(self.members, scores, strict=True)
        ]
        predicted = self._labels(scores, combined)
        if self.combine == "logits" or self._regression:
            names = {net.loss_name for net in self.members}
            own_loss = names.pop() if len(names) == 1 else "softmax"
            result = _evaluate(own_loss, combined, y, predicted, n_threads)
        elif self.combine == "vote":
            result = _evaluate("softmax", combined, y, predicted, n_threads)
            hard, soft = _targets(y, combined, "softmax")
            right = predicted == hard if soft is None else soft[np.arange(len(soft)), predicted]
            result["loss"] = 1.0 - float(np.mean(right))
        else:
            # Floored at the smallest float32, where a probability has been rounded to 0.
            logs = _core.map("log", np.maximum(combined, np.finfo(np.float32).tiny))
            result = _evaluate("softmax", logs, y, predicted, n_threads)
        result |= self._metrics(metrics, combined, predicted, y)
        if (labels := _targets(y, combined, "mse")[0]) is not None and not self._regression:
            warn_if_never_predicted(labels, predicted)
        return {**result, "members": members, "disagreement": self._disagreement(scores)}

    def _metrics(
        self, names: Sequence[str], combined: Floats, predicted: Array, y: Array
    ) -> dict[str, Any]:
        loss = "mse" if self._regression else "softmax"
        labels, soft = _targets(y, combined, loss)
        targets = "labels" if soft is None else "values" if self._regression else "soft"
        checked = check_names(names)
        check_targets(checked, targets, loss)
        if self.combine == "logits" and not self._regression:
            combined = losses.softmax(combined)
        outputs = self._as_dtype(combined)
        known = soft if labels is None else labels
        assert known is not None
        return compute(checked, known, outputs, loss, predicted=predicted)

    def disagreement(self, X: Array, *, n_threads: int | None = None) -> Floats:
        """Pairwise disagreement of members, (M, M), symmetric with zeros on the diagonal.

        The fraction of rows to which they give different labels; where every member has loss "mse",
        the root of the mean square between their outputs.
        """
        return self._disagreement(self._member_scores(X, n_threads))

    def _disagreement(self, scores: Sequence[Array]) -> Floats:
        labels = [own.argmax(axis=1) for own in scores]
        result = np.zeros((len(self), len(self)))
        for i, j in itertools.combinations(range(len(self)), 2):
            if self._regression:
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


def _check_losses(members: Sequence[MLP]) -> None:
    """Refuses losses whose mean outputs would be no labels or values."""
    for i, net in enumerate(members):
        if net.loss_name not in LOSSES:
            raise ValueError(
                f"members: expected networks with loss {', '.join(LOSSES)}, "
                f"got {net.loss_name!r} at {i}"
            )


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
    result = {"loss": losses.get(loss)(scores, y, n_threads=n_threads)[0]}
    if (hard := _targets(y, scores, loss)[0]) is not None:
        result["accuracy"] = float(np.mean(labels == hard))
    return result


def _targets(y: Array, scores: Array, loss: str) -> Targets:
    return targets("y", y, len(scores), scores.shape[1], loss, scores.dtype)
