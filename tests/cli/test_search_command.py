"""The command ``fanin search``: what it prints and leaves, and that it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import fanin
from fanin import cli

COMMAND = ["search", "digits", "lr=1e-3:1:log", "hidden=8,16-8", "keep=0.8:1", "activation=tanh"]
FEW = ["--trials", "4", "--epochs", "2", "--no-progress"]


def run(*arguments: str) -> int:
    return cli.main([*COMMAND, *FEW, *arguments])


def test_it_searches_and_keeps_the_best_network(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "run"
    assert run("--out", str(out), "--fine", "2") == 0
    text = capsys.readouterr().out
    assert (
        "space: lr loguniform(0.001, 1), hidden choice([8, [16, 8]]), keep uniform(0.8, 1)" in text
    )
    assert "2 trials: 2 done" in text
    assert "the best network's test accuracy: " in text
    for name in ("trials.jsonl", "trials-2.jsonl", "network.fanin", "history.json", "config.json"):
        assert (out / name).stat().st_size > 0, name
        assert name in text
    net = fanin.MLP.load(out / "network.fanin")
    assert net.activation[0] == "tanh"
    assert cli.main(["predict", str(out), "digits"]) == 0


def test_it_goes_on_where_it_was_and_says_the_same(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "run"
    assert run("--out", str(out), "--json") == 0
    first = json.loads(capsys.readouterr().out)
    before = (out / "trials.jsonl").read_bytes()
    assert run("--out", str(out), "--json") == 0
    assert json.loads(capsys.readouterr().out) == first
    assert (out / "trials.jsonl").read_bytes() == before
    assert first["best"]["params"]["hidden"] in (8, [16, 8])
    assert set(first["results"]["test"]) == {"loss", "accuracy"}
    assert run("--out", str(out), "--seed", "1") == 1
    assert "was written by another search: seed is 0 there, 1 here" in capsys.readouterr().err


def test_lines_of_the_lecture_where_there_is_no_terminal(tmp_path: Path, capsys: Any) -> None:
    arguments = ["search", "digits", "--trials", "2", "--epochs", "1", "--out", str(tmp_path / "r")]
    assert cli.main([*arguments, "--threads", "1"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("val_acc")]
    assert [line.rsplit(", ", 1)[1] for line in lines] == ["(1 / 2)", "(2 / 2)"]
    assert "lr: " in lines[0]
    assert "reg: " in lines[0]


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("rate=1:2", "expected NAME=VALUE with a name of activation"),
        ("lr", "expected NAME=VALUE"),
        ("lr=0:1:log", "lr=0:1:log: low: expected above 0 on a logarithmic scale"),
        ("lr=1:0.1", "low, high: expected low < high"),
        ("lr=1:2:3", "expected LOW:HIGH or LOW:HIGH:log"),
        ("lr=a:b", "low: expected a number, got 'a'"),
        ("activation=rely", "activation: expected one of"),
        ("depth=0.5:2", "low: expected a whole number"),
    ],
)
def test_what_is_no_space_is_wrong_usage(
    argument: str, text: str, tmp_path: Path, capsys: Any
) -> None:
    assert cli.main(["search", "digits", argument, "--out", str(tmp_path / "r")]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert len(error.splitlines()) == 1


def test_all_diverged_is_a_failure_that_says_what_to_lower(tmp_path: Path, capsys: Any) -> None:
    arguments = [
        "search",
        "digits",
        "lr=1e5:1e8:log",
        "optimizer=sgd",
        "--out",
        str(tmp_path / "r"),
    ]
    assert cli.main([*arguments, *FEW]) == 1
    assert "4 of 4 trials diverged: lower lr" in capsys.readouterr().out


def test_a_score_and_class_weights(tmp_path: Path, capsys: Any) -> None:
    options = ["--trials", "4", "--epochs", "1", "--out", str(tmp_path / "run"), "--no-progress"]
    run = ["search", "digits", "hidden=8", "class_weight=none,balanced", *options]
    assert cli.main([*run, "--monitor", "val_balanced_accuracy"]) == 0
    assert "val_balanced_accuracy" in capsys.readouterr().out
    assert cli.main([*run, "--monitor", "val_f7"]) == 2
    assert "monitor: expected one of val_loss, val_accuracy" in capsys.readouterr().err
