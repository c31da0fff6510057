"""Step 7: the next round, as the verdict advises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fanin.tuning.guide.candidates import rates, rounded
from fanin.tuning.guide.facts import Facts
from fanin.tuning.guide.settings import text
from fanin.tuning.search.edges import Edge
from fanin.tuning.space import Parameter, Range, choice

WIDEST = 2048
FIRST = 16  # of the first hidden layer, where there was none
LEAST_KEEP = 0.3
NEAR = 3.0  # times the best rate, either way


@dataclass
class Advice:
    """What the next round tries."""

    rates: Range  # of trials beyond the candidates
    # What to try first, the most promising first; missing settings are those of the best.
    candidates: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    fixed: dict[str, Any] = field(default_factory=dict)  # settings of all its trials
    epochs: float = 1.0  # how many times as long it trains
    reasons: list[str] = field(default_factory=list)  # sentences for the reader

    def space(self, settings: Facts) -> dict[str, Parameter]:
        """All that the candidates differ in; trials beyond them are drawn from it."""
        space: dict[str, Parameter] = {}
        for name in ("hidden", "keep", "reg"):
            options: list[Any] = []
            for value in (candidate.get(name, settings[name]) for candidate in self.candidates):
                options += [] if value in options else [value]
            space[name] = choice(sorted(options, key=_size))
        return space | {"lr": self.rates}

    def starts(self, settings: Facts) -> list[dict[str, Any]]:
        """The candidates with all their settings."""
        names = self.space(settings)
        return [{name: c.get(name, settings[name]) for name in names} for c in self.candidates]


SizeCheck = Callable[[list[int]], bool]  # whether hidden layers suit the amount of data


def advise(
    names: Sequence[str],
    settings: Facts,
    edges: Sequence[Edge],
    small_enough: SizeCheck,
    edge: float | None = None,
) -> Advice:
    """The next round's search around the best settings so far.

    `names` are those of step 6's findings; `edge` is the largest learning rate to try.
    """
    lr = float(settings["lr"])
    advice = Advice(rates(lr / NEAR, lr * NEAR, edge))
    if settings.get("schedule") is None:
        advice.fixed["schedule"] = "cosine"
        advice.reasons.append(
            "From here on the rate falls to 0 along a cosine: step 5 trains without decay, which "
            "leaves the end of a run restless."
        )
    wider = _wider(settings["hidden"], small_enough)
    of_rate = "learning-rate-too-high" in names or "learning-rate-too-low" in names
    if "overfitting" in names:
        _regularise(advice, settings, wider)
    elif "underfitting" in names:
        _enlarge(advice, settings, wider, _wider(wider, small_enough))
    else:
        _look_round(advice, settings, wider)
        if not of_rate and "needs-more-training" not in names:
            advice.reasons.append("Nothing is wrong with the curves.")
    if not advice.fixed:  # then the best as it is would be the same run again
        advice.candidates = [*advice.candidates[1:], {}]
    if "needs-more-training" in names:
        advice.epochs = 2.0
        advice.reasons.append("It still improved at its end: more epochs.")
    if "learning-rate-too-high" in names:
        _move(advice, lr / 3, f"The rate was too high: lower ones, from {lr / 10:.1e} on.")
        advice.rates = rates(lr / 10, lr, edge)
    elif "learning-rate-too-low" in names:
        _move(advice, 3 * lr, f"The rate was too low: higher ones, up to {10 * lr:.1e}.")
        advice.rates = rates(lr, 10 * lr, edge)
    for found in () if of_rate else edges:
        if found.name == "lr" and isinstance(found.suggestion, Range):
            low, high = found.suggestion.low, found.suggestion.high
            advice.rates = rates(low, high, edge)
            middle = advice.rates.at(0.5)
            _move(advice, middle, f"The best rate was at the edge of its range: {advice.rates}.")
    return advice


def _regularise(advice: Advice, settings: Facts, wider: list[int]) -> None:
    keep = _keep(settings)
    mild, strong = _less(keep, 0.2), _less(keep, 0.35)
    more = {"hidden": wider} if wider else {}
    advice.candidates += [
        {"keep": strong, **more},
        {"keep": mild},
        {"keep": mild, **more},
        {"keep": _less(keep, 0.5), **more},
        {"keep": strong},
        {"keep": mild, "reg": max(10 * float(settings["reg"]), 1e-4)},
    ]
    advice.epochs = 1.5
    beside = f", also with {text(wider)} units beside {text(settings['hidden'])}"
    beside = f"{beside}, since dropout thins a network out" if wider else ""
    advice.reasons.append(
        f"It overfits: dropout that keeps {mild:g}, {strong:g} or {_less(keep, 0.5):g} of the units"
        f"{beside}; regularised runs take longer."
    )


def _enlarge(advice: Advice, settings: Facts, wider: list[int], widest: list[int]) -> None:
    keep, more = _keep(settings), {"hidden": wider} if wider else {}
    if wider:
        advice.candidates += [more, more | {"lr": float(settings["lr"]) / 2}]
    if widest:
        advice.candidates.append({"hidden": widest})
    if keep < 1:
        advice.candidates.insert(1, {"keep": min(round(keep + 0.2, 2), 1.0), **more})
    if float(settings["reg"]) > 0:
        advice.candidates.append({"reg": 0.0, **more})
    what = f"{text(wider)} units beside {text(settings['hidden'])}, " if wider else ""
    advice.reasons.append(f"It underfits: {what}less regularisation.")


def _look_round(advice: Advice, settings: Facts, wider: list[int]) -> None:
    keep, lr = _keep(settings), float(settings["lr"])
    if wider:
        advice.candidates += [
            {"hidden": wider, "keep": _less(keep, 0.15)},
            {"hidden": wider, "lr": lr / 1.5},
        ]
    advice.candidates += [
        {"keep": _less(keep, 0.1)},
        {"lr": lr / 1.7},
        {"lr": lr * 1.7},
        {"reg": 0.0 if float(settings["reg"]) else 1e-5},
    ]
    if keep < 1:
        advice.candidates.append({"keep": min(round(keep + 0.1, 2), 1.0)})
    larger = f", and {text(wider)} units" if wider else ""
    advice.reasons.append(
        f"A look round the best settings: rates, dropout and L2 beside theirs{larger}."
    )


def _move(advice: Advice, lr: float, reason: str) -> None:
    """The candidates at another learning rate, and the best unchanged."""
    lr = rounded(lr)
    others = [c for c in advice.candidates if set(c) - {"lr"}]
    advice.candidates = [{}, {"lr": lr}, *({**c, "lr": lr} for c in others)]
    advice.reasons.append(reason)


def _wider(hidden: Sequence[int], small_enough: SizeCheck) -> list[int]:
    """Twice as wide, with a second layer where there is one; nothing where that is too large."""
    if not hidden:
        return [FIRST] if small_enough([FIRST]) else []
    wider = [2 * hidden[0], hidden[0]] if len(hidden) == 1 else [2 * width for width in hidden]
    return wider if wider[0] <= WIDEST and small_enough(wider) else []


def _keep(settings: Facts) -> float:
    """A single probability where layers have their own."""
    keep = settings["keep"]
    return float(min(keep)) if isinstance(keep, Sequence) else float(keep)


def _less(keep: float, by: float) -> float:
    return max(round(keep - by, 2), LEAST_KEEP)


def _size(value: Any) -> Any:
    return (sum(value), len(value)) if isinstance(value, list) else value
