"""scikit-learn: an epoch of MLPClassifier and a PCA, without the checks it can leave out."""

from __future__ import annotations

import numpy as np
import sklearn
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier

from benchmarks import data
from benchmarks.jobs import Array, Prepared, Train, Whitening


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


def whitening(job: Whitening) -> Prepared:
    X, Y = job.data, None

    def run() -> None:
        nonlocal Y
        Y = None  # the last result's memory goes first
        Y = PCA(whiten=True, svd_solver="covariance_eigh").fit_transform(X)

    return Prepared(run, lambda: Y)


JOBS = {Train: train, Whitening: whitening}
