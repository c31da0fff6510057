"""The facts of a step: JSON values by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fanin.diagnostics.findings import Finding

Facts = dict[str, Any]

TITLES = {
    1: "Check the initial loss",
    2: "Overfit a small sample",
    3: "Find a learning rate",
    4: "Coarse search",
    5: "Refine",
    6: "Look at the loss curves",
    7: "Go to step 5",
    8: "At last",
}


def findings(step: Facts) -> list[Finding]:
    """What a step found, the weightiest first."""
    return [Finding.from_dict(finding) for finding in step["findings"]]


def best_score(steps: Sequence[Facts]) -> float | None:
    """Validation accuracy of the best run."""
    scores = [step["best"]["score"] for step in steps if step.get("best")]
    return max(map(float, scores), default=None)
