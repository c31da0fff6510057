"""`EnsembleClassifier`: several networks whose predictions are combined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np

from fanin import _validate, ensemble
from fanin._typing import Array
from fanin.ensemble import Ensemble
from fanin.ensemble.builders import VARIANTS
from fanin.estimators.net_base import Classifier, documented
from fanin.estimators.rows import dense
from fanin.network.options import CHECKPOINT_OPTIONS
from fanin.training.steps import epochs_of_a_run, rows_of_a_step
from fanin.tuning import search
from fanin.tuning.space import Parameter

__all__ = ["EnsembleClassifier"]

Build = Callable[..., Ensemble]


@dataclass(eq=False, repr=False)
class EnsembleClassifier(Classifier):
    """A classifier of several networks, by any of the ways of `fanin.ensemble`.

    Members train at the same time, with the defaults of `NetClassifier`.

    Parameters
    ----------
    {parameters}
    loss, class_weight
        As of `NetClassifier`.
    method : str, default="initializations"
        What the members differ in: "initializations"; "objectives", a member of each of the
        `variants`; "bootstrap" or "folds", the rows; "search", the best of `n_trials` settings of
        the `space`; "cross_validation", the networks of `n_members` folds of the best variants;
        "checkpoints", snapshots of one run with a cyclic learning rate.
    n_members : int, default=5
    variants : sequence of dict, optional
        Of "objectives" and "cross_validation": options that a member changes.
    space : dict of str to Parameter, optional
        Of "search": `fanin.tuning.loguniform` and others, for any option.
    n_trials : int, default=20
        Of "search".
    combine : {"probability", "logits", "vote"}, default="probability"
    executor : concurrent.futures.Executor or Dask client, optional
        Where the members train; by default as many threads as there are cores.

    Attributes
    ----------
    classes_ : ndarray
        Labels, in the order of the columns of `predict_proba`.
    ensemble_ : Ensemble
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has names of columns.

    Examples
    --------
    >>> import fanin
    >>> from fanin.estimators import EnsembleClassifier
    >>> (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    >>> X, X_test = X.reshape(len(X), -1), X_test.reshape(len(X_test), -1)
    >>> model = EnsembleClassifier(32, n_members=3, random_state=0).fit(X, y)
    >>> model.score(X_test, y_test) > 0.95
    True
    """

    _: KW_ONLY
    method: str = "initializations"
    n_members: int = 5
    variants: Sequence[Mapping[str, Any]] | None = None
    space: Mapping[str, Parameter] | None = None
    n_trials: int = 20
    combine: str = "probability"
    executor: Any = None

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        validation_data: tuple[Any, Any] | None = None,
    ) -> Self:
        """Trains the members.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
            Rows of weight 0 count as absent.
        validation_data : (X, y), optional
            Decides when members stop, instead of rows set aside.
        """
        build = _BUILDS[_validate.one_of("method", self.method, _BUILDS)]
        if self._encoder_given() is not None:
            raise TypeError(
                "preprocess: expected what takes arrays, got a TableEncoder; put "
                "fanin.estimators.TableEncoder() before the estimator in a pipeline"
            )
        part, held_out, seed = self._parts(X, y, sample_weight, validation_data)
        dims, network = self._network_options(part)
        if held_out is not None:  # members may train elsewhere, where arrays are sent
            held_out.X = dense(held_out.X)
        options = self._fit_options(part, held_out, None)
        kept = {name: options.pop(name) for name in CHECKPOINT_OPTIONS}
        members = {
            "network": network,
            "combine": self.combine,
            "executor": self.executor,
            "checkpoint": kept["checkpoint"],
            "resume": kept["resume"],
            "seed": seed,
        }
        self.ensemble_: Ensemble = build(self, dims, dense(part.X), part.y, members, options)
        return self

    def predict(self, X: Any) -> Array:
        """Labels, (N,)."""
        return self._labels(self._outputs(X, lambda rows: self.ensemble_.predict(rows)))

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of `classes_`, (N, C), or their shares of votes."""
        return self._outputs(X, lambda rows: self.ensemble_.predict_proba(rows))

    def predict_log_proba(self, X: Any) -> Array:
        """``log(predict_proba(X))``."""
        with np.errstate(divide="ignore"):
            logs: Array = np.log(self.predict_proba(X))
        return logs

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "ensemble_")

    def _validation_size(self, n_rows: int) -> float | int | None:
        """Cross-validation and a search hold out rows of their own."""
        own = self.method in ("cross_validation", "search")
        return None if own else super()._validation_size(n_rows)


