"""Search strategies: random, grid, quasi-random, or an Optuna sampler."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fanin import _validate
from fanin._json import loggable
from fanin._typing import Floats
from fanin.random import package_generator
from fanin.tuning.space import (
    Choice,
    Integers,
    Leaf,
    Parameter,
    Range,
    Space,
    at_units,
    branches_of,
    draw,
    n_units,
    names_of,
)

GENERATION = 8  # trials per ask of an Optuna sampler, all told at its end

MOST_POINTS = 2**17  # values of a range on a grid
SOBOL_BLOCK = 1024  # points that are made at once
SHIFT_LAYER = 1  # of the purpose "search"; trials draw from layer 0, ensembles from the last two


class Strategy(ABC):
    """The parameters of each trial."""

    n_trials: int
    seed: int
    space: Space

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

    All options of a choice are on the grid, each with the values of its own parameters.
    """

    def __init__(self, space: Space, n_trials: int, seed: int) -> None:
        self.axes: dict[tuple[int, int], list[Any]] = {}
        if (fixed := self._size(space, 1)) > n_trials:
            raise ValueError(
                f"n_trials: expected at least {fixed}, the combinations of all choices on a grid, "
                f"got {n_trials}"
            )
        self.points: int = self._most_points(space, n_trials)
        super().__init__(space, self._size(space, self.points), seed)

    def _most_points(self, space: Space, n_trials: int) -> int:
        """The most values of each range that n_trials allow, and bring something."""
        low, high = 1, 2
        while high < MOST_POINTS and self._size(space, high) <= n_trials:
            if self._size(space, high) == self._size(space, low):
                return self._fewest(space, low)
            low, high = high, 2 * high
        high = min(high, MOST_POINTS)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._size(space, middle) > n_trials else (middle, high)
        return self._fewest(space, low)

    def _fewest(self, space: Space, points: int) -> int:
        """With as many combinations: integers have no more than they have."""
        low, high, size = 0, points, self._size(space, points)
        if points == 1 or self._size(space, points - 1) < size:
            return points
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._size(space, middle) == size else (middle, high)
        return high

    def _axis(self, parameter: Parameter, points: int) -> list[Any]:
        key = id(parameter), points
        if key not in self.axes:
            self.axes = {k: axis for k, axis in self.axes.items() if k[0] != key[0]}
            self.axes[key] = parameter.grid(points)
        return self.axes[key]

    def _size(self, space: Space, points: int) -> int:
        return math.prod(sum(self._sizes(p, points)) for p in space.values())

    def _sizes(self, parameter: Parameter, points: int) -> list[int]:
        """Combinations of each option with its parameters; of others the number of values."""
        if branches := branches_of(parameter):
            return [self._size(branch, points) for branch in branches]
        return [len(self._axis(parameter, points))]

    def params(self, trial: int) -> dict[str, Any]:
        return self._at(self.space, trial)

    def _at(self, space: Space, index: int) -> dict[str, Any]:
        """The values of a combination."""
        found: list[dict[str, Any]] = []
        for name, parameter in reversed(list(space.items())):
            sizes = self._sizes(parameter, self.points)
            index, own = divmod(index, sum(sizes))
            if not branches_of(parameter):
                found.append({name: self._axis(parameter, self.points)[own]})
                continue
            assert isinstance(parameter, Choice)
            option = 0
            while own >= sizes[option]:
                own, option = own - sizes[option], option + 1
            inner = self._at(parameter.branches[option], own)
            found.append({name: parameter.options[option], **inner})
        return {name: value for values in reversed(found) for name, value in values.items()}


class Sobol(Strategy):
    """Sobol's points, shifted at random (modulo 1): they fill the space more evenly."""

    first: int
    block: Floats

    def __init__(self, space: Space, n_trials: int, seed: int) -> None:
        try:
            from scipy.stats import qmc
        except ImportError:
            raise ImportError("strategy='sobol' needs SciPy: pip install fanin[search]") from None
        super().__init__(space, n_trials, seed)
        rng = package_generator(seed, "search", SHIFT_LAYER)
        self.shift: Floats = rng.random(n_units(space), dtype=np.float64)
        self.sequence: Any = qmc.Sobol(len(self.shift), scramble=False)
        self.block, self.first = np.empty((0, len(self.shift))), 0

    def params(self, trial: int) -> dict[str, Any]:
        if not self.first <= trial < self.first + len(self.block):
            self.first = trial - trial % SOBOL_BLOCK
            self.sequence.reset()
            if self.first:
                self.sequence.fast_forward(self.first)
            self.block = (self.sequence.random(SOBOL_BLOCK) + self.shift) % 1.0
        return at_units(self.space, self.block[trial - self.first])


class Optuna(Strategy):
    """An Optuna sampler, by ask and tell of one generation of trials at a time.

    So the trials depend on the sampler and its seed, not on which of them end first; after an
    interruption the same asks and tells are repeated. A trial that has no valid score counts as
    worse than all others.
    """

    study: Any

    generation: int = GENERATION

    def __init__(self, space: Space, n_trials: int, seed: int, sampler: Any) -> None:
        import optuna

        super().__init__(space, n_trials, seed)
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self.study = optuna.create_study(sampler=sampler, direction="maximize")
        finally:
            optuna.logging.set_verbosity(level)
        self.asked: dict[int, Any] = {}

    def params(self, trial: int) -> dict[str, Any]:
        with warnings.catch_warnings():  # of Gaussian processes about trials without a score
            warnings.filterwarnings("ignore", ".*(infinit|clip|-inf)", UserWarning)
            self.asked[trial] = asked = self.study.ask()
            return self._suggest(asked, self.space)

    def _suggest(
        self, asked: Any, space: Space, conditions: tuple[tuple[str, Any], ...] = ()
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, parameter in space.items():
            label = Leaf(name, parameter, conditions).label
            value = found[name] = _suggested(asked, label, parameter)
            for i, branch in enumerate(branches_of(parameter)):
                assert isinstance(parameter, Choice)
                if parameter.is_option(i, value):
                    found |= self._suggest(asked, branch, (*conditions, (name, value)))
        return found

    def tell(self, trial: int, merit: float) -> None:
        if (asked := self.asked.pop(trial, None)) is not None:
            self.study.tell(asked, merit if math.isfinite(merit) else -math.inf)


def _suggested(asked: Any, name: str, parameter: Parameter) -> Any:
    if isinstance(parameter, Integers):
        low, high = int(parameter.low), int(parameter.high)
        return asked.suggest_int(name, low, high, log=parameter.log)
    if isinstance(parameter, Range):
        value = asked.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
        return float(f"{value:.7g}")
    assert isinstance(parameter, Choice)
    return parameter.options[asked.suggest_categorical(name, range(len(parameter.options)))]


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
        for name, value in params.items():
            loggable(f"start_from[{i}][{name!r}]", value)
        values = draw(space, seed, i, params)
        if params is given and (unknown := sorted(set(params) - set(values))):
            known, with_others = names_of(space), ""
            if unknown[0] in known:
                with_others = ", which does not come with the others"
            raise ValueError(
                f"start_from[{i}]: expected parameters of the space, {', '.join(known)}; "
                f"got {unknown[0]!r}{with_others}"
            )
        result.append(values)
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
