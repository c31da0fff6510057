"""The arguments of a search, checked before any trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fanin import _validate, datasets, metrics
from fanin._typing import Array
from fanin.arrays import as_array, some_rows
from fanin.callbacks.monitor import Monitor
from fanin.executors import failure_reason
from fanin.network import inputs
from fanin.network.classes import as_labels, encoded
from fanin.network.options import FitOptions
from fanin.preprocessing.transformers import standardization
from fanin.random import package_generator
from fanin.tuning.search import objective, strategies
from fanin.tuning.search.identity import identity
from fanin.tuning.search.objective import FunctionObjective, Objective, TrainingObjective
from fanin.tuning.search.targets import targets_of
from fanin.tuning.space import (
    Parameter,
    Space,
    at_units,
    branches_of,
    check_space,
    leaves,
    names_of,
    space_to_dict,
)

Data = tuple[Array, Array]

PRUNING = ("median", "halving")
STOP_RATIO = 3.0  # the lecture's trainer: a loss over 3 times the first
VAL_SIZE = 0.2
# What an epoch has to judge it by, where targets are labels and where they are not.
_OF_LABELS = [f"val_{name}" for name in metrics.OF_LABELS if name != "confusion_matrix"]
LABEL_SCORES = ("val_loss", *_OF_LABELS, "accuracy", "loss")
_OF_OTHERS = dict.fromkeys((*metrics.OF_COUNTS, "pinball_loss", *metrics.OF_SEVERAL))
SCORES = ("val_loss", *(f"val_{name}" for name in _OF_OTHERS), "loss")


class SearchConfig:
    """The space, the strategy and what a trial does."""

    def __init__(
        self,
        *,
        space: Space,
        data_or_objective: Any,
        n_trials: int,
        strategy: Any,
        epochs: int,
        validation_data: Data | None,
        monitor: str,
        mode: str,
        prune: str | None,
        start_from: Sequence[Any],
        seed: int,
        **options: Any,
    ) -> None:
        self.space: dict[str, Parameter] = check_space(space)
        n_trials = _validate.whole("n_trials", n_trials, 1)
        self.epochs: int = _validate.whole("epochs", epochs, 1)
        self.seed: int = _validate.whole("seed", seed, 0, 2**64 - 1)
        self.prune: str | None = (
            None if prune is None else _validate.one_of("prune", prune, PRUNING)
        )
        if self.prune and "epochs" in names_of(self.space):
            raise ValueError(f"prune: expected None with epochs in the space, got {prune!r}")
        self.notes: list[str] = []
        self.arrays: dict[str, Array] = {}
        self.given = data_or_objective
        self.objective: Objective = self.make_objective(validation_data, monitor, mode, options)
        self.monitor: Monitor = self.objective.monitor
        if self.prune == "median" and isinstance(self.objective, FunctionObjective):
            raise ValueError("prune: expected None or 'halving' with a function, got 'median'")
        self.starts: list[dict[str, Any]] = strategies.start_params(
            start_from, self.space, self.seed
        )
        self.strategy: strategies.Strategy = strategies.make_strategy(
            strategy, self.space, n_trials, self.seed
        )
        self.strategy_name: str = (
            strategy if isinstance(strategy, str) else f"optuna {type(strategy).__name__}"
        )
        self.n_trials: int = max(self.strategy.n_trials, len(self.starts))
        if self.prune == "halving" and self.strategy.generation is not None:
            raise ValueError("prune: expected None or 'median' with an Optuna sampler")

    def params(self, trial: int) -> dict[str, Any]:
        """Those of `start_from`, then the strategy's."""
        return self.starts[trial] if trial < len(self.starts) else self.strategy.params(trial)

    def make_objective(
        self, validation: Data | None, monitor: str, mode: str, options: dict[str, Any]
    ) -> Objective:
        if callable(self.given):
            if options or validation is not None:
                name = next(iter(options), "validation_data")
                raise ValueError(f"{name}: expected data to train on beside it, got a function")
            score = Monitor("score" if monitor == "auto" else monitor, mode)
            return FunctionObjective(self.given, score, objective.takes_budget(self.given))
        self.check_names(options)
        weights = options.pop("sample_weight", None)
        self.take_data(validation, options, weights)
        targets = targets_of(
            self.arrays["y"],
            self.arrays["validation_y"],
            self.space,
            options.get("loss"),
            options.get("quantiles"),
        )
        if targets.loss is not None:
            options["loss"] = targets.loss
            self.notes.append(f"y has values, not labels: loss={targets.loss!r}")
        if monitor == "auto":
            monitor = "val_accuracy" if targets.labels else "val_loss"
        _validate.one_of("monitor", monitor, LABEL_SCORES if targets.labels else SCORES)
        metric = monitor.removeprefix("val_")
        if monitor.startswith("val_") and metric not in ("loss", "accuracy"):  # fit computes it
            options["metrics"] = [*metrics.check_names(options.get("metrics", ())), metric]
        if targets.classes is not None:
            options["classes"] = targets.classes.tolist()
        prepared, score = self.prepared(options), Monitor(monitor, mode)
        halving = self.prune == "halving"
        training = TrainingObjective(
            prepared, score, targets.outputs, STOP_RATIO, self.seed, halving
        )
        self.check_fit(training)
        return training

    def check_names(self, options: Mapping[str, Any]) -> None:
        """Refuses names that are no arguments of `MLP` or fit, or in the space and fixed."""
        for leaf in leaves(self.space):
            own = objective.optimizer_arguments(dict(leaf.conditions).get("optimizer"))
            _validate.one_of("space", leaf.name, [*objective.PARAMETERS, *own])
        for name in options:
            _validate.one_of("search", name, [*objective.OPTIONS, *objective.FIXED])
        if both := sorted(set(options) & set(names_of(self.space))):
            raise ValueError(f"{both[0]}: expected it in the space or fixed, got both")

    def take_data(
        self, validation: Data | None, options: Mapping[str, Any], weights: Array | None
    ) -> None:
        X, y = _validate.pair("data", self.given, "(X, y) or a function")
        X, y = some_rows("X", X), as_labels("y", y)
        if weights is not None:
            weights = as_array("sample_weight", weights)
            _validate.weights(weights, len(y), weights.dtype)
        if validation is None:
            kept, held = self.held_out(X, y)
            validation = X[held], y[held]
            X, y = X[kept], y[kept]
            weights = None if weights is None else weights[kept]
        Xv, yv = _validate.pair("validation_data", validation, "(X, y)")
        yv = as_labels("validation y", yv)
        self.arrays = {
            "X": X,
            "y": y,
            "validation_X": some_rows("validation X", Xv),
            "validation_y": yv,
        }
        if weights is not None:
            self.arrays["sample_weight"] = weights
        for name in ("X", "validation_X"):
            self.arrays[name] = _validate.numbers(name.replace("_", " "), self.arrays[name])
        if options.get("preprocess") is not None and X.ndim < 2:
            raise ValueError(f"X: expected shape (N, D) or (N, ...), got {_validate.describe(X)}")

    def held_out(self, X: Array, y: Array) -> tuple[Array, Array]:
        """The rows that are kept and held out."""
        rows = np.arange(len(X))
        if y.ndim == 1 and y.dtype.kind != "f":
            labels, _ = encoded("y", y)
            (kept, _), (held, _) = datasets.split(rows, labels, test_size=VAL_SIZE, seed=self.seed)
            how = "by class"
        else:
            order = package_generator(self.seed, "search", strategies.SHIFT_LAYER + 1)
            shuffled, n = order.permutation(len(y)), max(round(VAL_SIZE * len(y)), 1)
            held, kept, how = np.sort(shuffled[:n]), np.sort(shuffled[n:]), "at random"
        self.notes.append(
            f"no validation_data: {len(held)} of {len(y)} rows held out {how} with the seed"
        )
        return kept, held

    def prepared(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options, with preprocessing that is the same for all trials fitted once."""
        given = options.get("preprocess", FitOptions.preprocess)
        rows = self.arrays["X"].reshape(len(self.arrays["X"]), -1)
        if steps := inputs.transformers(given):
            given, _ = inputs.fitted(steps, rows)
        elif given == "standardize":
            given = standardization(rows)
        elif given == "auto":
            checked = _validate.data_rows("X", rows, rows.shape[1], np.dtype(np.float64))
            given = inputs.automatic(checked)
        return {**options, "preprocess": given}

    def check_fit(self, training: TrainingObjective) -> None:
        """Refuses, before any trial, what `MLP` or `fit` would refuse in the space's middle.

        Where options bring parameters, in the middle of each.
        """
        X, y, Xv, yv = (self.arrays[n] for n in ("X", "y", "validation_X", "validation_y"))
        every = [leaf.parameter for leaf in leaves(self.space)]
        most = max((len(branches_of(parameter)) for parameter in every), default=0)
        for number in range(max(most, 1)):
            units = [_middle(parameter, number) for parameter in every]
            net, fit = training.network(at_units(self.space, np.array(units)), X)
            weights = self.arrays.get("sample_weight")
            fit |= {"validation_data": (Xv, yv), "sample_weight": weights}
            net.fit(X, y, epochs=0, progress=False, **fit)

    def header(self) -> dict[str, Any]:
        """The identity of a search."""
        objective = self.objective
        facts: dict[str, Any] = {
            "space": space_to_dict(self.space),
            "seed": self.seed,
            "strategy": self.strategy_name,
            "epochs": self.epochs,
            "monitor": [objective.monitor.name, objective.monitor.larger_is_better],
        }
        if isinstance(objective, TrainingObjective):
            facts["data"] = self.arrays
            facts["options"] = dict(sorted(objective.options.items()))  # in whatever order given
        else:
            try:
                facts["objective"] = identity(self.given)
            except Exception as error:  # of the user's own objects
                reason = failure_reason(error)
                raise ValueError(f"objective: what it uses has no identity ({reason})") from error
        facts |= {"prune": self.prune} if self.prune else {}
        facts |= {"start_from": self.starts} if self.starts else {}
        if self.prune == "halving" or self.strategy_name == "grid":
            facts["n_trials"] = self.n_trials
        return facts


def _middle(parameter: Parameter, number: int) -> float:
    """Where its middle is; of a choice that brings parameters, the option of that number."""
    if branches := branches_of(parameter):
        return (min(number, len(branches) - 1) + 0.5) / len(branches)
    return 0.5
