"""The report of a guide: as data, as text, and as one page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from fanin._files import FileError, atomic_write, read_file, reading
from fanin._json import from_any_json, to_json
from fanin._typing import PathLike
from fanin.callbacks.history import History
from fanin.diagnostics.findings import Finding
from fanin.ensemble import Ensemble
from fanin.network import MLP
from fanin.tuning.guide.facts import TITLES, Facts, best_score, final_scores, findings

FORMAT = 1
PLAIN = ("settings", "stopped", "seconds", "test", "options", "ensemble_test")  # JSON values
_DATA, _END = b'<script type="application/json" id="fanin-report">', b"</script>"


@dataclass(frozen=True)
class Step:
    """One step of the guide.

    Attributes
    ----------
    facts : dict
        Everything that was measured, as JSON values: ``number``, ``round``, ``findings``,
        ``settings`` after the step, ``seconds``, and more that differs from step to step.

    Examples
    --------
    >>> print(fanin.tuning.Step({"number": 3, "round": 0, "findings": [], "seconds": 1.5}).title)
    Find a learning rate
    """

    facts: Facts = field(repr=False)

    @property
    def number(self) -> int:
        """1 to 7; 8 for the run on all rows that may follow."""
        return int(self.facts["number"])

    @property
    def round(self) -> int:
        """Of steps 5 to 7, from 1; else 0."""
        return int(self.facts["round"])

    @property
    def title(self) -> str:
        """Its name in the lecture."""
        return TITLES[self.number]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Its findings, the most important first."""
        return tuple(findings(self.facts))

    @property
    def seconds(self) -> float:
        """How long it took."""
        return float(self.facts["seconds"])

    def __str__(self) -> str:
        from fanin.tuning.guide.report_page import terminal  # pictures take a while to import

        return terminal(self.facts)


@dataclass(frozen=True, eq=False)
class Report:
    """What `guide` returns; printed, a summary of the steps.

    Attributes
    ----------
    steps : tuple of Step
    network : MLP or None
        The best one, trained on all rows where the guide came to its end; None where no search
        has begun or all networks diverged.
    history : History or None
        Of the best settings: the mean over the folds.
    settings : dict
        The hyperparameters that won: ``hidden``, ``lr``, ``reg``, ``keep``...
    stopped : str
        Why it ended.
    seconds : float
        In total, interrupted processes included.
    test : dict or None
        Loss, accuracy (of classes; else metrics such as ``r2``, ``rmse`` or ``f1_macro``) and rows
        of the test data, evaluated once.
    ensemble_test : dict or None
        The same of the ensemble on these rows.
    options : dict
        Seed, time budget and task.
    ensemble : Ensemble or None
        The folds' networks of the best settings, weighted by what they do for rows that they were
        not trained on, and the network of all rows, where there is one. Its score is that of the
        folds' networks alone.

    Examples
    --------
    >>> (X, y), _ = fanin.datasets.load("digits")
    >>> report = fanin.tuning.guide(X[:200], y[:200], time_budget=0.2, progress=False)
    >>> report.step(1).title
    'Check the initial loss'
    """

    steps: tuple[Step, ...]
    network: MLP | None = field(repr=False)
    history: History | None = field(repr=False)
    settings: dict[str, Any]
    stopped: str
    seconds: float
    test: dict[str, Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    ensemble: Ensemble | None = field(default=None, repr=False)
    ensemble_test: dict[str, float] | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of all steps, in their order."""
        return tuple(finding for step in self.steps for finding in step.findings)

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """Of rows that each network was not trained on, by what was judged.

        "ensemble", "network" (one network), "linear" (a network without hidden layers) and what
        knows no row: "majority" (the classes' shares), "constant" (of values), "shares" (of several
        labels). Of classes ``log_loss`` with its standard ``error``, ``accuracy``,
        ``balanced_accuracy``, ``roc_auc`` (the mean over classes, one against the rest), ``rows``;
        of several labels ``log_loss``, ``f1_macro``, ``f1_micro``, ``hamming_loss``; of values
        ``loss`` (in deviations of the target) and, in its units, ``rmse`` and ``mae``, with ``r2``.
        Empty before the guide has come to its end.
        """
        return final_scores([step.facts for step in self.steps])

    @property
    def score(self) -> float | None:
        """Validation accuracy, R² or macro-F1.

        Of the ensemble; before the guide's end of the best settings.
        """
        return best_score([step.facts for step in self.steps])

    def step(self, number: int, round: int = 0) -> Step:
        """The step of that number; of steps 5 to 7, of that round, by default the last."""
        found = [s for s in self.steps if s.number == number and round in (0, s.round)]
        if not found:
            raise ValueError(f"step: expected one that was taken, got {number} of round {round}")
        return found[-1]

    def to_dict(self) -> dict[str, Any]:
        """All but the network, as JSON values."""
        history = None if self.history is None else self.history.to_dict()
        rest = {name: getattr(self, name) for name in PLAIN}
        steps = [step.facts for step in self.steps]
        return {"format": FORMAT, "steps": steps, "history": history, **rest}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], network: MLP | None = None) -> Self:
        """The inverse of `to_dict`."""
        try:
            steps = tuple(Step(dict(facts)) for facts in data["steps"])
            history = None if data["history"] is None else History.from_dict(data["history"])
            settings, options = dict(data["settings"]), dict(data["options"])
            stopped, seconds = str(data["stopped"]), float(data["seconds"])
            return cls(
                steps,
                network,
                history,
                settings,
                stopped,
                seconds,
                data["test"],
                options,
                ensemble_test=data.get("ensemble_test"),
            )
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"report: expected what Report.to_dict gives ({error!r})") from error

    def save(self, path: PathLike) -> None:
        """Writes a self-contained page (.html), or the numbers alone (.json).

        The page holds the numbers too: `load` and ``guide(start_from=)`` read either. Pictures need
        matplotlib (``pip install fanin[plot]``); without it the page has tables and text only.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in (".html", ".json"):
            raise ValueError(f"path: expected a suffix of .html or .json, got {os.fspath(path)!r}")
        facts = self.to_dict()
        if suffix == ".html":
            from fanin.tuning.guide.report_page import html

            content = html(facts).encode()
        else:
            content = to_json(facts)
        with atomic_write(path) as file:
            file.write(content + b"\n")

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Reads what `save` wrote, without the network.

        `fanin.FileError` for any other file, and for numbers that were changed.
        """
        text = read_file(path)
        if Path(path).suffix.lower() == ".html":
            text, end, _ = text.partition(_DATA)[2].partition(_END)
            text = text if end else b""
        if not text.strip():
            raise FileError(path, "expected a report of a guide, got a file without one")
        names = ("format", "steps", "history", *PLAIN)
        with reading(path, "expected a report of a guide"):
            record = from_any_json(text.rstrip(), path, names)
            return cls.from_dict(record)

    def _repr_html_(self) -> str:
        """Outcome, steps and findings as tables, in a notebook."""
        from fanin.tuning.guide.report_page import overview

        return overview(self.to_dict())

    def __str__(self) -> str:
        from fanin.tuning.guide.report_page import summary

        return "\n\n".join([*map(str, self.steps), summary(self.to_dict())])
