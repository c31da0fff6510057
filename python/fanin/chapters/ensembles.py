"""Model ensembles."""

from __future__ import annotations

from typing import Any

import numpy as np

from fanin import ensemble, plots
from fanin.chapters.story import Data, percent, tell
from fanin.document.blocks import Chapter, Remark, Table
from fanin.plots.style import picture

MEMBERS, EPOCHS = 5, 10
INDEPENDENT = {"n_members": MEMBERS, "epochs": EPOCHS}
CYCLES = {"n_cycles": MEMBERS, "epochs_per_cycle": EPOCHS}
WAYS: tuple[tuple[str, Any, dict[str, int]], ...] = (
    ("different initialisations", ensemble.from_initializations, INDEPENDENT),
    ("different datasets (bootstrap)", ensemble.from_datasets, INDEPENDENT),
    ("different checkpoints of one model", ensemble.from_checkpoints, CYCLES),
)


def chapter(data: Data, seed: int) -> Chapter:
    """Three of the six ways to make one, on real data."""
    dims = [data.dim, 64, data.n_classes]
    rows, first = [], None
    for way, build, options in WAYS:
        whole = build(
            dims, data.X, data.y, seed=seed, batch_size=min(64, len(data.y)),
            preprocess=data.preprocess, progress=False, **options,
        )  # fmt: skip
        evaluation = whole.evaluate(data.X_test, data.y_test)
        first = first or evaluation
        members = [member["accuracy"] for member in evaluation["members"]]
        pairs = evaluation["disagreement"][np.triu_indices(len(members), 1)]
        whole, differ = evaluation["accuracy"], pairs.mean() if pairs.size else 0.0
        shares = (min(members), float(np.mean(members)), max(members), whole, float(differ))
        rows.append((way, *map(percent, shares)))

    return tell(
        "Regularisation: model ensembles",
        """The parameters that make the loss smallest are not unique, and some fit the
        training data too well. *Regularisation* is what is added against such overfitting.
        A **model ensemble** trains several independent models and averages their results at
        test time.""",
        Remark(
            "An ensemble needs computing power: a method for firms more than for single "
            "persons. (Networks of this size take a second each.)"
        ),
        """The models can differ in many ways: (1) initialisations; (2) optimization or
        objective function; (3) datasets; (4) the top models found in cross-validation; (5)
        checkpoints of a single model; (6) a running average of the parameters during
        training. `fanin.ensemble` has a builder for each; here are three.""",
        picture(
            "ensembles.png",
            "Accuracy of the members and of the ensemble, and how often two members differ.",
            f"{MEMBERS} networks of 64 hidden units from different initialisations, on the "
            f"test rows of {data.name}. Members that err on different rows can correct each "
            "other.",
            lambda: plots.ensemble(first or {}),
        ),
        Table(
            f"Accuracy on {len(data.y_test)} test rows of {data.name}, {MEMBERS} members of "
            f"{EPOCHS} epochs each (a checkpoint: after every {EPOCHS} epochs of one run)",
            ("members", "worst", "mean", "best", "ensemble", "two differ on"),
            rows,
        ),
    )
