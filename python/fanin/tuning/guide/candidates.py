"""Which settings the searches try."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fanin.random import Generator
from fanin.tuning.guide.facts import Facts
from fanin.tuning.guide.problem import SPLIT_FROM, Problem
from fanin.tuning.guide.trials import Trial
from fanin.tuning.space import Choice, Parameter, Range, choice, loguniform

COARSE_BELOW, COARSE_ABOVE = 30.0, 3.0  # times the probe's rate
WEIGHT_DECAYS = (1e-4, 1e-5, 0.0)  # the lecture's
FEW, STRONGER = 2000, (1e-2, 1e-3)  # rows, of which fewer ask for more L2
KEEPS = (1.0, 0.8, 0.6)
MARGIN = 1.5  # times the rates of the best, either way
LEAST_LR, MOST_LR = 1e-7, 10.0


def rounded(value: float) -> float:
    """Three digits."""
    return float(f"{value:.3g}")


def rates(low: float, high: float, edge: float | None = None) -> Range:
    """Learning rates, cut at the edge of those that train."""
    high = min(high, MOST_LR, high if edge is None else edge)
    low = max(min(low, high / 2), LEAST_LR)
    return loguniform(rounded(low), rounded(max(high, 2 * low)))


def coarse_space(
    problem: Problem, settings: Facts, given: Mapping[str, Any], rate: float, edge: float | None
) -> dict[str, Parameter]:
    """Rates and L2; where no network is given and rows are few, widths, dropout and more L2."""
    space: dict[str, Parameter] = {
        "lr": rates(rate / COARSE_BELOW, rate * COARSE_ABOVE, edge),
        "reg": choice(list(WEIGHT_DECAYS)),
    }
    if problem.n_train < SPLIT_FROM and "hidden" not in given:
        width = settings["hidden"][0]
        space["hidden"] = choice([[max(width // 4, 1)], [width], [width, width]])
        if problem.n < FEW:
            space["reg"] = choice([*STRONGER, *WEIGHT_DECAYS])
            space |= {} if "keep" in given else {"keep": choice(list(KEEPS))}
    return space


def draws(space: Mapping[str, Parameter], n: int, seed: int, step: str) -> Iterator[Facts]:
    """So many points, which divide each range evenly (a Latin hypercube)."""
    if n < 1:
        return
    rng = Generator(seed, stream=sum(256**i * b for i, b in enumerate(step.encode()[-7:])))
    columns: dict[str, list[Any]] = {}
    for name, parameter in space.items():
        positions = (rng.permutation(n) + rng.random(n)) / n
        columns[name] = [parameter.at(float(u)) for u in positions]
    for i in range(n):
        drawn = {name: column[i] for name, column in columns.items()}
        yield drawn | ({"lr": rounded(drawn["lr"])} if "lr" in drawn else {})


def around(
    best: Sequence[Trial], space: Mapping[str, Parameter], edge: float | None
) -> dict[str, Parameter]:
    """What the best trials have, and what lies between them."""
    found: dict[str, Parameter] = {}
    for name, parameter in space.items():
        values = [trial.settings[name] for trial in best]
        if isinstance(parameter, Range):
            found[name] = rates(min(values) / MARGIN, max(values) * MARGIN, edge)
        else:
            found[name] = choice([v for i, v in enumerate(values) if v not in values[:i]])
    return found


def covering(space: Mapping[str, Parameter], candidates: Sequence[Facts]) -> dict[str, Parameter]:
    """The space, its choices with what else is tried of them."""
    found: dict[str, Parameter] = {}
    for name, parameter in space.items():
        found[name] = parameter
        if isinstance(parameter, Choice):
            options = list(parameter.options)
            for candidate in candidates:
                options += [] if candidate[name] in options else [candidate[name]]
            found[name] = choice(options)
    return found
