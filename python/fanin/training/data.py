"""The data of a fit: image shape, checks, preprocessing, rows for the engine."""

from __future__ import annotations

from fanin import metrics
from fanin._core import TrainingData
from fanin._typing import Array
from fanin._validate import boolean, pair
from fanin._validate import weights as checked_weights
from fanin.network import MLP, passes
from fanin.network.classes import as_labels
from fanin.network.options import FitOptions
from fanin.network.targets import Targets
from fanin.training.class_weights import positive_weights, row_weights
from fanin.training.images import TrainingImages


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
    validation : TrainingData or None
    metrics : tuple of str
        Of the validation data, beside loss and accuracy.
    """

    def __init__(self, net: MLP, X: Array, y: Array, options: FitOptions) -> None:
        columns = None
        self.images: TrainingImages | None = None
        self.inputs = net.inputs.requested(options.preprocess, X)
        X, names = self.inputs.read("X", X)
        if options.augment is not None or options.mix is not None:
            weighted = [n for n in ("sample_weight", "class_weight") if _given(options, n)]
            self.images = TrainingImages(net, X, weighted, options.augment, options.mix)
            columns = self.images.columns
            self.inputs = self.images.check_inputs(self.inputs, net.inputs)
        self.inputs, rows = self.inputs.first_rows(X, columns=columns, names=names)
        self.targets, self.train = _with_targets(net, rows, y, options)
        self.validation: TrainingData | None = None
        if options.validation_data is not None:
            X, y = pair("validation_data", options.validation_data, "(X, y)")
            of_X, of_y = "validation X", "validation y"
            X, names = self.inputs.read(of_X, X)
            if self.images is not None:
                self.images.check_validation(X)
            _, rows = self.inputs.first_rows(X, of_X, names=names)
            self.validation = net.with_targets(rows, y, name=of_y, targets=self.targets)
        self.metrics = _checked_metrics(net, self.validation, options)

    def prepare(self, n_threads: int | None) -> None:
        """Fits the preprocessing and applies it to all data."""
        self.inputs, self.train = self.inputs.fit(self.train, n_threads)
        if self.validation is not None:
            self.validation = self.inputs.transform(self.validation, n_threads)


def _given(options: FitOptions, name: str) -> bool:
    return getattr(options, name) is not None


def _checked_metrics(
    net: MLP, validation: TrainingData | None, options: FitOptions
) -> tuple[str, ...]:
    if validation is None:
        if names := metrics.check_names(options.metrics, numbers=True):
            raise ValueError(f"metrics: expected validation_data, to compute {names[0]!r} on")
        return ()
    return passes.check_metrics(options.metrics, net.targets, validation, numbers=True)


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
