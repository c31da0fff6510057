"""The facts of a step: JSON values by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fanin.diagnostics.findings import Finding
from fanin.tuning.guide.tasks import TASKS, Words

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


def final_scores(steps: Sequence[Facts]) -> Facts:
    """Those of the last step, by what was judged."""
    return dict(next((step["scores"] for step in steps if step.get("scores")), {}))


def words_of(facts: Facts) -> Words:
    """Those of the task that a step was taken for; older facts do not name it."""
    return TASKS[facts.get("task", "classification")].words


def best_score(steps: Sequence[Facts]) -> float | None:
    """The score of rows that were not trained on: of the ensemble, else of the best settings."""
    if (scores := final_scores(steps)) and "ensemble" in scores:
        return float(scores["ensemble"][words_of(steps[0]).score])
    found = (step.get("overall") or step.get("best") for step in steps)
    best = [one for one in found if one]
    return float(best[-1]["score"]) if best else None