def _initializations(
    model: EnsembleClassifier, dims: Any, X: Any, y: Any, members: Any, options: Any
) -> Ensemble:
    n = model.n_members
    return ensemble.from_initializations(dims, X, y, n_members=n, **members, **options)


def _objectives(
    model: EnsembleClassifier, dims: Any, X: Any, y: Any, members: Any, options: Any
) -> Ensemble:
    variants = VARIANTS if model.variants is None else model.variants
    return ensemble.from_objectives(dims, X, y, variants, **members, **options)


def _datasets(
    model: EnsembleClassifier, dims: Any, X: Any, y: Any, members: Any, options: Any
) -> Ensemble:
    n, method = model.n_members, model.method
    return ensemble.from_datasets(dims, X, y, n_members=n, method=method, **members, **options)


def _checkpoints(
    model: EnsembleClassifier, dims: Any, X: Any, y: Any, members: Any, options: Any
) -> Ensemble:
    for name in ("executor", "checkpoint"):
        if members.pop(name) is not None:
            raise ValueError(f"{name}: expected None with method='checkpoints', one single run")
    members.pop("resume")
    n_rows = len(y)
    batch = rows_of_a_step(options["batch_size"], n_rows, single=model.norm != "batch")
    epochs = epochs_of_a_run(options.pop("epochs"), n_rows, batch)
    options.pop("schedule")
    each = max(1, epochs // model.n_members)
    return ensemble.from_checkpoints(
        dims, X, y, n_cycles=model.n_members, epochs_per_cycle=each, **members, **options
    )


def _cross_validation(
    model: EnsembleClassifier, dims: Any, X: Any, y: Any, members: Any, options: Any
) -> Ensemble:
    if options.pop("validation_data", None) is not None:
        raise ValueError("validation_data: expected none, since each fold is held out in turn")
    variants = ({},) if model.variants is None else model.variants
    return ensemble.from_cross_validation(
        dims, X, y, variants, n_folds=model.n_members, **members, **options
    )


def _search(
    model: EnsembleClassifier, dims: Any, X: Any, y: Any, members: Any, options: Any
) -> Ensemble:
    if model.space is None:
        raise ValueError("space: expected parameters to vary with method='search', got None")
    fixed = {**members.pop("network"), **options, "hidden": dims[1:-1]}
    for name in ("metrics", "callbacks", "resume"):
        fixed.pop(name, None)
    epochs, schedule = fixed.pop("epochs"), fixed.pop("schedule")
    batch = rows_of_a_step(fixed["batch_size"], len(y))
    result = search(
        dict(model.space),
        (X, y),
        model.n_trials,
        epochs=epochs_of_a_run(epochs, len(y), batch),
        monitor="val_loss",
        executor=members["executor"],
        log=members["checkpoint"],
        resume=members["resume"],
        seed=members["seed"],
        schedule=schedule,
        **{name: value for name, value in fixed.items() if name not in model.space},
    )
    best = result.top(model.n_members)
    return ensemble.from_search(best, k=len(best), combine=members["combine"])


_BUILDS: dict[str, Build] = {
    "initializations": _initializations,
    "objectives": _objectives,
    "bootstrap": _datasets,
    "folds": _datasets,
    "search": _search,
    "cross_validation": _cross_validation,
    "checkpoints": _checkpoints,
}

documented(EnsembleClassifier)
