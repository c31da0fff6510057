"""The arguments of a search, checked before any trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fanin import _validate, datasets, metrics
from fanin._typing import Array
from fanin.callbacks.monitor import Monitor
from fanin.network import inputs
from fanin.preprocessing.transformers import standardization
from fanin.random import package_generator
from fanin.tuning.search import objective, strategies
from fanin.tuning.search.objective import FunctionObjective, Objective, TrainingObjective
from fanin.tuning.space import Space, check_space, space_to_dict

Data = tuple[Array, Array]

PRUNING = ("median", "halving")
STOP_RATIO = 3.0  # the lecture's trainer: a loss over 3 times the first
VAL_SIZE = 0.2
# What an epoch has to judge it by, where targets are labels and where they are not.
_OF_LABELS = [f"val_{name}" for name in metrics.OF_LABELS if name != "confusion_matrix"]
LABEL_SCORES = ("val_loss", *_OF_LABELS, "accuracy", "loss")
SCORES = ("val_loss", *(f"val_{name}" for name in metrics.OF_VALUES), "loss")


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
        self.space = check_space(space)
        n_trials = _validate.whole("n_trials", n_trials, 1)
        self.epochs = _validate.whole("epochs", epochs, 1)
        self.seed = _validate.whole("seed", seed, 0, 2**64 - 1)
        self.prune = None if prune is None else _validate.one_of("prune", prune, PRUNING)
        if self.prune and "epochs" in self.space:
            raise ValueError(f"prune: expected None with epochs in the space, got {prune!r}")
        self.notes: list[str] = []
        self.arrays: dict[str, Array] = {}
        self.given = data_or_objective
        self.objective = self.make_objective(validation_data, monitor, mode, options)
        self.monitor = self.objective.monitor
        if self.prune == "median" and isinstance(self.objective, FunctionObjective):
            raise ValueError("prune: expected None or 'halving' with a function, got 'median'")
        self.starts = strategies.start_params(start_from, self.space, self.seed)
        self.strategy = strategies.make_strategy(strategy, self.space, n_trials, self.seed)
        self.strategy_name = (
            strategy if isinstance(strategy, str) else f"optuna {type(strategy).__name__}"
        )
        self.n_trials = max(self.strategy.n_trials, len(self.starts))
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
            name = "score" if monitor == "auto" else monitor
            score = Monitor(name, mode)
            return FunctionObjective(self.given, score, objective.takes_budget(self.given))
        for name in self.space:
            _validate.one_of("space", name, objective.PARAMETERS)
        for name in options:
            _validate.one_of("search", name, [*objective.OPTIONS, *objective.FIXED])
        if both := sorted(set(options) & set(self.space)):
            raise ValueError(f"{both[0]}: expected it in the space or fixed, got both")
        self.take_data(validation, options)
        labels = self.arrays["y"].ndim == 1
        if monitor == "auto":
            monitor = "val_accuracy" if labels else "val_loss"
        scores = LABEL_SCORES if labels else SCORES
        _validate.one_of("monitor", monitor, scores)
        metric = monitor.removeprefix("val_")
        if monitor.startswith("val_") and metric not in ("loss", "accuracy"):  # fit computes it
            options = {**options, "metrics": [*options.get("metrics", ()), metric]}
        prepared, score = self.prepared(options), Monitor(monitor, mode)
        outputs = objective.n_outputs(self.arrays["y"], self.arrays["validation_y"])
        halving = self.prune == "halving"
        training = TrainingObjective(prepared, score, outputs, STOP_RATIO, self.seed, halving)
        self.check_fit(training)
        return training

    def take_data(self, validation: Data | None, options: Mapping[str, Any]) -> None:
        X, y = _validate.pair("data", self.given, "(X, y) or a function")
        if validation is None:
            (X, y), validation = self.held_out(X, y)
        Xv, yv = _validate.pair("validation_data", validation, "(X, y)")
        self.arrays = {"X": X, "y": y, "validation_X": Xv, "validation_y": yv}
        for name, array in self.arrays.items():
            _validate.plain_array(name.replace("_", " "), array)
        if options.get("preprocess") is not None and X.ndim < 2:
            raise ValueError(f"X: expected shape (N, D) or (N, ...), got {_validate.describe(X)}")

    def held_out(self, X: Any, y: Any) -> tuple[Data, Data]:
        X, y = _validate.plain_array("X", X), _validate.plain_array("y", y)
        if y.ndim == 1:
            parts, how = datasets.split(X, y, test_size=VAL_SIZE, seed=self.seed), "by class"
        else:
            order = package_generator(self.seed, "search", strategies.SHIFT_LAYER + 1)
            rows, n = order.permutation(len(y)), max(round(VAL_SIZE * len(y)), 1)
            held, kept = np.sort(rows[:n]), np.sort(rows[n:])
            parts, how = ((X[kept], y[kept]), (X[held], y[held])), "at random"
        self.notes.append(
            f"no validation_data: {len(parts[1][1])} of {len(y)} rows held out {how} with the seed"
        )
        return parts

    def prepared(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options, with preprocessing that is the same for all trials fitted once."""
        given = options.get("preprocess")
        rows = self.arrays["X"].reshape(len(self.arrays["X"]), -1)
        if steps := inputs.transformers(given):
            given, _ = inputs.fitted(steps, rows)
        elif given == "standardize":
            given = standardization(rows)
        return {**options, "preprocess": given} if "preprocess" in options else dict(options)

    def check_fit(self, training: TrainingObjective) -> None:
        """Refuses, before any trial, what `MLP` or `fit` would refuse in the space's middle."""
        X, y, Xv, yv = self.arrays.values()
        net, fit = training.network({name: p.at(0.5) for name, p in self.space.items()}, X)
        net.fit(X, y, validation_data=(Xv, yv), epochs=0, progress=False, **fit)

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
            facts["objective"] = self.given
        facts |= {"prune": self.prune} if self.prune else {}
        facts |= {"start_from": self.starts} if self.starts else {}
        if self.prune == "halving" or self.strategy_name == "grid":
            facts["n_trials"] = self.n_trials
        return facts
