"""The lecture's seven steps on the user's data, in one call."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fanin import _runtime, _validate
from fanin._json import plain
from fanin._typing import Array, PathLike
from fanin.executors import as_executor, workers_of
from fanin.network import MLP
from fanin.tuning.guide.budget import Budget
from fanin.tuning.guide.cross_validation import CrossValidation
from fanin.tuning.guide.outcome import give_labels
from fanin.tuning.guide.problem import Problem, make_problem
from fanin.tuning.guide.report import Report, Step
from fanin.tuning.guide.run import GuideRun
from fanin.tuning.guide.settings import build_network, check_settings, default_settings, settings_of
from fanin.tuning.guide.state import State
from fanin.tuning.guide.steps import take_steps
from fanin.tuning.lr_finder import RATES, check_rates

__all__ = ["Report", "Step", "guide"]

ROUNDS, ROUNDS_IN_TIME = 3, 10


def guide(
    X: Array,
    y: Array,
    X_val: Array | None = None,
    y_val: Array | None = None,
    *,
    network: MLP | Mapping[str, Any] | None = None,
    preprocess: Any = "auto",
    batch_size: int | None = None,
    rates: Sequence[float] = RATES,
    start_from: Any = None,
    time_budget: float | None = None,
    rounds: int | None = None,
    until: int = 7,
    refit: bool = True,
    state: PathLike | None = None,
    resume: bool = True,
    test_data: tuple[Array, Array] | None = None,
    seed: int = 0,
    executor: Any = None,
    n_threads: int | None = None,
    progress: bool = True,
    groups: Array | None = None,
    class_weight: Any = None,
    task: str | None = None,
    callbacks: Sequence[Callable[[Step], object]] = (),
) -> Report:
    """Find a network by the lecture's seven steps, with a report.

    (1) Check the initial loss, and that L2 raises it. (2) Overfit a small sample, changing learning
    rate, initialiser or widths until it does. (3) Find a learning rate that makes the loss go down.
    (4) A coarse search around it, with L2 of 1e-4, 1e-5 and 0, for a few epochs. (5) A finer search
    for longer, without learning-rate decay. (6) A verdict on the best run's curves. (7) Back to
    step 5 with the verdict's advice (longer, more or less regularisation, a wider network, another
    range), until a round gains less than its noise, or the time is over.

    Settings are compared by cross-validation: the loss of held-out rows, with a standard error. Of
    classes it is the log loss, of several labels a row the mean log loss of each, of values that of
    the network, by default the squared error, of targets less their mean in parts of their
    deviation: answering with the mean has 1.
    Whatever is found, the report ends with the best network: trained on all rows, beside the
    ensemble of the folds' networks.

    Parameters
    ----------
    X : array_like of shape (N, D) or (N, ...)
        As `MLP.fit` takes it. A frame of other columns than numbers, or that lacks values, goes
        through a `TableEncoder`, which networks and ensemble keep: they take such frames.
    y : array_like of shape (N,), (N, C) or (N, M)
        Labels of any kind, which come back as given; labels 0 and 1 that a row has or has not; or
        values.
    X_val, y_val : ndarray, optional
        The validation set, the only judge where it is given. By default five folds, stratified and
        fixed by the seed, are held out in turn, three times over for the best settings where there
        are fewer than 2000 rows; of 20,000 rows or more a tenth. Of 2000 rows or more the first
        fold judges the searches. The report says so.
    network : MLP or dict, optional
        Where to begin: a network like yours, or options of `MLP`, such as ``loss``, with ``hidden``
        (a list of widths), and ``optimizer`` and ``lr``. By default one hidden layer of 256 (128
        where rows are few), ReLU, Adam; without ``hidden`` step 4 tries other widths too.
    preprocess : object
        As in `MLP.fit`; "auto" standardises features, and takes one mean and scale for bytes.
    batch_size : int, optional
        By default a sixteenth of the rows, between 8 and 128.
    rates : sequence of float
        Learning rates that step 3 tries first.
    start_from : Report, MLP, path or dict, optional
        A report, a network (either also as a saved file) or settings of a similar problem, whose
        architecture, learning rate and regularisation are the starting point.
    time_budget : float, optional
        Seconds in total, which the searches go on for while they gain; a short one leaves the best
        so far.
    rounds : int, optional
        Of steps 5 to 7, at most; by default 3, or 10 with a time budget.
    until : int
        The last step to take, 1 to 7.
    refit : bool
        Whether to end with a run of the best settings on all rows, where this function held some
        out itself.
    state : path, optional
        A folder for the finished steps and the trials' networks, from which an interrupted or
        killed guide resumes, also with another time budget, rounds or `until`. It ends with the
        report and the networks of an uninterrupted one; with a time budget, as far as the clock
        runs alike. Files that were changed are refused (`fanin.FileError`).
    resume : bool
        False raises if the folder holds a guide already.
    test_data : (X, y), optional
        Evaluated once, at the end.
    seed : int
        Of everything random.
    executor : concurrent.futures.Executor or Dask client, optional
        For the searches' trials; by default threads.
    n_threads : int, optional
        Does not change the results, unless there is a time budget.
    progress : bool
        Bars on stderr.
    groups : ndarray of shape (N,), optional
        Rows of one group (a patient, a day) are held out together.
    class_weight : "balanced" or dict, optional
        Of classes, as in `MLP.fit`; it weighs the losses of held-out rows too.
    task : {"classification", "regression", "multilabel"}, optional
        By default what y can only be: text and truth values are classes, fractions values, (N, C)
        of 0 and 1 labels of which rows have several. Whole numbers are classes; where they are many
        different ones it has to be said.
    callbacks : sequence of callable
        Called with each finished `Step`.

    Returns
    -------
    Report
        ``print(report)`` lists the steps; ``report.save("report.html")`` writes a page. After
        Ctrl-C, of the finished steps.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what was expected and what was given.

    Examples
    --------
    >>> (X, y), test = fanin.datasets.load("digits")
    >>> report = fanin.tuning.guide(X, y, until=3, progress=False)
    >>> [step.title for step in report.steps]
    ['Check the initial loss', 'Overfit a small sample', 'Find a learning rate']
    >>> report.findings
    ()
    """
    seed = _validate.whole("seed", seed, 0, 2**64 - 1)
    until = _validate.whole("until", until, 1, 7)
    if time_budget is not None:
        time_budget = _validate.real("time_budget", time_budget, 0, above=True)
    if rounds is None:
        rounds = ROUNDS if time_budget is None else ROUNDS_IN_TIME
    rounds = _validate.whole("rounds", rounds, 1)
    tried = check_rates(rates)
    as_executor(executor)
    threads = _validate.threads(n_threads) or _runtime.get_num_threads()
    given = _given_settings(start_from, network)
    problem = make_problem(
        X,
        y,
        X_val,
        y_val,
        task=task,
        options=given,
        preprocess=preprocess,
        batch_size=batch_size,
        seed=seed,
        groups=groups,
        class_weight=class_weight,
    )
    test = None if test_data is None else _validate.pair("test_data", test_data, "(X, y)")
    settings = default_settings(problem) | given
    settings["batch_size"] = min(int(settings["batch_size"]), problem.n_train)
    start = _start(network, settings, problem, seed)
    if "lr" in given:
        tried = sorted({*tried, float(given["lr"])}, reverse=True)
    kept = State(state, _key(problem, settings, tried, start, seed), resume)
    workers = workers_of(executor) or threads if executor is not None else threads
    total = math.inf if time_budget is None else time_budget
    cv = CrossValidation(problem, kept, seed, executor, workers, progress, total)
    run = GuideRun(
        problem=problem,
        start=start,
        settings=settings,
        given=given,
        rates=tried,
        state=kept,
        budget=Budget(time_budget, kept),
        cv=cv,
        rounds=rounds,
        until=until,
        refits=refit and problem.split_off,
        seed=seed,
        n_threads=n_threads,
        progress=progress,
        callbacks=callbacks,
    )
    stopped = take_steps(run)
    if stopped == "interrupted" and not kept.steps:
        raise KeyboardInterrupt
    give_labels(run)
    net, best = run.best_network(), run.best()
    result = both = None
    if test is not None and net is not None:
        how: dict[str, Any] = {"metrics": problem.task.beside, "n_threads": n_threads}
        result = net.evaluate(*test, **how) | {"rows": len(test[1])}
        if run.ensemble is not None:
            judged = run.ensemble.evaluate(*test, **how)
            both = {name: value for name, value in judged.items() if isinstance(value, float)}
    return Report(
        tuple(map(Step, kept.steps)),
        net,
        run.best_history(),
        dict(plain(run.settings if best is None else best.settings)),
        stopped,
        kept.seconds,
        result,
        {"seed": seed, "time_budget": time_budget, "task": problem.task.name},
        run.best_ensemble(),
        both,
    )


def _start(network: Any, settings: Mapping[str, Any], problem: Problem, seed: int) -> MLP:
    """The network to begin with."""
    if not isinstance(network, MLP):
        return build_network(settings, problem.width, problem.task, seed)
    if (network.dims[0], network.dims[-1]) != problem.dims:
        raise ValueError(
            f"network: expected {problem.width} inputs and {problem.dims[1]} outputs for these "
            f"data, got {network.dims[0]} and {network.dims[-1]}"
        )
    if network.targets.mean is not None:
        return network
    return problem.task.start(network.copy())


def _given_settings(start_from: Any, network: Any) -> dict[str, Any]:
    """The settings that the user gives, one way or the other."""
    settings = {} if start_from is None else _settings_from(start_from)
    if isinstance(network, MLP):
        settings |= settings_of(network)
    elif network is not None:
        settings |= check_settings("network", network)
    if isinstance(settings.get("hidden"), int):
        settings["hidden"] = [settings["hidden"]]
    if "hidden" in settings:
        widths = _validate.sequence("hidden", settings["hidden"], "a list of widths")
        settings["hidden"] = [_validate.whole("hidden", h, 1) for h in widths]
    if "lr" in settings:
        settings["lr"] = _validate.real("lr", settings["lr"], 0, above=True)
    return settings


def _settings_from(start_from: Any) -> dict[str, Any]:
    """The settings of another problem's report or network."""
    if isinstance(start_from, Report):
        return dict(start_from.settings)
    if isinstance(start_from, MLP):
        return settings_of(start_from)
    if isinstance(start_from, Mapping):
        return check_settings("start_from", start_from)
    if not isinstance(start_from, str | os.PathLike):
        raise TypeError(
            "start_from: expected a report, a network, a path of one or a dict of settings, "
            f"got {_validate.describe(start_from)}"
        )
    path = os.fspath(start_from)
    if path.endswith((".html", ".json")):
        return dict(Report.load(path).settings)
    return settings_of(MLP.load(path))


def _key(
    problem: Problem, settings: Mapping[str, Any], rates: Sequence[float], net: MLP, seed: int
) -> dict[str, Any]:
    """The identity of a guide."""
    arrays = {"X": problem.rows, "y": problem.labels, "held-out rows": problem.folds[0][1]}
    given = {"seed": seed, "settings": settings, "rates": rates} | arrays
    start = {"preprocess": problem.preprocess, "network": net.get_parameters()}
    start |= {} if problem.weights is None else {"class_weight": problem.weights}
    start |= {} if problem.task.name == "classification" else {"task": problem.task.name}
    return dict(plain(given | start))
