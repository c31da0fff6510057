"""Data preprocessing: the two figures, and what each step does to training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from fanin import optim, plots
from fanin._typing import Array
from fanin.chapters.story import Data, curve, final, number, percent, tell
from fanin.document.blocks import Block, Chapter, Heading, Remark, Table
from fanin.plots.descent import DOWN, feature_descents
from fanin.plots.style import picture
from fanin.preprocessing import PCA, Normalize, Whiten, ZeroCenter

RATES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.001, 1e-4)
EPOCHS = 20
STEPS = 200  # of the descent on two features
UNEQUAL = 0.1  # the spread of the second, beside the first's
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
            f"Two features of {data.name} ({names}), step by step: zero-centring, then "
            "normalisation; and the data turned onto their principal directions (arrows), "
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
        *_descent(data),
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


def _descent(data: Data) -> list[Block]:
    """Two features of unequal scale, and how a descent goes on them."""
    points, y = _unequal_features(data)
    deviations = points.std(axis=0)
    found = feature_descents(points, y, STEPS)
    took = {
        name: f"over {STEPS}" if descent.took is None else str(descent.took)
        for name, descent in found.items()
    }
    return [
        picture(
            "preprocessing-descent.png",
            "Paths of gradient descent from three sides, on features of unequal scale and on the "
            "same normalised.",
            f"A line fitted to two features of {data.name} whose standard deviations are "
            f"{number(deviations[0])} and {number(deviations[1])}: the loss over the two weights, "
            "and gradient descent from three sides (rings) to the best (star), each panel at the "
            "rate that is best for it.",
            lambda: plots.normalization_paths(points, y, steps=STEPS),
        ),
        f"""As they are, the descent swings from one side of the valley to the other and takes
        {took["as they are"]} steps for {DOWN:.0%} of the way down, from the worst of three starts;
        normalised, {took["normalised"]}, from any of them.""",
    ]


def _unequal_features(data: Data) -> tuple[Array, Array]:
    """The feature of the largest spread, one of about a tenth of it that is hardly correlated with
    the first, and whether a row is of the first class.
    """
    X = data.X.reshape(len(data.X), -1)[:, :200].astype(np.float64)
    spread = X.std(axis=0)
    first = int(spread.argmax())
    others = np.flatnonzero((spread > 0) & (np.arange(len(spread)) != first))
    if not len(others):
        raise ValueError("data: expected two features that vary, got one")
    related = np.abs([np.corrcoef(X[:, first], X[:, other])[0, 1] for other in others])
    far = np.abs(np.log(spread[others] / (UNEQUAL * spread[first]))) + related
    pair = np.ascontiguousarray(X[:, [first, int(others[far.argmin()])]])
    return pair, (data.y == 0).astype(np.float64)


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
