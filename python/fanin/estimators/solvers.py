"""The solvers of `MLPClassifier` and `MLPRegressor`: scikit-learn's formulas on the native loop.

The engine's own rules are used. How scikit-learn's differ, and what makes them equal:

- Its L2 is ``alpha`` over the sum of a minibatch's weights, ours a number: it is set for the whole
  minibatches of an epoch and for the last, short one; with sample weights for each.
- Its Adam adds epsilon to the root of the second moment before the correction for the zeros that
  the moments begin with. The engine's, with the powers of both betas at 0, corrects nothing; the
  correction is in the learning rate of each step.
- Its velocity has the learning rate in it. Ours, times the rate, is the same as long as that stays;
  where it changes, between epochs, the velocity is rescaled.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import scipy.optimize

from fanin import _core
from fanin._core import TrainingData
from fanin._typing import Array, Floats, Ints
from fanin.estimators.compiled import Compiled

__all__ = ["AdamOptimizer", "Epochs", "Optimizer", "SGDOptimizer", "minimize", "new"]


class Optimizer(Protocol):
    """What `Epochs` and the estimators ask of a stochastic solver; pickled with its estimator."""

    learning_rate: float
    states: list[Array]

    def rule(self) -> _core.Rule:
        """The engine's rule, ready for the next step."""

    def rates(self, steps: int) -> Floats:
        """The learning rate of the engine's rule in each of the next steps."""

    def advance(self, steps: int) -> None:
        """Counts steps that have been taken."""

    def iteration_ends(self, time_step: int) -> None:
        """After an epoch, `time_step` rows since the first one."""

    def trigger_stopping(self, message: str, verbose: Any) -> bool:
        """Whether training ends where it no longer improves."""


class SGDOptimizer:
    """SGD with momentum, with or without Nesterov's, and a schedule of the learning rate.

    Parameters
    ----------
    parameters : ndarray
        The network's arena.
    learning_rate_init : float
    lr_schedule : {"constant", "invscaling", "adaptive"}
    momentum : float
    nesterov : bool
    power_t : float
        ``learning_rate_init / (rows seen + 1) ** power_t`` with "invscaling".
    """

    def __init__(
        self,
        parameters: Array,
        learning_rate_init: float,
        lr_schedule: str,
        momentum: float,
        nesterov: bool,
        power_t: float,
    ) -> None:
        self.learning_rate_init = learning_rate_init
        self.learning_rate: float = float(learning_rate_init)
        self.lr_schedule = lr_schedule
        self.momentum = momentum
        self.nesterov = nesterov
        self.power_t = power_t
        self.states: list[Array] = [np.zeros_like(parameters)]

    def rule(self) -> _core.Rule:
        return _core.Rule("nesterov" if self.nesterov else "momentum", rho=self.momentum)

    def rates(self, steps: int) -> Floats:
        return np.full(steps, self.learning_rate)

    def advance(self, steps: int) -> None:
        """Nothing: no step depends on its number."""

    def iteration_ends(self, time_step: int) -> None:
        if self.lr_schedule == "invscaling":
            self._change(float(self.learning_rate_init) / (time_step + 1) ** self.power_t)

    def trigger_stopping(self, message: str, verbose: Any) -> bool:
        if self.lr_schedule == "adaptive" and self.learning_rate > 1e-6:
            self._change(self.learning_rate / 5.0)
            if verbose:
                print(f"{message} Setting learning rate to {self.learning_rate:f}")
            return False
        if verbose:
            small = " Learning rate too small." if self.lr_schedule == "adaptive" else ""
            print(f"{message}{small} Stopping.")
        return True

    def _change(self, rate: float) -> None:
        """Another rate, with the velocity that goes on as it was."""
        for velocity in self.states:
            velocity *= velocity.dtype.type(self.learning_rate / rate)
        self.learning_rate = rate


class AdamOptimizer:
    """Adam (Kingma and Ba 2014, the end of section 2: epsilon beside the uncorrected root).

    Parameters
    ----------
    parameters : ndarray
        The network's arena.
    learning_rate_init, beta_1, beta_2, epsilon : float
    """

    def __init__(
        self,
        parameters: Array,
        learning_rate_init: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
    ) -> None:
        self.learning_rate_init = learning_rate_init
        self.learning_rate: float = float(learning_rate_init)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.t: int = 0
        self.states: list[Array] = [np.zeros_like(parameters), np.zeros_like(parameters)]

    def rule(self) -> _core.Rule:
        rule = _core.Rule("adam", beta1=self.beta_1, beta2=self.beta_2, eps=self.epsilon)
        rule.state = rule.state | {"beta1_power": 0.0, "beta2_power": 0.0}
        return rule

    def rates(self, steps: int) -> Floats:
        return self._rates(np.arange(self.t + 1, self.t + steps + 1, dtype=np.float64))

    def _rates(self, t: Floats) -> Floats:
        second, first = 1 - self.beta_2**t, 1 - self.beta_1**t
        rates: Floats = self.learning_rate_init * np.sqrt(second) / first
        return rates

    def advance(self, steps: int) -> None:
        self.t += steps
        if self.t:
            self.learning_rate = float(self._rates(np.array([self.t], np.float64))[0])

    def iteration_ends(self, time_step: int) -> None:
        """Nothing: the rate depends on the steps alone."""

    def trigger_stopping(self, message: str, verbose: Any) -> bool:
        if verbose:
            print(f"{message} Stopping.")
        return True


