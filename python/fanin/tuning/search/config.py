"""What a search is to do, its arguments checked before any trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fanin import _validate, datasets
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
        self.objective = self.make_objective(
            data_or_objective, validation_data, monitor, mode, options
        )
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
        self.given = data_or_objective

    def params(self, trial: int) -> dict[str, Any]:
        """Those to begin from, then the strategy's."""
        if trial < len(self.starts):
            return self.starts[trial]
        return self.strategy.params(trial)

    # What is searched

    def make_objective(
        self, given: Any, validation: Data | None, monitor: str, mode: str, options: Any
    ) -> Objective:
        if callable(given):
            if options or validation is not None:
                name = next(iter(options), "validation_data")
                raise ValueError(f"{name}: expected data to train on beside it, got a function")
            name = "score" if monitor == "auto" else monitor
            score = Monitor(name, "max" if mode == "auto" else mode)
            return FunctionObjective(given, score, objective.takes_budget(given))
        self.check_names("space", self.space, objective.PARAMETERS)
        self.check_names("search", options, objective.OPTIONS)
        if both := sorted(set(options) & set(self.space)):
            raise ValueError(f"{both[0]}: expected it in the space or fixed, got both")
        self.take_data(given, validation, options)
        labels = self.arrays["y"].ndim == 1
        if monitor == "auto":
            monitor = "val_accuracy" if labels else "val_loss"
        training = TrainingObjective(
            self.prepared(options),
            Monitor(monitor, mode),
            objective.n_outputs(self.arrays["y"], self.arrays["validation_y"]),
            STOP_RATIO,
            self.seed,
            keeps_checkpoint=self.prune == "halving",
        )
        self.check_fit(training)
        _validate.one_of("monitor", monitor, _scores(labels))
        return training

    @staticmethod
    def check_names(where: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in given:
            if name not in known:
                raise ValueError(f"{where}: expected one of {', '.join(known)}; got {name!r}")

    def take_data(self, given: Any, validation: Data | None, options: Any) -> None:
        X, y = _validate.pair("data", given, "(X, y) or a function")
        if validation is None:
            (X, y), validation = self.held_out(X, y)
        Xv, yv = _validate.pair("validation_data", validation, "(X, y)")
        named = {"X": X, "y": y, "validation X": Xv, "validation y": yv}
        for name, array in named.items():
            _validate.plain_array(name, array)
        self.arrays = {"X": X, "y": y, "validation_X": Xv, "validation_y": yv}
        if options.get("preprocess") is not None and X.ndim < 2:
            raise ValueError(f"X: expected shape (N, D) or (N, ...), got {_validate.describe(X)}")

    def held_out(self, X: Any, y: Any) -> tuple[Data, Data]:
        X, y = _validate.plain_array("X", X), _validate.plain_array("y", y)
        if y.ndim == 1:
            parts = datasets.split(X, y, test_size=VAL_SIZE, seed=self.seed)
            how = "by class"
        else:
            order = package_generator(self.seed, "search", strategies.SHIFT_LAYER + 1)
            rows = order.permutation(len(y))
            n = max(round(VAL_SIZE * len(y)), 1)
            held, kept = np.sort(rows[:n]), np.sort(rows[n:])
            parts = (X[kept], y[kept]), (X[held], y[held])
            how = "at random"
        self.notes.append(
            f"no validation_data: {len(parts[1][1])} of {len(y)} rows held out {how} with the seed"
        )
        return parts

    def prepared(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options, with preprocessing that is the same for all trials fitted once."""
        options = dict(options)
        given = options.get("preprocess")
        rows = self.arrays["X"].reshape(len(self.arrays["X"]), -1)
        steps = inputs.transformers(given)
        if steps:
            options["preprocess"], _ = inputs.fitted(steps, rows)
        elif given == "standardize":
            options["preprocess"] = standardization(rows)
        return options

    def check_fit(self, training: TrainingObjective) -> None:
        """Refuses, before any trial, what `MLP` or `fit` would refuse in the space's middle."""
        params = {name: p.at(0.5) for name, p in self.space.items()}
        arrays = self.arrays
        net, fit = training.network(params, arrays["X"])
        validation = arrays["validation_X"], arrays["validation_y"]
        net.fit(
            arrays["X"], arrays["y"], validation_data=validation, epochs=0, progress=False, **fit
        )

    def header(self) -> dict[str, Any]:
        """What tells this search from others."""
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
        if self.prune:
            facts["prune"] = self.prune
        if self.starts:
            facts["start_from"] = self.starts
        if self.prune == "halving" or self.strategy_name == "grid":
            facts["n_trials"] = self.n_trials
        return facts


def _scores(labels: bool) -> list[str]:
    """What an epoch of training has to judge it by."""
    return ["val_accuracy", "val_loss", "accuracy", "loss"] if labels else ["val_loss", "loss"]
