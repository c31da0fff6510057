"""Bad input to ensembles gets an error that says what was expected."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from ensemble_cases import DIMS, OPTIONS, X_VAL, X, networks, rows, y

import fanin
from fanin import ensemble
from fanin.ensemble import Ensemble, ParameterAverage


def build(**options: Any) -> Ensemble:
    return ensemble.from_initializations(DIMS, X, y, **{**OPTIONS, **options})


BAD: dict[str, tuple[Any, Any, str]] = {
    "no members": (lambda: Ensemble([]), ValueError, "members: expected at least one, got none"),
    "members: type": (lambda: Ensemble([3]), TypeError, "members: expected MLP, got int at 0"),
    "members: one": (
        lambda: Ensemble(networks(1)[0]),
        TypeError,
        "members: expected a list of MLP",
    ),
    "members: shapes": (
        lambda: Ensemble([*networks(1), fanin.MLP([7, 5, 3])]),
        ValueError,
        r"members: expected the inputs and outputs of the first, \[7, 5, 4\], got \[7, 5, 3\] at 1",
    ),
    "combine": (
        lambda: Ensemble(networks(), combine="mean"),
        ValueError,
        "combine: expected one of probability, logits, vote; got 'mean'",
    ),
    "weights: number": (
        lambda: Ensemble(networks(), weights=[1, 2]),
        ValueError,
        "weights: expected 3, one for each member, got 2",
    ),
    "weights: negative": (
        lambda: Ensemble(networks(), weights=[1, 2, -1]),
        ValueError,
        "weights: expected at least 0, got -1",
    ),
    "weights: zero": (
        lambda: Ensemble(networks(), weights=[0, 0, 0]),
        ValueError,
        "weights: expected one above 0",
    ),
    "X: columns": (
        lambda: Ensemble(networks()).predict(rows(5, 6)),
        ValueError,
        r"X: expected shape \(N, 7\).*got \(5, 6\) float32",
    ),
    "y: range": (
        lambda: Ensemble(networks()).evaluate(rows(), np.full(50, 4)),
        ValueError,
        "y: expected labels in 0 .. 3, got 4 in row 0",
    ),
    "n_members": (lambda: build(n_members=0), ValueError, "n_members: expected at least 1, got 0"),
    "seed": (lambda: build(seed=-1), ValueError, "seed: expected between 0 and .*got -1"),
    "option": (
        lambda: build(epoch=3),
        ValueError,
        "fit_options: expected options among validation_data, epochs, .*got 'epoch'",
    ),
    "network": (
        lambda: build(network={"hidden": 3}),
        ValueError,
        "network: expected options among activation, init.*got 'hidden'",
    ),
    "network: seed": (lambda: build(network={"seed": 3}), ValueError, "network: .*got 'seed'"),
    "network: list": (lambda: build(network=["relu"]), TypeError, "network: expected a dict"),
    "network: value": (
        lambda: build(network={"activation": "swish"}),
        ValueError,
        "activation: expected one of",
    ),
    "fit: value": (lambda: build(epochs=-1), ValueError, "epochs: expected at least 0, got -1"),
    "fit: optimizer": (lambda: build(optimizer="adm"), ValueError, "optimizer: expected one of"),
    "combine of builder": (lambda: build(combine="max"), ValueError, "combine: expected one of"),
    "data": (
        lambda: ensemble.from_initializations(DIMS, X[:, :7], y, **OPTIONS),
        ValueError,
        r"X: expected shape \(N, 64\)",
    ),
    "data: text": (
        lambda: ensemble.from_datasets(DIMS, [["a"]] * len(y), y, method="folds", **OPTIONS),
        TypeError,
        "X: expected",
    ),
    "validation": (
        lambda: build(validation_data=(X_VAL,)),
        ValueError,
        r"validation_data: expected \(X, y\), got 1 of them",
    ),
    "variants": (
        lambda: ensemble.from_objectives(DIMS, X, y, {"loss": "svm"}, **OPTIONS),
        TypeError,
        "variants: expected a list of dicts",
    ),
    "variants: option": (
        lambda: ensemble.from_objectives(DIMS, X, y, [{"los": "svm"}], **OPTIONS),
        ValueError,
        r"variants\[0\]: expected options among activation, .*got 'los'",
    ),
    "variants: value": (
        lambda: ensemble.from_objectives(DIMS, X, y, [{}, {"loss": "hinge"}], **OPTIONS),
        ValueError,
        r"member 1 \(loss='hinge'\): loss: expected one of",
    ),
    "variants: none": (
        lambda: ensemble.from_objectives(DIMS, X, y, [], **OPTIONS),
        ValueError,
        "variants: expected at least one, got none",
    ),
    "method": (
        lambda: ensemble.from_datasets(DIMS, X, y, method="jackknife", **OPTIONS),
        ValueError,
        "method: expected one of bootstrap, folds; got 'jackknife'",
    ),
    "folds": (
        lambda: ensemble.from_datasets(DIMS, X, y, method="folds", n_members=1, **OPTIONS),
        ValueError,
        "n_members: expected between 2 and 600, got 1",
    ),
    "cycles": (
        lambda: ensemble.from_checkpoints(DIMS, X, y, n_cycles=0),
        ValueError,
        "n_cycles: expected at least 1, got 0",
    ),
    "checkpoints: schedule": (
        lambda: ensemble.from_checkpoints(DIMS, X, y, schedule="cosine"),
        ValueError,
        "fit_options: .*got 'schedule'",
    ),
    "candidates": (
        lambda: ensemble.from_search(networks(1)[0]),
        TypeError,
        r"candidates: expected a list of MLP or \(MLP, score\)",
    ),
    "candidates: none": (
        lambda: ensemble.from_search([]),
        ValueError,
        "members: expected at least",
    ),
    "candidates: score": (
        lambda: ensemble.from_search([(networks(1)[0], "good")]),
        TypeError,
        "candidates: expected a number as score, got 'good'",
    ),
    "candidates: nan": (
        lambda: ensemble.from_search([(networks(1)[0], np.nan)], k=1),
        ValueError,
        "candidates: expected a finite score, got none",
    ),
    "candidates: no score": (
        lambda: ensemble.from_search(networks(), k=1),
        ValueError,
        "X_val, y_val: expected validation rows to score candidates",
    ),
    "greedy: no data": (
        lambda: ensemble.from_search([(net, 1.0) for net in networks()], greedy=True),
        ValueError,
        "X_val, y_val: expected validation rows for greedy",
    ),
    "X_val alone": (
        lambda: ensemble.from_search(networks(), rows()),
        ValueError,
        "X_val, y_val: expected both or neither",
    ),
    "k": (
        lambda: ensemble.from_search([(net, 1.0) for net in networks()], k=4),
        ValueError,
        "k: expected between 1 and 3, got 4",
    ),
    "decay": (lambda: ParameterAverage(1.0), ValueError, r"decay: expected a number in \[0, 1\)"),
    "start": (lambda: ParameterAverage(start=-1), ValueError, "start: expected at least 0, got -1"),
    "average: no run": (
        lambda: ParameterAverage().network(),
        ValueError,
        "network: expected a run past epoch 0.5",
    ),
    "average: none": (
        lambda: ensemble.average_parameters([]),
        ValueError,
        "networks: expected at least one",
    ),
    "average: type": (
        lambda: ensemble.average_parameters([1]),
        TypeError,
        "networks: expected MLP, got int at 0",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, error, message = BAD[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=message):
            call()
