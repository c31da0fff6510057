"""Data preprocessing: the two figures, and what each step does to training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from fanin import optim, plots
from fanin.chapters.story import Data, curve, final, percent, tell
from fanin.document.blocks import Block, Chapter, Heading, Remark, Table
from fanin.plots.style import picture
from fanin.preprocessing import PCA, Normalize, Whiten, ZeroCenter

RATES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.001, 1e-4)
EPOCHS = 20
MARGIN = 0.03  # the goal lies so far below the best training accuracy


def chapter(data: Data, seed: int) -> Chapter:
    """Centring and scaling, decorrelation and whitening, and training with each."""
    points, names = data.two_features()
    deviations = points.std(axis=0)
    correlation = np.corrcoef(points, rowvar=False)[0, 1]
    return tell(
        "Data preprocessing",
        """Trained on data as they come, a network may do worse than one hopes: the loss can
        be so sensitive to the weights that it is hard to optimise. Preprocessing brings the
        data into a form that is easy to learn from.""",
        picture(
            "preprocessing.png",
            "Six scatter plots: original, zero-centred, normalised; original, decorrelated, "
            "whitened.",
            f"Two features of {data.name} ({names}), step by step. Above: zero-centring, then "
            "normalisation. Below: the data turned onto their principal directions (arrows), "
            "then each direction scaled.",
            lambda: plots.preprocessing(points),
        ),
        Heading("Zero-centring and normalisation"),
        f"""**Zero-centring** takes the mean of each feature away. As a sigmoid's outputs,
        all above 0, push the gradients of the next layer to one side, so do data that lie
        to one side of 0. Here the means are {points[:, 0].mean():.2f} and
        {points[:, 1].mean():.2f}, and 0 afterwards.""",
        f"""**Normalisation** brings all features to one scale. On data of unequal scales
        optimisation goes in wide swings; on normalised data its steps are even, wherever it
        begins, and training is faster. Here standard deviations of {deviations[0]:.2f} and
        {deviations[1]:.2f} become 1.""",
        Remark(
            "Normalise where you assume that features of one scale are learned better: not "
            "blindly, but after looking at the data."
        ),
        Heading("PCA and whitening"),
        f"""**Decorrelation** turns the data onto the eigenvectors of their covariance
        matrix, so that the new features are not correlated (here it was {correlation:.2f}).
        **Whitening** then divides each of them by its standard deviation, the square root
        of the eigenvalue: the covariance becomes the identity.""",
        Remark("For images, PCA and whitening are seldom used."),
        *_on_data(data, seed),
    )


def _versions(data: Data) -> Iterator[tuple[str, Data]]:
    """The data after each step; everything is fitted on the training rows alone."""
    X, X_test = (A.reshape(len(A), -1).astype(np.float32) for A in (data.X, data.X_test))
    yield "original", replace(data, X=X, X_test=X_test)
    for name, step in (
        ("zero-centred", ZeroCenter()),
        ("normalised", Normalize()),
        ("decorrelated", PCA()),
        ("whitened", Whiten()),
    ):
        step.fit(X)
        yield name, replace(data, X=step.transform(X), X_test=step.transform(X_test))


def _on_data(data: Data, seed: int) -> list[Block]:
    results = []
    for name, version in _versions(data):
        net = partial(version.net, 64, activation="tanh", init="xavier", seed=seed)
        rate, history = version.train_at_best(
            RATES, optim.SGD, net, epochs=EPOCHS, batch_size=32, preprocess=None
        )
        results.append((name, rate, history))
    goal = np.nanmax([np.max(curve(history, "accuracy")) for *_, history in results]) - MARGIN
    rows = []
    for name, rate, history in results:
        there = np.flatnonzero(np.array(curve(history, "accuracy")) >= goal)
        epochs = str(there[0] + 1) if there.size else f"over {EPOCHS}"
        seen, test = (percent(final(history, name)) for name in ("accuracy", "val_accuracy"))
        rows.append((name, f"{rate:g}", epochs, seen, test))
    spread = PCA().fit(next(_versions(data))[1].X).explained_variance_
    present = spread[spread > 1e-6 * spread[0]]
    growth = np.sqrt(present[0] / present[-1])
    return [
        Heading(f"What it means for training on {data.name}"),
        f"""A network with one hidden layer of 64 tanh units, trained on {len(data.y)} rows by
        plain SGD in steps of 32; of {len(RATES)} learning rates each version has the one that
        suits it best, so that none suffers from a rate made for another. All statistics are
        those of the training rows.""",
        Table(
            f"Epochs until {percent(goal)} of the training rows are right, and accuracies after "
            f"{EPOCHS} epochs",
            ("data", "learning rate", "epochs", "training accuracy", "test accuracy"),
            rows,
        ),
        f"""Why caution is due: all pixels of an image have one scale already, and their
        correlations are what an image is. Whitening makes every direction as large as every
        other: here the smallest of {len(present)} directions grows {growth:.0f} times as much as
        the largest, and what it holds is mostly noise. Compare the test accuracies."""
        if data.X.ndim > 2
        else f"""Whitening makes every direction as large as every other, noise included: here the
        smallest of {len(present)} grows {growth:.0f} times as much as the largest. Compare the
        test accuracies.""",
    ]
