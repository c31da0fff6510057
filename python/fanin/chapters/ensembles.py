"""Model ensembles."""

from __future__ import annotations

from typing import Any

import numpy as np

from fanin import ensemble, plots
from fanin.chapters.story import Data, percent
from fanin.document.blocks import Chapter, Remark, Table
from fanin.plots.picture import picture

MEMBERS, EPOCHS = 5, 10
WAYS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("different initialisations", "from_initializations", {"n_members": MEMBERS, "epochs": EPOCHS}),
    ("different datasets (bootstrap)", "from_datasets", {"n_members": MEMBERS, "epochs": EPOCHS}),
    (
        "different checkpoints of one model",
        "from_checkpoints",
        {"n_cycles": MEMBERS, "epochs_per_cycle": EPOCHS},
    ),
)


def chapter(data: Data, seed: int) -> Chapter:
    """Three of the six ways to make one, on real data."""
    dims = [data.dim, 64, data.n_classes]
    rows, first = [], None
    for way, name, options in WAYS:
        whole = getattr(ensemble, name)(
            dims, data.X, data.y, seed=seed, batch_size=min(64, len(data.y)),
            preprocess=data.preprocess, progress=False, **options,
        )  # fmt: skip
        evaluation = whole.evaluate(data.X_test, data.y_test)
        first = first or evaluation
        accuracies = [member["accuracy"] for member in evaluation["members"]]
        differ = np.asarray(evaluation["disagreement"])
        pairs = differ[np.triu_indices(len(differ), 1)]
        rows.append(
            (
                way,
                percent(min(accuracies)),
                percent(float(np.mean(accuracies))),
                percent(max(accuracies)),
                percent(evaluation["accuracy"]),
                percent(float(pairs.mean()) if pairs.size else 0.0),
            )
        )

    return Chapter(
        "Regularisation: model ensembles",
        [
            (
                "The parameters that make the loss smallest are not unique, and some fit the "
                "training data too well. *Regularisation* is what is added against such "
                "overfitting. A **model ensemble** trains several independent models and "
                "averages their results at test time."
            ),
            Remark(
                "An ensemble needs computing power: a method for firms more than for single "
                "persons. (Networks of this size take a second each.)"
            ),
            (
                "The models can differ in many ways: (1) initialisations; (2) optimization or "
                "objective function; (3) datasets; (4) the top models found in cross-validation; "
                "(5) checkpoints of a single model; (6) a running average of the parameters during "
                "training. `fanin.ensemble` has a builder for each; here are three."
            ),
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
        ],
    )
