"""The study of six layers: its splits, its table, and what it leaves out. No accuracy is judged."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
pytest.importorskip("benchmarks.jobs", reason="no benchmarks beside the tests")

from benchmarks.studies import depth

from benchmarks import data


@pytest.fixture
def images():
    made = data.synthetic(300, 12, 10)
    return depth.Images("noise", made.X, made.y, 200, 1)


@pytest.mark.parametrize("start", list(depth.STARTS))
@pytest.mark.parametrize("way", list(depth.WAYS))
def test_each_way_from_each_start(start, way, images):
    run = depth.Run(start, way, 0.01, 3)
    found = depth.accuracy(images, run, "adam")
    assert 0 <= found <= 1
    assert found == depth.accuracy(images, run, "adam")


def test_small_weights_are_those_of_the_lecture_for_this_width():
    assert depth.SMALL.keywords["std"] == pytest.approx(0.04)


def test_the_table_has_means_and_errors_of_paired_differences():
    ways = [(start, way) for start in depth.STARTS for way in ("alone", "residual")]
    rates = dict.fromkeys(ways, 0.1)
    accuracies = ([0.5, 0.7], [0.6, 0.8], [0.1, 0.1], [0.5, 0.8])
    lines = depth.table(rates, dict(zip(ways, accuracies, strict=True))).splitlines()
    assert lines[2] == "| Kaiming | alone | 0.1 | 60.00 ± 10.00 | |"
    assert lines[3] == "| Kaiming | residual | 0.1 | 70.00 ± 10.00 | +10.00 ± 0.00 |"
    assert lines[4] == "| small | alone | 0.1 | 10.00 ± 0.00 | -50.00 ± 10.00 |"
    assert lines[5] == "| small | residual | 0.1 | 65.00 ± 15.00 | +5.00 ± 5.00 |"


def test_the_table_of_rates_shows_where_a_run_diverged():
    found = {("Kaiming", "alone"): {0.1: 0.5, 1.0: 0.0}, ("small", "residual"): {0.1: 1, 1.0: 0.12}}
    assert depth.rates_table(found).splitlines() == [
        "| start | with | 0.1 | 1 |",
        "|---|---|---:|---:|",
        "| Kaiming | alone | 50.0 | – |",
        "| small | residual | 100.0 | 12.0 |",
    ]


def test_data_that_are_missing_are_left_out_by_name(monkeypatch, capsys):
    noise = data.synthetic(20, 784, 10)
    monkeypatch.setattr(data, "images", lambda: noise)
    monkeypatch.delenv(data.CIFAR10, raising=False)
    assert depth.main(["--seeds", "2"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "Fashion-MNIST is not installed: left out",
        "CIFAR-10: left out, FANIN_CIFAR10 names no file",
    ]
    x = np.zeros((5, 2, 2, 3), np.uint8)
    monkeypatch.setattr(data, "cifar10", lambda: (x, np.arange(5)))
    assert [(s.name, s.X.shape) for s in depth.sets()] == [("CIFAR-10", (5, 12))]
    with pytest.raises(SystemExit):
        depth.main(["--seeds", "1"])


def test_the_command_judges_the_best_rate_on_other_splits(images, monkeypatch, capsys):
    runs = []

    def accuracy(_, run, optimizer):
        runs.append(run)
        assert optimizer == "sgd"
        return 0.5 + 0.01 * (run.rate == 0.1) + 0.001 * run.seed

    monkeypatch.setattr(depth, "sets", lambda: [images])
    monkeypatch.setattr(depth, "accuracy", accuracy)
    assert depth.main(["--seeds", "3"]) == 0
    judged = [run for run in runs if run.seed]
    assert len(judged) == 8 * 3
    assert len(runs) == 8 * (3 + len(depth.RATES["sgd"]))
    assert {run.rate for run in judged} == {0.1}
    assert {run.seed for run in judged} == {1, 2, 3}
    out = capsys.readouterr().out
    assert out.startswith("noise: 200 training rows, 1 epochs of sgd, 3 splits\n")
    assert "| small | batch norm | 0.1 | 51.20 ± 0.06 | +0.00 ± 0.00 |" in out
