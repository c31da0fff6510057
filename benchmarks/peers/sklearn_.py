"""scikit-learn: an epoch of MLPClassifier and a PCA, without the checks it can leave out."""

from __future__ import annotations

import numpy as np
import sklearn
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier

from benchmarks import data
from benchmarks.jobs import Array, Predict, Prepared, Train, Whitening


def configure(threads: int) -> None:  # noqa: ARG001  BLAS takes its threads from the environment
    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)


def version() -> str:
    return f"scikit-learn {sklearn.__version__}"


def train(job: Train) -> Prepared:
    X, y = data.scaled(job.data.X), job.data.y
    solver = {"adam": "adam", "momentum": "sgd"}[job.optimizer]
    network = MLPClassifier(
        job.dims[1:-1],
        solver=solver,
        alpha=0.0,
        batch_size=job.batch,
        learning_rate_init=job.lr,
        nesterovs_momentum=False,
        random_state=0,
    )
    classes = np.arange(job.dims[-1])

    def run() -> None:
        network.partial_fit(X, y, classes=classes)

    def answer() -> Array:
        return network.predict_proba(data.scaled(job.data.X_test))

    return Prepared(run, answer)


def predict(job: Predict) -> Prepared:
    network = MLPClassifier(job.dims[1:-1], max_iter=1, random_state=0)
    classes = np.arange(job.dims[-1])
    network.partial_fit(job.rows, np.arange(len(job.rows)) % len(classes), classes=classes)
    if job.dims[-1] == 2:  # one output, whose score is the difference of the two
        hidden, (W, b) = job.layers[:-1], job.layers[-1]
        layers = [*hidden, (W[:, 1:] - W[:, :1], b[1:] - b[:1])]
    else:
        layers = job.layers
    network.coefs_, network.intercepts_ = map(list, zip(*layers, strict=True))
    row = job.row
    return Prepared(lambda: network.predict(row), lambda: network.predict(job.rows))


def whitening(job: Whitening) -> Prepared:
    X, Y = job.data, None

    def run() -> None:
        nonlocal Y
        Y = None  # the last result's memory goes first
        Y = PCA(whiten=True, svd_solver="covariance_eigh").fit_transform(X)

    return Prepared(run, lambda: Y)


JOBS = {Train: train, Predict: predict, Whitening: whitening}
