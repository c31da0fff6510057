"""Training by "sgd" and "adam": epochs, validation, when to stop, callbacks, checkpoints."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fanin import _validate, schedules
from fanin._json import plain
from fanin._runtime import warn_caller
from fanin._typing import Array, Floats, Ints
from fanin.arrays import SparseRows
from fanin.callbacks import Callback, CallbackList, ProgressBar
from fanin.estimators import solvers
from fanin.estimators.rows import Part
from fanin.network.options import FitOptions
from fanin.training.checkpoint import CheckpointFile

# What a run's state is, beside parameters, optimizer and generator; those that it has not are not.
COUNTS = (
    *("n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "validation_loss_curve_"),
    *("validation_scores_", "best_validation_score_", "_no_improvement_count", "stopped_"),
)
# Parameters that change no bit of a run, or stand in its description by what was made of them.
FREE = {"callbacks", "checkpoint", "every", "n_threads", "progress", "random_state", "resume"}


def fit(model: Any, part: Part, given: Part | None, incremental: bool) -> None:
    """Trains a model whose parameters are initialised; `given` are the validation rows."""
    if model.early_stopping and incremental and given is None:
        raise ValueError("partial_fit does not support early_stopping=True without validation_data")
    if incremental and model.stopped_:
        warn_caller(
            "early stopping has ended this training: partial_fit leaves it as it is", UserWarning
        )
        return
    if model.schedule is not None and model.learning_rate != "constant":
        raise ValueError(
            f"schedule: expected learning_rate='constant' beside it, got {model.learning_rate!r}"
        )
    Run(model, part, given, incremental).run()


class Run:
    """One call of `fit` or `partial_fit`.

    Attributes
    ----------
    rows : ndarray
        Those of the data that are trained on.
    held_out : Part or None
        Those that judge an epoch.
    settled : bool
        Whether a checkpoint could be written: never within an epoch.
    """

    incremental: bool
    model: Any
    tells_loss: bool

    settled = False

    def __init__(self, model: Any, part: Part, given: Part | None, incremental: bool) -> None:
        self.model, self.incremental = model, incremental
        self.network: Any = model._compiled()
        if not incremental or not hasattr(model, "_optimizer"):
            model._optimizer = solvers.new(model, self.network.arena)
        states = model._optimizer.states  # copied where joblib has mapped them from a file
        model._optimizer.states = [np.require(state, requirements="W") for state in states]
        self.rows: Ints = np.arange(len(part))
        self.held_out, self.tells_loss = given, given is not None
        if given is None and model.early_stopping:
            self.rows, self.held_out = _split(model, part)
        self.order: Array = np.arange(len(self.rows))
        batch = _batch_rows(model.batch_size, len(self.rows))
        if model.norm == "batch" and (batch < 2 or len(self.rows) % batch == 1):
            raise ValueError(
                "batch_size: expected at least 2 rows in every minibatch with norm='batch', got 1"
            )
        self.epochs: solvers.Epochs = solvers.Epochs(
            self.network,
            model._training_data(part),
            len(self.rows),
            batch,
            model.alpha,
            model._outputs_of_mean(),
            seed=model._seed,
            n_threads=_validate.threads(model.n_threads),
        )
        self.schedule: schedules.Schedule | None = None
        if not incremental:
            self.schedule = schedules.get(copy.deepcopy(model.schedule))
        self.callbacks: CallbackList = self._callbacks()
        self.finished: bool = False
        self.file: CheckpointFile = self._file(part, given)

    def _callbacks(self) -> CallbackList:
        model, steps = self.model, self.epochs.steps
        own: list[Callback] = [copy.deepcopy(callback) for callback in model.callbacks]
        if any(callback.uses_batches for callback in own):
            raise ValueError("callbacks: expected none with methods of batches, which are not seen")
        if model.progress:
            own.append(ProgressBar())
        params = {
            "epochs": 1 if self.incremental else model.max_iter,
            "steps": steps,
            "batch_size": self.epochs.batch,
            "n_train": len(self.rows),
            "n_val": 0 if self.held_out is None else len(self.held_out),
        }
        return CallbackList(own, self.network, params)

    def run(self) -> None:
        """Epochs until nothing improves any more."""
        model = self.model
        self.network.stop_training = False
        model.n_iter_ = 0
        if self.tells_loss and not hasattr(model, "validation_loss_curve_"):
            model.validation_loss_curve_ = []
        if self.held_out is not None and model.validation_scores_ is None:
            model.validation_scores_, model.best_validation_score_ = [], -np.inf
        if self.file.state is not None:
            self.restore(self.file.state)
        if not self.finished:
            with self.callbacks:
                self.callbacks.on_train_begin({})
                if self.file.state is not None:
                    self._restore_callbacks(self.file.state)
                with self.file.kept(self):
                    self._train()
        model._steps_done = self.network.steps_done

    def _train(self) -> None:
        try:
            self._run_epochs()
        except KeyboardInterrupt:  # scikit-learn's way; a checkpoint is then that of an epoch's end
            self.callbacks.on_interrupt({})
            warn_caller("Training interrupted by user.", UserWarning)
            self._end()
            return
        self._end()
        self.callbacks.on_train_end({})
        self.finished = True
        self.file.after_training(self)

    def _run_epochs(self) -> None:
        model = self.model
        while model.n_iter_ < model.max_iter:
            epoch = model.n_iter_
            self.callbacks.on_epoch_begin(epoch, {})
            if model.shuffle:
                permutation = np.arange(len(self.rows))
                model._random_state.shuffle(permutation)
                self.order = self.order[permutation]
            factors = self._factors(epoch)
            model.loss_ = self.epochs.run(self.rows[self.order], model._optimizer, factors)
            model.n_iter_ += 1
            model.t_ += len(self.rows)
            model.loss_curve_.append(model.loss_)
            if model.verbose:
                print(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}")
            logs = self._logs(factors)
            self._count_improvement()
            model._optimizer.iteration_ends(model.t_)
            self.callbacks.on_progress(model.n_iter_ * self.epochs.steps, logs)
            self.callbacks.on_epoch_end(epoch, logs)
            if self._has_stalled() or self.network.stop_training or self.incremental:
                return
            if model.n_iter_ == model.max_iter:
                warn_caller(
                    f"Stochastic Optimizer: Maximum iterations ({model.max_iter}) reached and the "
                    "optimization hasn't converged yet.",
                    ConvergenceWarning,
                )
            self.file.after_epoch(self, model.n_iter_)

    def _factors(self, epoch: int) -> Floats | None:
        """Of the learning rate, for each step of an epoch."""
        if self.schedule is None:
            return None
        steps = self.epochs.steps
        return self.schedule.lr(1.0, epoch * steps, steps, steps, self.model.max_iter)

    def _logs(self, factors: Floats | None) -> dict[str, float]:
        """The epoch's results; they are the scores that decide when to stop, too."""
        model, held_out = self.model, self.held_out
        factor = 1.0 if factors is None else float(factors[-1])
        logs = {"loss": model.loss_, "lr": model._optimizer.learning_rate * factor}
        if held_out is None:
            return logs
        score = model._score_of(held_out.X, held_out.y, held_out.weights)
        logs["val_accuracy" if is_classifier(model) else "val_r2"] = score
        model.validation_scores_.append(score)
        if model.verbose:
            print(f"Validation score: {score:f}")
        if self.tells_loss or len(self.callbacks.callbacks) > model.progress:
            logs["val_loss"] = self._validation_loss(held_out)
        if self.tells_loss:
            model.validation_loss_curve_.append(logs["val_loss"])
        if self.schedule is not None:
            self.schedule.on_epoch_end(logs)
        return logs

    def _validation_loss(self, held_out: Part) -> float:
        data = self.model._training_data(held_out)
        loss, _ = self.network.engine.evaluate(data, _validate.threads(self.model.n_threads))
        return float(loss / self.model._outputs_of_mean())

    def _count_improvement(self) -> None:
        """Counts epochs without an improvement by `tol`."""
        model = self.model
        if model.validation_scores_ is not None and self.held_out is not None:
            score, best = model.validation_scores_[-1], model.best_validation_score_
            improved = not score < best + model.tol
            if score > best:
                model.best_validation_score_ = score
                if model.early_stopping:
                    model._best = self.network.arena.copy()
        if not model.early_stopping:
            loss, best = model.loss_curve_[-1], model.best_loss_
            improved = not loss > best - model.tol
            model.best_loss_ = min(loss, best)
        model._no_improvement_count = 0 if improved else model._no_improvement_count + 1

    def _has_stalled(self) -> bool:
        """Whether nothing has improved for long enough, and no lower rate is to be tried."""
        model = self.model
        if model._no_improvement_count <= model.n_iter_no_change:
            return False
        what = "Validation score" if model.early_stopping else "Training loss"
        message = (
            f"{what} did not improve more than tol={model.tol:f} for {model.n_iter_no_change} "
            "consecutive epochs."
        )
        if not model._optimizer.trigger_stopping(message, model.verbose):
            model._no_improvement_count = 0
            return False
        model.stopped_ = self.incremental and model.early_stopping
        return True

    def _end(self) -> None:
        """With early stopping the parameters are those of the best score.

        In a warm start that improves on no score before it they stay, as in scikit-learn, whose
        best parameters are from here on the very arrays that it trains.
        """
        model = self.model
        if model.early_stopping and (model.stopped_ or not self.incremental):
            if model._best is not None:
                np.copyto(self.network.arena, model._best)
            model._best = None

    # Checkpoints

    def _file(self, part: Part, given: Part | None) -> CheckpointFile:
        model = self.model
        if self.incremental:  # the caller keeps the estimator between calls
            return CheckpointFile(FitOptions())
        options = FitOptions(checkpoint=model.checkpoint, resume=model.resume, every=model.every)
        file = CheckpointFile(options)
        if file.path is not None:
            file.open(self._description(part, given))
        return file

    def _description(self, part: Part, given: Part | None) -> dict[str, Any]:
        """What makes the run another one, in JSON values."""
        options = {k: v for k, v in self.model.get_params(deep=False).items() if k not in FREE}
        named = [type(callback).__name__ for callback in self.callbacks]
        run = {
            "estimator": type(self.model).__name__,
            **options,
            "callbacks": [name for name in named if name != ProgressBar.__name__],
            "data": _described(part),
            "validation data": None if given is None else _described(given),
            "parameters": self.network.arena,
        }
        described: dict[str, Any] = json.loads(json.dumps(plain(run)))
        return described

    def state(self, *, begun: bool) -> dict[str, Any]:  # noqa: ARG002  only whole epochs are kept
        """Everything that the rest of the run depends on."""
        model = self.model
        optimizer = {k: v for k, v in vars(model._optimizer).items() if k != "states"}
        return {
            "network": {"counters": {"steps_done": self.network.steps_done}},
            "parameters": self.network.get_parameters(),
            "best": model._best,
            "optimizer": optimizer,
            "states": [np.array(state) for state in model._optimizer.states],
            "counts": {k: getattr(model, k) for k in COUNTS if hasattr(model, k)},
            "order": self.order,
            "random": model._random_state.get_state(legacy=False),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "callbacks": [c.state_dict() for c in self._remembering()],
            "finished": self.finished,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes back to where `state` was taken; only callbacks come later."""
        model = self.model
        with self.file.explained():
            self.network.set_parameters(state["parameters"])
            self.network.engine.steps_done = state["network"]["counters"]["steps_done"]
            model._best = state["best"]
            vars(model._optimizer).update(state["optimizer"])
            for own, kept in zip(model._optimizer.states, state["states"], strict=True):
                np.copyto(own, kept)
            vars(model).update(state["counts"])
            self.order = state["order"]
            model._random_state.set_state(state["random"])
            if self.schedule is not None:
                self.schedule.load_state_dict(state["schedule"])
            self.finished = state["finished"]

    def _restore_callbacks(self, state: Mapping[str, Any]) -> None:
        with self.file.explained():
            for callback, own in zip(self._remembering(), state["callbacks"], strict=True):
                callback.load_state_dict(own)

    def _remembering(self) -> list[Callback]:
        return [c for c in self.callbacks if not isinstance(c, ProgressBar)]


def _described(part: Part) -> list[Any]:
    """The arrays of a part, of which a sparse X has three."""
    X = part.X
    arrays = [X.values, X.columns, X.starts] if isinstance(X, SparseRows) else X
    return [arrays, part.y, part.weights]


def _split(model: Any, part: Part) -> tuple[Ints, Part]:
    """The rows to train on, and the others."""
    # Not stratified with several outputs, in scikit-learn neither.
    stratified = is_classifier(model) and model.n_outputs_ == 1
    rows, held_out = train_test_split(
        np.arange(len(part)),
        random_state=model._random_state,
        test_size=model.validation_fraction,
        stratify=part.y.astype(bool).reshape(-1, 1) if stratified else None,
    )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of "
            "your dataset."
        )
    return rows, part.take(held_out)


def _batch_rows(batch_size: int | str, n_rows: int) -> int:
    if isinstance(batch_size, str):
        return min(200, n_rows)
    if batch_size > n_rows:
        warn_caller(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            UserWarning,
        )
    return min(batch_size, n_rows)
