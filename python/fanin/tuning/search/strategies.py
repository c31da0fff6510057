"""Search strategies: random, grid, quasi-random, or an Optuna sampler."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fanin import _validate
from fanin.random import package_generator
from fanin.tuning.space import Choice, Integers, Parameter, Range, Space, at_units, draw

GENERATION = 8  # trials per ask of an Optuna sampler, all told at its end

SHIFT_LAYER = 1  # of the purpose "search"; trials draw from layer 0, ensembles from the last two


class Strategy(ABC):
    """The parameters of each trial."""

    generation: int | None = None  # trials independent of each other; None: all of them

    def __init__(self, space: Space, n_trials: int, seed: int) -> None:
        self.space, self.n_trials, self.seed = space, n_trials, seed

    @abstractmethod
    def params(self, trial: int) -> dict[str, Any]:
        """A pure function of seed and number or, with generations, of earlier generations too."""

    def tell(self, trial: int, merit: float) -> None:  # noqa: B027  most need not know
        """Gets each trial's score, in order, after its generation; larger is better."""


class Random(Strategy):
    """Each trial from draws of its own."""

    def params(self, trial: int) -> dict[str, Any]:
        return draw(self.space, self.seed, trial)


class Grid(Strategy):
    """Every combination of as many values of each range as n_trials allows, the last name fastest.

    All options of a choice are on the grid.
    """

    def __init__(self, space: Space, n_trials: int, seed: int) -> None:
        fixed = math.prod(len(p.grid(1)) for p in space.values() if isinstance(p, Choice))
        if fixed > n_trials:
            raise ValueError(
                f"n_trials: expected at least {fixed}, the combinations of all choices on a grid, "
                f"got {n_trials}"
            )
        points = 1
        while _size(space, points) < _size(space, points + 1) <= n_trials:
            points += 1
        self.axes = {name: p.grid(points) for name, p in space.items()}
        super().__init__(space, _size(space, points), seed)

    def params(self, trial: int) -> dict[str, Any]:
        index = np.unravel_index(trial, [len(axis) for axis in self.axes.values()])
        return {name: axis[i] for (name, axis), i in zip(self.axes.items(), index, strict=True)}


def _size(space: Space, points: int) -> int:
    return math.prod(len(p.grid(points)) for p in space.values())


class Sobol(Strategy):
    """Sobol's points, shifted at random (modulo 1): they fill the space more evenly."""

    def __init__(self, space: Space, n_trials: int, seed: int) -> None:
        try:
            from scipy.stats import qmc
        except ImportError:
            raise ImportError("strategy='sobol' needs SciPy: pip install fanin[search]") from None
        super().__init__(space, n_trials, seed)
        rng = package_generator(seed, "search", SHIFT_LAYER)
        shift = rng.random(len(space), dtype=np.float64)
        power = max(n_trials - 1, 1).bit_length()
        points = qmc.Sobol(len(space), scramble=False).random_base2(power)
        self.points = (points[:n_trials] + shift) % 1.0

    def params(self, trial: int) -> dict[str, Any]:
        return at_units(self.space, self.points[trial])


class Optuna(Strategy):
    """An Optuna sampler, by ask and tell of one generation of trials at a time.

    So the trials depend on the sampler and its seed, not on which of them end first; after an
    interruption the same asks and tells are repeated.
    """

    generation = GENERATION

    def __init__(self, space: Space, n_trials: int, seed: int, sampler: Any) -> None:
        import optuna

        super().__init__(space, n_trials, seed)
        self.distributions = {name: _distribution(p) for name, p in space.items()}
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self.study = optuna.create_study(sampler=sampler, direction="maximize")
        finally:
            optuna.logging.set_verbosity(level)
        self.asked: dict[int, Any] = {}

    def params(self, trial: int) -> dict[str, Any]:
        self.asked[trial] = asked = self.study.ask(self.distributions)
        return {name: _suggested(p, asked.params[name]) for name, p in self.space.items()}

    def tell(self, trial: int, merit: float) -> None:
        from optuna.trial import TrialState

        if (asked := self.asked.pop(trial, None)) is not None:
            failed = None if math.isfinite(merit) else TrialState.FAIL
            self.study.tell(asked, None if failed else merit, failed)


def _distribution(parameter: Parameter) -> Any:
    from optuna import distributions

    if isinstance(parameter, Integers):
        low, high = int(parameter.low), int(parameter.high)
        return distributions.IntDistribution(low, high, log=parameter.log)
    if isinstance(parameter, Range):
        return distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    assert isinstance(parameter, Choice)
    return distributions.CategoricalDistribution(range(len(parameter.options)))


def _suggested(parameter: Parameter, value: Any) -> Any:
    if isinstance(parameter, Choice):
        return parameter.options[value]
    return value if isinstance(parameter, Integers) else float(f"{value:.7g}")


def make_strategy(strategy: Any, space: Space, n_trials: int, seed: int) -> Strategy:
    """The strategy of that name, or of an Optuna sampler."""
    kinds: Mapping[str, type[Strategy]] = {"random": Random, "grid": Grid, "sobol": Sobol}
    if isinstance(strategy, str):
        return kinds[_validate.one_of("strategy", strategy, kinds)](space, n_trials, seed)
    if callable(getattr(strategy, "sample_relative", None)):
        return Optuna(space, n_trials, seed, strategy)
    raise TypeError(
        f"strategy: expected one of {', '.join(kinds)} or an Optuna sampler, "
        f"got {_validate.describe(strategy)}"
    )


def start_params(start_from: Sequence[Any], space: Space, seed: int) -> list[dict[str, Any]]:
    """Parameters to try first; what an entry leaves out is drawn for the trial it will be."""
    result = []
    for i, given in enumerate(_validate.sequence("start_from", start_from, "a list")):
        best = getattr(given, "best", given)  # of a search's result
        params = getattr(best, "params", best)  # of a trial
        if not isinstance(params, Mapping):
            raise TypeError(
                f"start_from[{i}]: expected a dict of parameters, a trial or a result of a search, "
                f"got {_validate.describe(given)}"
            )
        if params is given and (unknown := sorted(set(params) - set(space))):
            raise ValueError(
                f"start_from[{i}]: expected parameters of the space, {', '.join(space)}; "
                f"got {unknown[0]!r}"
            )
        result.append({n: params.get(n, drawn) for n, drawn in draw(space, seed, i).items()})
    return result


def halving_rungs(n_trials: int, epochs: int) -> list[tuple[int, int]]:
    """(trials, epochs) of each rung: a third of the trials, three times the epochs.

    Jamieson and Talwalkar 2016, "Non-stochastic best arm identification"; the last rung trains to
    `epochs`.
    """
    rungs = [(n_trials, epochs)]
    while n_trials // 3 ** len(rungs) >= 1 and epochs // 3 ** len(rungs) >= 1:
        rungs.append((n_trials // 3 ** len(rungs), epochs // 3 ** len(rungs)))
    return [(trials, epochs) for (trials, _), (_, epochs) in zip(rungs, rungs[::-1], strict=True)]
