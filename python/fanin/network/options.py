"""What `MLP.fit` takes beside the data: spelled here, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from fanin._typing import Array
from fanin.callbacks import Callback
from fanin.optim import Optimizer
from fanin.preprocessing import Preprocess
from fanin.schedules import Schedule

if TYPE_CHECKING:  # images are rare, and their import takes a while
    from fanin.augment import Compose
    from fanin.augment.mixing import Mix


SEARCHABLE = {"searchable": True}  # what a search may vary


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Options of `MLP.fit`, as they were given.

    Parameters
    ----------
    validation_data : (X, y), optional
        Evaluated at the end of each epoch.
    epochs : int
    batch_size : int or None
        Rows of a step, by default 128 or all N where there are fewer; the last step of an epoch
        takes what is left. None takes all N.
    optimizer : str or Optimizer
        A name of `fanin.optim`, at its default learning rate, or an object, which keeps its
        state from fit to fit.
    reg : float
        L2: adds ``0.5 * reg * sum(W * W)`` over weights, not biases, to the loss.
    schedule : str, Schedule or None
        Of the learning rate, `fanin.schedules`.
    sample_weight : ndarray of shape (N,), optional
        Weighs the loss: sum(w * l) / sum(w) over each step. Accuracies count rows.
    preprocess : transformer, list of transformers, "standardize", (mean, scale) or None
        Fitted on X, kept and saved with the network and applied wherever data enters, such as
        ``[Normalize(), PCA(50)]``: see `set_preprocess`.
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
        A fresh permutation each epoch, or draws with replacement (the course's).
    clip_norm : float, optional
        Scales the loss's gradient (before L2) down to this norm where it is longer.
    callbacks : sequence of Callback
    progress : bool
        A progress bar on stderr.
    n_threads : int, optional
    """

    validation_data: tuple[Array, Array] | None = None
    epochs: int = field(default=10, metadata=SEARCHABLE)
    batch_size: int | str | None = field(default="auto", metadata=SEARCHABLE)
    optimizer: str | Optimizer = field(default="adam", metadata=SEARCHABLE)
    reg: float = field(default=0.0, metadata=SEARCHABLE)
    schedule: str | Schedule | None = field(default=None, metadata=SEARCHABLE)
    sample_weight: Array | None = None
    preprocess: Preprocess | None = field(default=None, metadata=SEARCHABLE)
    augment: Compose | None = field(default=None, metadata=SEARCHABLE)
    mix: Mix | None = field(default=None, metadata=SEARCHABLE)
    sampling: str = field(default="epoch", metadata=SEARCHABLE)
    clip_norm: float | None = field(default=None, metadata=SEARCHABLE)
    callbacks: Sequence[Callback] = ()
    progress: bool = True
    n_threads: int | None = None


FIT_OPTIONS = tuple(f.name for f in fields(FitOptions))
SEARCHABLE_FIT_OPTIONS = tuple(f.name for f in fields(FitOptions) if f.metadata)

# Arguments of `MLP` that a search may vary, or an ensemble give its members: all but dims and seed.
NETWORK_OPTIONS = (
    "activation",
    "init",
    "output_init",
    "loss",
    "keep",
    "dropout_mode",
    "drop_connect",
    "drop_connect_mask",
    "drop_connect_inference",
    "dtype",
)
