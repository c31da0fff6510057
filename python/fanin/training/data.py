"""The data of a fit: image shape, checks, preprocessing, rows for the engine."""

from __future__ import annotations

from fanin import metrics
from fanin._core import TrainingData
from fanin._typing import Array
from fanin._validate import boolean, pair
from fanin._validate import weights as checked_weights
from fanin.datasets import Chunks
from fanin.datasets.chunks import dask_chunks, is_dask
from fanin.network import MLP, passes
from fanin.network.classes import as_labels
from fanin.network.inputs import Inputs
from fanin.network.options import FitOptions
from fanin.network.targets import Targets
from fanin.training.blocks import HeldChunks
from fanin.training.class_weights import positive_weights, row_weights
from fanin.training.images import TrainingImages

Validation = TrainingData | HeldChunks


class FitData:
    """Training and validation data: checked at once, ready for the engine after `prepare`.

    Attributes
    ----------
    images : TrainingImages or None
        The augmentation of minibatches.
    inputs : Inputs
        The network's preprocessing from now on; the network's own is not changed here.
    targets : Targets
        Likewise.
    train : TrainingData
    validation : TrainingData, HeldChunks or None
    metrics : tuple of str
        Of the validation data, beside loss and accuracy.
    n_rows : int
        To train on.
    chunks : None
        `ChunkedData` has them.
    """

    chunks: None = None

    def __init__(self, net: MLP, X: Array, y: Array, options: FitOptions) -> None:
        columns = None
        self.images: TrainingImages | None = None
        self.inputs: Inputs = net.inputs.requested(options.preprocess, X)
        X, names = self.inputs.read("X", X)
        if options.augment is not None or options.mix is not None:
            weighted = [n for n in ("sample_weight", "class_weight") if _given(options, n)]
            self.images = TrainingImages(net, X, weighted, options.augment, options.mix)
            columns = self.images.columns
            self.inputs = self.images.check_inputs(self.inputs, net.inputs)
        self.inputs, rows = self.inputs.first_rows(X, columns=columns, names=names)
        self.targets: Targets
        self.train: TrainingData
        self.targets, self.train = _with_targets(net, rows, y, options)
        self.n_rows: int = len(self.train)
        self.validation: Validation | None = checked_validation(
            net, self.inputs, self.targets, options, self.images
        )
        self.metrics: tuple[str, ...] = checked_metrics(net, self.validation, options)

    def prepare(self, n_threads: int | None) -> None:
        """Fits the preprocessing and applies it to all data."""
        self.inputs, self.train = self.inputs.fit(self.train, n_threads)
        self.validation = prepared_validation(self.validation, self.inputs, n_threads)


def _given(options: FitOptions, name: str) -> bool:
    return getattr(options, name) is not None


def checked_validation(
    net: MLP,
    inputs: Inputs,
    targets: Targets,
    options: FitOptions,
    images: TrainingImages | None = None,
) -> Validation | None:
    """The validation data, before any transformer."""
    given = options.validation_data
    if given is None:
        return None
    if not isinstance(given, Chunks):
        X, y = pair("validation_data", given, "(X, y)")
        if not is_dask(X):
            X, names = inputs.read("validation X", X)
            if images is not None:
                images.check_validation(X)
            _, rows = inputs.first_rows(X, "validation X", names=names)
            return net.with_targets(rows, y, name="validation y", targets=targets)
        given = dask_chunks(X, y)
    if images is not None:
        raise ValueError("validation_data: expected (X, y) with augment or mix, got Chunks")
    return HeldChunks(net, given, inputs, targets)


def prepared_validation(
    validation: Validation | None, inputs: Inputs, n_threads: int | None
) -> Validation | None:
    """The validation data as they are evaluated, with the fitted inputs."""
    if isinstance(validation, HeldChunks):
        validation.take(inputs)
        return validation
    return None if validation is None else inputs.transform(validation, n_threads)


def checked_metrics(
    net: MLP, validation: Validation | None, options: FitOptions
) -> tuple[str, ...]:
    if validation is None:
        if names := metrics.check_names(options.metrics, numbers=True):
            raise ValueError(f"metrics: expected validation_data, to compute {names[0]!r} on")
        return ()
    some = validation.sample if isinstance(validation, HeldChunks) else validation
    return passes.check_metrics(options.metrics, net.targets, some, numbers=True)


def _with_targets(
    net: MLP, rows: Array, y: Array, options: FitOptions
) -> tuple[Targets, TrainingData]:
    """Checked rows beside what the network learns of y, whose units are found in a first fit."""
    targets, y = net.targets_for(y), as_labels("y", y)
    labels, soft = targets.checked("y", y, len(rows))
    known = net.steps_done or targets.classes_given or targets.kind == "values"
    if labels is not None and not known:
        _require_two_classes(labels)
    weights, positive = options.sample_weight, None
    if options.class_weight is not None and soft is not None and targets.kind == "multilabel":
        positive = positive_weights(targets, soft, options.class_weight)
    elif options.class_weight is not None:
        weights = row_weights(targets, y, labels, options.class_weight, weights)
    weights = checked_weights(weights, len(rows), net.dtype)
    standardize = boolean("standardize_targets", options.standardize_targets)
    targets = targets.requested(standardize).fit(y, soft, weights)
    soft = targets.learnt(y, soft)
    if labels is not None and options.mix is not None and targets.kind == "binary":
        soft, labels = labels.reshape(-1, 1).astype(net.dtype), None  # what mixing makes of them
    return targets, TrainingData(rows, None, None, labels, soft, weights, positive)


def _require_two_classes(labels: Array) -> None:
    if labels.size and (labels == labels[0]).all():
        raise ValueError(f"y: expected at least two classes, got only class {labels[0]}")
