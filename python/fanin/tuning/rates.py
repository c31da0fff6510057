"""What the searches for a learning rate found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fanin._files import json_number

Floats = npt.NDArray[np.float64]

FINAL = "final_loss", "final_accuracy"  # what a trial that diverged has no number for


@dataclass(frozen=True)
class RateTrial:
    """What a learning rate did to the loss.

    Attributes
    ----------
    rate : float
    losses : tuple of float
        Of each step's minibatch, before its update; shorter than asked for where it diverged.
    initial_loss, final_loss : float
        Before and after the steps, over the same rows (2000 at most), without L2.
    initial_accuracy, final_accuracy : float or None
    verdict : {"diverged", "rising", "flat", "goes down"}
        diverged: not finite, or over 3 times the loss before. flat: within 1 % of it, and accuracy
        within two standard errors.
    """

    rate: float
    losses: tuple[float, ...]
    initial_loss: float
    final_loss: float
    initial_accuracy: float | None
    final_accuracy: float | None
    verdict: str

    @property
    def drop(self) -> float:
        """The share of the loss that went away; negative where it rose."""
        return 1 - self.final_loss / self.initial_loss if self.initial_loss else 0.0

    def __str__(self) -> str:
        how_far = {"goes down": f" by {self.drop:.1%}", "rising": f" by {-self.drop:.1%}"}
        accuracy = "" if self.final_accuracy is None else f", accuracy {self.final_accuracy:.1%}"
        return (
            f"lr {self.rate:.0e}: loss {self.initial_loss:.4f} -> {self.final_loss:.4f}{accuracy}: "
            f"{self.verdict}{how_far.get(self.verdict, '')}"
        )


@dataclass(frozen=True)
class RateProbe:
    """What `lr_probe` found; printed, a line for each rate and the conclusion.

    Attributes
    ----------
    trials : tuple of RateTrial
        From the largest rate to the smallest.
    iterations : int
    reason : str
        Why the suggested rate, or why none.
    """

    trials: tuple[RateTrial, ...]
    iterations: int

    @property
    def best(self) -> RateTrial | None:
        """The trial whose loss fell most; None where it fell with none."""
        falling = [trial for trial in self.trials if trial.verdict == "goes down"]
        return max(falling, key=lambda trial: trial.drop, default=None)

    @property
    def suggestion(self) -> float:
        """The rate with which the loss fell most; ValueError with the reason where none did."""
        if self.best is None:
            raise ValueError(f"learning rate: {self.reason}")
        return self.best.rate

    @property
    def reason(self) -> str:
        """Why that rate, or why none."""
        rates = [trial.rate for trial in self.trials]
        if self.best is not None:
            best = self.best
            reason = f"the loss falls most, by {best.drop:.1%} in {self.iterations} steps"
            if best.rate in (rates[0], rates[-1]) and len(rates) > 1:
                side = "larger" if best.rate == rates[0] else "smaller"
                reason += f"; it is the {side[:-1]}st of those tried: try {side} ones"
            return reason
        kinds = {trial.verdict for trial in self.trials}
        if kinds == {"diverged"}:
            return f"all rates diverge, down to {rates[-1]:g}: try smaller ones, look at the inputs"
        if kinds == {"flat"}:
            return (
                f"the loss moves with no rate up to {rates[0]:g}: try larger ones; if they do not "
                "help, the initialisation is bad or the labels have nothing to do with the inputs"
            )
        return "the loss falls with none: try smaller rates, then look at inputs, labels and init"

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        trials: list[dict[str, Any]] = [asdict(trial) for trial in self.trials]
        for trial in trials:
            trial["losses"] = [json_number(loss) for loss in trial["losses"]]
            for name in FINAL:
                trial[name] = json_number(trial[name])
        return {"iterations": self.iterations, "trials": trials}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        trials = []
        for trial in data["trials"]:
            final = {n: None if trial[n] is None else float(trial[n]) for n in FINAL}
            trials.append(
                RateTrial(**trial | final | {"losses": tuple(map(float, trial["losses"]))})
            )
        return cls(tuple(trials), data["iterations"])

    def __str__(self) -> str:
        end = f"-> {self.best.rate:g}: " if self.best else "-> none: "
        return "\n".join([*map(str, self.trials), end + self.reason])


@dataclass(frozen=True, eq=False)
class RateRange:
    """What `lr_range` found.

    Attributes
    ----------
    rates, losses : ndarray of shape (n,), float64
        Of every step; fewer than asked for where the loss left all bounds.
    smoothed : ndarray of shape (n,), float64
        The losses' mean over some neighbours on either side, weighted by a normal curve.
    slopes : ndarray of shape (n,), float64
        Of smoothed over the logarithm of the rate.
    reason : str
    """

    rates: Floats
    losses: Floats
    smoothed: Floats
    slopes: Floats
    reason: str
    _suggestion: float | None

    @property
    def suggestion(self) -> float:
        """Where the loss falls most steeply; ValueError with the reason where it does not fall."""
        if self._suggestion is None:
            raise ValueError(f"learning rate: {self.reason}")
        return self._suggestion

    def __str__(self) -> str:
        found = "none" if self._suggestion is None else f"{self._suggestion:.1e}"
        return (
            f"{len(self.rates)} rates from {self.rates[0]:.0e} to {self.rates[-1]:.0e}\n"
            f"-> {found}: {self.reason}"
        )