def new(model: Any, parameters: Array) -> Optimizer:
    """The optimizer that an estimator asks for."""
    rate = model.learning_rate_init
    if model.solver == "adam":
        return AdamOptimizer(parameters, rate, model.beta_1, model.beta_2, model.epsilon)
    return SGDOptimizer(
        parameters,
        rate,
        model.learning_rate,
        model.momentum,
        model.nesterovs_momentum,
        model.power_t,
    )


class Epochs:
    """Epochs of minibatches in the native loop.

    Parameters
    ----------
    compiled : Compiled
    data : TrainingData
    rows : int
        Of an epoch: the length of the order that `run` takes.
    batch : int
    alpha : float
        L2, over the sum of a minibatch's weights.
    outputs : int
        The loss that is told is the mean over so many; 1 for the engine's.
    seed : int
        Of dropout.
    n_threads : int
        0 for the default.

    Attributes
    ----------
    steps : int
        Of an epoch.
    """

    def __init__(
        self,
        compiled: Compiled,
        data: TrainingData,
        rows: int,
        batch: int,
        alpha: float,
        outputs: int,
        *,
        seed: int = 0,
        n_threads: int = 0,
    ) -> None:
        self._compiled = compiled
        self.batch = batch
        self._weights = None if data.weights is None else data.weights.astype(np.float64)
        self._alpha = alpha
        self._outputs = outputs
        self._begins = np.arange(0, rows, batch)
        self._sizes = np.diff(self._begins, append=rows)
        self.steps: int = len(self._begins)
        self._losses, self._correct = np.empty(self.steps), np.empty(self.steps, np.int64)
        self._job = _core.TrainingJob(
            data=data,
            order=np.empty(rows, np.int64),
            batch=batch,
            seed=seed,
            budget=math.inf,
            n_threads=n_threads,
        )

    def run(self, order: Ints, optimizer: Optimizer, factors: Floats | None = None) -> float:
        """One epoch; its mean loss, NaN as all parameters where a step's was not finite.

        Parameters
        ----------
        order : ndarray of int64
            The rows.
        optimizer : Optimizer
        factors : ndarray of shape (steps,), optional
            Of the learning rate in each step.
        """
        self._job.order[:] = order
        self._job.first_stream = self._compiled.steps_done  # each step drops other units
        rates = optimizer.rates(self.steps)
        rule = optimizer.rule()
        learner = _core.Learner(
            rule=rule,
            states=optimizer.states,
            l2=0.0,
            lr=rates if factors is None else rates * factors,
            losses=self._losses,
            correct=self._correct,
        )
        try:
            for first, last, weight in self._spans(order):
                learner.l2 = self._alpha / weight
                penalty = self._penalty(learner.l2)
                self._compiled.engine.train(self._job, learner, first, last)
                if learner.diverged:  # the engine leaves out the step that would spread NaN
                    self._compiled.arena.fill(math.nan)
                    return math.nan
                if self._outputs > 1:
                    told = self._losses[first:last]
                    told[:] = (told - penalty) / self._outputs + penalty
        finally:
            optimizer.advance(rule.t)
        return np.float64(np.dot(self._losses, self._sizes) / len(order))

    def _spans(self, order: Ints) -> list[tuple[int, int, float]]:
        """Runs of steps whose rows weigh the same: first, last, weight of a minibatch."""
        steps, sizes = self.steps, self._sizes
        if self._weights is not None:
            sums = np.add.reduceat(self._weights[order], self._begins)
            if not sums.all():
                raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        elif self._outputs > 1 and self._alpha > 0:  # the penalty must be known of each step
            sums = sizes.astype(np.float64)
        elif sizes[-1] == sizes[0]:
            return [(0, steps, float(sizes[0]))]
        else:
            return [(0, steps - 1, float(sizes[0])), (steps - 1, steps, float(sizes[-1]))]
        return [(i, i + 1, float(s)) for i, s in enumerate(sums)]

    def _penalty(self, l2: float) -> float:
        if self._outputs == 1 or l2 == 0:
            return 0.0
        return 0.5 * l2 * sum(float(np.vdot(w, w)) for w in self._compiled.coefs)


def minimize(
    compiled: Compiled,
    data: TrainingData,
    alpha: float,
    outputs: int,
    options: dict[str, Any],
    n_threads: int = 0,
) -> Any:
    """L-BFGS over the native gradient; SciPy's result. The network has its parameters then."""
    weights = data.weights
    total = float(len(data)) if weights is None else float(weights.sum(dtype=np.float64))
    l2 = alpha / total

    def loss_and_gradient(packed: Floats) -> tuple[float, Floats]:
        compiled.unpack(packed)
        loss, gradient = compiled.engine.gradient(data, l2=l2, n_threads=n_threads)
        if outputs > 1:
            penalty = 0.5 * l2 * sum(float(np.vdot(w, w)) for w in compiled.coefs)
            loss = (loss - penalty) / outputs + penalty
        return loss, compiled.pack(gradient)

    result = scipy.optimize.minimize(
        loss_and_gradient,
        compiled.pack(compiled.arena),
        method="L-BFGS-B",
        jac=True,
        options=options,
    )
    compiled.unpack(result.x)
    return result
