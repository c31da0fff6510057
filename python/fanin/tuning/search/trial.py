"""A trial of a search."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fanin.network import MLP


@dataclass
class Trial:
    """One setting of the parameters, and its result.

    Attributes
    ----------
    number : int
        From 0.
    params : dict
    status : str
        "done"; "diverged", if the loss became non-finite or over 3 times its first; "pruned", if
        others were better; "failed", if something was raised.
    score : float
        Of the best epoch; NaN if there is none.
    epoch : int or None
        That epoch, from 0.
    curves : dict of str to list of float
        Results of each epoch, as in `fanin.history.History`.
    metrics : dict
        Other values that an objective function returned.
    error : str or None
        Why it diverged or failed.
    network : MLP or None
        With the parameters of the best epoch. It is trained again, to the same bits, where the
        search did not keep it; None where the objective is a function.

    Examples
    --------
    >>> from fanin.tuning import search, uniform
    >>> trial = search({"x": uniform(0, 1)}, lambda p: p["x"], 1, progress=False).best
    >>> trial.status, trial.number, trial.score == trial.params["x"]
    ('done', 0, True)
    """

    number: int
    params: dict[str, Any]
    status: str
    score: float = math.nan
    epoch: int | None = None
    curves: dict[str, list[float]] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    larger_is_better: bool = field(default=True, repr=False)
    _network: MLP | None = field(default=None, repr=False, compare=False)
    _train: Callable[[Trial], MLP | None] | None = field(default=None, repr=False, compare=False)

    @property
    def network(self) -> MLP | None:
        """The trained network; see the class."""
        if self._network is None and self._train is not None and self.epoch is not None:
            self._network = self._train(self)
        return self._network

    @property
    def merit(self) -> float:
        """The score, turned so that larger is better."""
        return self.score if self.larger_is_better else -self.score

    @property
    def ended_well(self) -> bool:
        """Whether it has a valid score."""
        return self.status in ("done", "pruned") and math.isfinite(self.score)
