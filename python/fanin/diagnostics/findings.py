"""The result of a check: a name, evidence and advice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from fanin._typing import Ints


@dataclass(frozen=True)
class Finding:
    """A fault found in learning curves, data or a network.

    Attributes
    ----------
    name : str
        Of a run: needs-more-training, overfitting, underfitting, learning-rate-too-high,
        learning-rate-too-low, bad-initialisation, diverged, healthy or inconclusive. Of data:
        not-finite, few-rows, constant, scale, bias, outliers, duplicate-columns, correlated,
        duplicate-rows or class-balance. Of predictions: rare-class. `tuning.guide` has more.
    evidence, action : str
        The numbers behind it, and what to do; ``advice`` is the same as action.
    columns, rows : ndarray of int64
        Where in the data it is; columns are numbered within a flattened row.

    Examples
    --------
    >>> print(fanin.diagnostics.Finding("constant", "column 3 is always 0", "drop it"))
    constant: column 3 is always 0
      -> drop it
    """

    name: str
    evidence: str
    action: str
    columns: Ints = field(default_factory=lambda: np.empty(0, np.int64), repr=False, compare=False)
    rows: Ints = field(default_factory=lambda: np.empty(0, np.int64), repr=False, compare=False)

    @property
    def advice(self) -> str:
        return self.action

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}\n  -> {self.action}"

    def to_dict(self) -> dict[str, str]:
        """As JSON values; without columns and rows."""
        return {"name": self.name, "evidence": self.evidence, "action": self.action}

    @classmethod
    def from_dict(cls, data: Mapping[str, str]) -> Self:
        """The inverse of `to_dict`."""
        return cls(data["name"], data["evidence"], data["action"])


DataFinding = Finding  # an alias, kept for code that imports it


@dataclass(frozen=True)
class Verdict:
    """The findings on a run. ``str`` gives lines for a terminal.

    Attributes
    ----------
    findings : tuple of Finding, the most important first

    Examples
    --------
    >>> run = fanin.callbacks.History()
    >>> run.append(0, {"loss": float("nan")})
    >>> fanin.tuning.loss_curve(run).names
    ('diverged',)
    """

    findings: tuple[Finding, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(finding.name for finding in self.findings)

    def to_dict(self) -> list[dict[str, str]]:
        return [finding.to_dict() for finding in self.findings]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))
