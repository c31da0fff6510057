"""Step 7: what a verdict asks of the next round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fanin.tuning._edges import Edge
from fanin.tuning.space import Parameter, Range, choice, loguniform

WIDEST = 2048
KEEPS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
LEAST_LR, MOST_LR = 1e-7, 10.0


@dataclass
class Advice:
    """What the next round tries.

    Attributes
    ----------
    space : dict of str to Parameter
    fixed : dict
        Settings that change for all its trials.
    epochs : float
        By how much longer it trains.
    reasons : list of str
        Sentences for the reader.
    """

    space: dict[str, Parameter] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)
    epochs: float = 1.0
    reasons: list[str] = field(default_factory=list)


def advise(names: Sequence[str], settings: Mapping[str, Any], edges: Sequence[Edge]) -> Advice:
    """The next round's search round the best settings so far."""
    advice = Advice()
    lr = float(settings["lr"])
    advice.space["lr"] = _around(lr, 3.0)
    advice.space["reg"] = choice(_regs(float(settings.get("reg", 0.0))))
    if settings.get("schedule") is None:
        advice.fixed["schedule"] = "cosine"
        advice.reasons.append(
            "From here on the rate falls to 0 along a cosine: step 5 trains without decay, which "
            "leaves the end of a run restless."
        )
    if "overfitting" in names:
        _regularise(advice, settings)
    elif "underfitting" in names:
        _enlarge(advice, settings)
    else:
        _look_round(advice, settings)
    if "needs-more-training" in names:
        advice.epochs = 2.0
        advice.reasons.append("It still improved at its end: twice as many epochs.")
    if "learning-rate-too-high" in names:
        advice.space["lr"] = _range(lr / 10, lr)
        advice.reasons.append(f"The rate was too high: from {lr / 10:.1e} to {lr:.1e}.")
    elif "learning-rate-too-low" in names:
        advice.space["lr"] = _range(lr, 10 * lr)
        advice.reasons.append(f"The rate was too low: from {lr:.1e} to {10 * lr:.1e}.")
    for edge in edges:
        if edge.name == "lr" and edge.suggestion is not None:
            advice.space["lr"] = edge.suggestion
            advice.reasons.append(f"The best rate was at the edge of its range: {edge.suggestion}.")
    return advice


def _regularise(advice: Advice, settings: Mapping[str, Any]) -> None:
    keep = _one(settings.get("keep", 1.0))
    lower = [k for k in KEEPS if k < keep - 0.05][: 3 if keep < 1 else 4]
    options = ([keep] if keep < 1 else []) + lower
    wider = _wider(settings)
    if options:
        advice.space["keep"] = choice(options)
    if wider:
        advice.space["hidden"] = choice([list(settings["hidden"]), wider])
    shown = ", ".join(map(str, options))
    advice.reasons.append(
        f"It overfits: dropout (keep {shown}) and L2 are searched"
        + (f", with {_text(wider)} units beside {_text(settings['hidden'])}, since dropout thins "
           "the network out" if wider else "")
        + "; regularised runs take longer."
    )  # fmt: skip
    advice.epochs = 1.5


def _enlarge(advice: Advice, settings: Mapping[str, Any]) -> None:
    keep = _one(settings.get("keep", 1.0))
    if keep < 1:
        advice.space["keep"] = choice([keep, 1.0])
    advice.space["reg"] = choice([0.0, 1e-6, 1e-5])
    wider = _wider(settings)
    if wider:
        advice.space["hidden"] = choice([list(settings["hidden"]), wider])
    advice.reasons.append(
        "It underfits: "
        + (f"{_text(wider)} units beside {_text(settings['hidden'])}, " if wider else "")
        + "less regularisation."
    )


def _look_round(advice: Advice, settings: Mapping[str, Any]) -> None:
    keep = _one(settings.get("keep", 1.0))
    near = sorted({k for k in (*KEEPS, 1.0) if abs(k - keep) < 0.15}, reverse=True)
    advice.space["keep"] = choice(near)
    wider = _wider(settings)
    if wider:
        advice.space["hidden"] = choice([list(settings["hidden"]), wider])
    advice.reasons.append(
        "Nothing is wrong with the curves: a look round the best settings"
        + (f", and at {_text(wider)} units." if wider else ".")
    )


def _wider(settings: Mapping[str, Any]) -> list[int]:
    """Twice as wide, and a second layer where there is one; nothing where it is wide already."""
    hidden = [settings["hidden"]] if isinstance(settings["hidden"], int) else settings["hidden"]
    hidden = list(hidden)
    if not hidden or 2 * hidden[0] > WIDEST:
        return []
    if len(hidden) == 1:
        return [2 * hidden[0], hidden[0]]
    return [2 * width for width in hidden]


def _regs(reg: float) -> list[float]:
    return sorted({0.0, 1e-5, 1e-4, reg})


def _one(keep: Any) -> float:
    """A single probability where layers have their own."""
    return float(min(keep)) if isinstance(keep, Sequence) else float(keep)


def _around(lr: float, factor: float) -> Range:
    return _range(lr / factor, lr * factor)


def _range(low: float, high: float) -> Range:
    low, high = max(low, LEAST_LR), min(high, MOST_LR)
    return loguniform(float(f"{low:.3g}"), float(f"{high:.3g}"))


def _text(hidden: Any) -> str:
    return "-".join(map(str, [hidden] if isinstance(hidden, int) else hidden))
