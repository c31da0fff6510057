"""What a check says: a name, its evidence and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Finding:
    """One thing that curves, data or a network say.

    Attributes
    ----------
    name : str
        Of a run: needs-more-training, overfitting, underfitting, learning-rate-too-high,
        learning-rate-too-low, bad-initialisation, diverged, healthy or inconclusive. `guide` knows
        more.
    evidence : str
        The numbers behind it, as a sentence.
    action : str
        What to do about it.
    """

    name: str
    evidence: str
    action: str

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}\n  -> {self.action}"

    def to_dict(self) -> dict[str, str]:
        """As JSON values."""
        return vars(self).copy()

    @classmethod
    def from_dict(cls, data: Mapping[str, str]) -> Self:
        """The inverse of `to_dict`."""
        return cls(data["name"], data["evidence"], data["action"])


@dataclass(frozen=True)
class Verdict:
    """The findings on a run, the weightiest first. ``str`` makes lines for a terminal."""

    findings: tuple[Finding, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the findings."""
        return tuple(finding.name for finding in self.findings)

    def to_dict(self) -> list[dict[str, str]]:
        """The findings as JSON values."""
        return [finding.to_dict() for finding in self.findings]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))
