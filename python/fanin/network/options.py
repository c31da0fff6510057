"""The options of `MLP.fit`: the only place that lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from fanin._typing import Array, PathLike
from fanin.callbacks import Callback
from fanin.optim import Optimizer
from fanin.preprocessing import Preprocess
from fanin.schedules import Schedule

if TYPE_CHECKING:  # images are rare, and their import takes a while
    from fanin.augment import Compose
    from fanin.augment.mixing import Mix
    from fanin.datasets import Chunks


ClassWeight = str | Mapping[int, float]  # "balanced", or a weight for each label
SEARCHABLE = {"searchable": True}  # what a search may vary


@dataclass(frozen=True, kw_only=True, eq=False)
class FitOptions:
    """Options of `MLP.fit`, as given.

    Parameters
    ----------
    validation_data : (X, y) or Chunks, optional
        Evaluated at the end of each epoch.
    epochs : int or "auto"
        "auto" takes 40, or as many more as make 1,000 steps (`fanin.training.auto_epochs`); where
        the validation loss rises by more than its noise it stops early, with the parameters of
        the lowest (`fanin.training.StopOnRise`), unless `callbacks` have an EarlyStopping.
    initial_epoch : int
        Where a run goes on that was stopped after so many of `epochs`: the schedule, the numbers of
        epochs in history and callbacks, and the end are those of the uninterrupted run.
    batch_size : int, "auto" or None
        Rows per step; the last minibatch of an epoch may be smaller. "auto" takes 128, of fewer
        than about 2,000 rows as many as make 8 to 16 steps an epoch
        (`fanin.training.auto_batch_size`). None takes all N.
    optimizer : str or Optimizer
        A name from `fanin.optim`, with its default learning rate, or an object, which keeps its
        state from fit to fit, and belongs to the network that it has trained: another needs one of
        its own.
    reg : float
        L2: adds ``0.5 * reg * sum(W * W)`` over weights, not biases, to the loss.
    schedule : str, Schedule or None
        Learning-rate schedule, see `fanin.schedules`. A `Plateau` belongs to one network too.
    sample_weight : ndarray of shape (N,), optional
        Weights of the loss: sum(w * l) / sum(w) in each step. Accuracies are unweighted.
    class_weight : "balanced", dict or None
        The same as a `sample_weight` of these values, for each row that of its label; beside one,
        their product. "balanced": N / (classes * rows of the class), so that all classes count
        alike. A dict of labels and weights; a class that is not in it has weight 1. Validation
        data are not weighted. Where a row has several labels ("logistic"): what having a label
        weighs in the loss, where not having it weighs 1; "balanced": rows without it / with it.
    standardize_targets : bool
        Of values: the network learns them with mean 0 and deviation 1, those of y in its first fit
        (its `targets` keep them), and predicts in the units of y; counts are divided by their
        mean. Losses are of what it learns, metrics of what it predicts.
    metrics : sequence of str
        Of the validation data, beside loss and accuracy: names of `fanin.metrics.NAMES`, such as
        "balanced_accuracy", which is in the logs as "val_balanced_accuracy".
    preprocess : transformer, list of transformers, "auto", "standardize", (mean, scale) or None
        Fitted on X, saved with the network and applied to all data that it gets, such as
        ``[Normalize(), PCA(50)]``: see `set_preprocess`. "auto" gives bytes one mean and one
        deviation, leaves floats as they are, and keeps what an earlier fit has recorded; None is
        none, for bytes too.
    augment : Compose, optional
        A pipeline of `fanin.augment`, run on the images of each minibatch inside the native
        loop: X is (N, H, W[, C]), uint8 or float32, and what comes out has the network's width,
        X's dtype and X's units, so that `preprocess`, fitted on X, applies to it (PCA and
        Whiten do not go with it, nor Normalize in the pipeline). A row is the sample of its
        number in the epoch `epochs_done`: the same bits as ``augment(X[rows], indices=rows,
        epoch=epochs_done)``. Validation data stay as they are.
    mix : Mixup or CutMix, optional
        Mixes each row of a minibatch, after `augment`, with the one before it, and their
        labels to soft ones, as ``Compose([*augment.transforms, mix], augment.seed)`` does;
        without `augment` the draws are of the network's seed, and Mixup takes X of any shape.
        The accuracy in training is that of the label with the greater share. Not with
        `sample_weight`.
    sampling : {"epoch", "replacement"}
        A new permutation each epoch, or draws with replacement (the course's).
    clip_norm : float, optional
        Clips the norm of the loss's gradient (before L2) to this.
    callbacks : sequence of Callback
    checkpoint : str or path, optional
        A file that keeps this run, so that `resume` can go on with it after a crash, a kill or
        Ctrl-C, also in the middle of an epoch. It is written atomically: before the first step,
        as often as `every` says, after a KeyboardInterrupt (unless that comes in the middle of a
        callback: then the last one stays), and at the end, when it says that the run is finished.
        It is read by the minor version of fanin that wrote it.
    resume : bool
        Go on with the run in `checkpoint`; begin it where there is no such file yet. Network,
        optimizer, schedule, callbacks (`Callback.state_dict`) and history get the state of the
        run, which ends with the very bits of an uninterrupted one. The network's arguments, the
        data and the options must be those of the run, and are refused with the difference; only
        `n_threads`, `progress` and how checkpoints are written may differ. A finished run
        returns its history. Without `resume` a file that is there is refused, not overwritten.
    every : int or str
        How often `checkpoint` is written: after so many epochs, such as 1, or after so much time,
        such as "30s", "5min" or "1h".
    checkpoint_on_signal : bool
        SIGINT and SIGTERM write `checkpoint` at once, or after the callback that they come in;
        then they do what they would have done without: KeyboardInterrupt, the process's end, or
        what your own handler does. Only in the main thread; the handlers are put back after it.
    progress : bool
        A progress bar on stderr.
    n_threads : int, optional
    """

    validation_data: tuple[Array, Array] | Chunks | None = None
    epochs: int | str = field(default=10, metadata=SEARCHABLE)
    initial_epoch: int = 0
    batch_size: int | str | None = field(default="auto", metadata=SEARCHABLE)
    optimizer: str | Optimizer = field(default="adam", metadata=SEARCHABLE)
    reg: float = field(default=0.0, metadata=SEARCHABLE)
    schedule: str | Schedule | None = field(default=None, metadata=SEARCHABLE)
    sample_weight: Array | None = None
    class_weight: ClassWeight | None = field(default=None, metadata=SEARCHABLE)
    standardize_targets: bool = True
    metrics: Sequence[str] = ()
    preprocess: Preprocess | None = field(default="auto", metadata=SEARCHABLE)
    augment: Compose | None = field(default=None, metadata=SEARCHABLE)
    mix: Mix | None = field(default=None, metadata=SEARCHABLE)
    sampling: str = field(default="epoch", metadata=SEARCHABLE)
    clip_norm: float | None = field(default=None, metadata=SEARCHABLE)
    callbacks: Sequence[Callback] = ()
    checkpoint: PathLike | None = None
    resume: bool = False
    every: int | str = "30s"
    checkpoint_on_signal: bool = False
    progress: bool = True
    n_threads: int | None = None


FIT_OPTIONS = tuple(f.name for f in fields(FitOptions))
SEARCHABLE_FIT_OPTIONS = tuple(f.name for f in fields(FitOptions) if f.metadata)

# Of one run in one file, which several fits cannot share.
CHECKPOINT_OPTIONS = ("checkpoint", "resume", "every", "checkpoint_on_signal")

# Arguments of `MLP` that a search may vary, or an ensemble give its members: all but dims and seed.
NETWORK_OPTIONS = (
    "activation",
    "init",
    "output_init",
    "loss",
    "label_smoothing",
    "temperature",
    "huber_delta",
    "quantiles",
    "keep",
    "dropout_mode",
    "drop_connect",
    "drop_connect_mask",
    "drop_connect_inference",
    "norm",
    "residual",
    "dtype",
    "compute",
)
