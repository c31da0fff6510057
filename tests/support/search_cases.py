"""What the tests of searches share: a small search on digits."""

from __future__ import annotations

from typing import Any

import fanin
from fanin import tuning

(X, y), TEST = fanin.datasets.load("digits")
OPTIONS: dict[str, Any] = {
    "epochs": 2,
    "hidden": 16,
    "preprocess": "standardize",
    "validation_data": TEST,
    "progress": False,
}


def rows_of(result: tuning.SearchResult) -> list[tuple[Any, ...]]:
    return [(t.number, t.params, t.status, t.score, t.curves) for t in result]
