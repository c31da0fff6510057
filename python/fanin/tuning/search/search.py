"""Search for hyperparameters: random, grid or quasi-random, on threads, processes or a cluster.

Trial i depends only on the seed and i, not on workers or interruptions. All networks start from the
same seed, so that they differ by their hyperparameters only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fanin import _validate
from fanin._typing import PathLike
from fanin.tuning.search.config import Data, SearchConfig
from fanin.tuning.search.objective import FIXED, OPTIONS
from fanin.tuning.search.result import SearchResult
from fanin.tuning.search.runner import SearchRunner
from fanin.tuning.search.trial import Trial
from fanin.tuning.space import Space

__all__ = ["search"]

RUNNING = ("executor", "n_threads", "callbacks", "progress", "verbose")  # change no trial


def search(
    space: Space,
    data_or_objective: Data | Callable[..., Any],
    n_trials: int = 100,
    *,
    strategy: Any = "random",
    epochs: int = 5,
    validation_data: Data | None = None,
    monitor: str = "auto",
    mode: str = "auto",
    prune: str | None = None,
    start_from: Sequence[Any] = (),
    stages: Sequence[Mapping[str, Any]] = (),
    executor: Any = None,
    log: PathLike | None = None,
    resume: bool = True,
    callbacks: Sequence[Callable[[Trial], object]] = (),
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = True,
    verbose: bool = False,
    **options: Any,
) -> SearchResult:
    """Search for the best hyperparameters over many trials.

    Parameters
    ----------
    space : dict of str to Parameter
        `loguniform`, `uniform`, `integers` or `choice` for any argument of `MLP` and of `MLP.fit`,
        and for ``hidden`` (a width or a list of widths), ``depth`` (that many layers of width
        ``hidden``), ``lr``, ``epochs`` and ``seed``.
    data_or_objective : (X, y) or callable
        Data to train on; or a function of a dict of parameters, and of the number of epochs where
        it takes a second argument, that returns a score or a dict with "score" in it.
    n_trials : int
        On a grid at most.
    strategy : {"random", "grid", "sobol"} or an Optuna sampler
        Independent draws, equal steps along each range, or Sobol's points, which need SciPy
        (``pip install fanin[search]``). An Optuna sampler is told of 8 trials at a time.
    epochs : int
        Of each trial.
    validation_data : (X, y), optional
        The validation set. By default a fifth of the rows is held out, stratified.
    monitor, mode : str
        The score: "val_accuracy" or, without labels, "val_loss", of the best epoch, or another
        metric such as "val_balanced_accuracy"; "score" of a function. Which way is better is known
        of `fanin.metrics.larger_is_better`'s names; for others `mode` is "min" or "max".
    prune : {None, "median", "halving"}
        "median" ends a trial whose best score so far is below the median of the trials of earlier
        eights at the same epoch. "halving" trains all trials for few epochs, the best third on for
        three times as many, and so on up to ``epochs``.
    start_from : sequence
        What to try first: dicts of parameters (missing ones are drawn), trials, or results of
        searches on similar problems.
    stages : sequence of dict, optional
        Further searches, each in the space that `SearchResult.refine` makes of the one before, with
        these arguments replaced: ``[{"epochs": 20, "n_trials": 30}]``, from coarse to fine. Stage 2
        has its own log, ``trials-2.jsonl`` beside ``trials.jsonl``.
    executor : concurrent.futures.Executor or Dask client, optional
        By default as many threads as ``n_threads``, which share the data; each trial takes one.
    log : path, optional
        A file with a JSON line for each finished trial, from which a killed search resumes and a
        complete one returns at once; the log of another search is an error. Each line has a
        checksum: a changed line, one of another search and a second result of a trial are refused
        (`fanin.FileError`), a trial whose line is missing runs again.
        After a power failure the trials of the last 50 ms may be missing.
    resume : bool
        False raises if the log holds a search already.
    callbacks : sequence of callable
        Called with each finished `Trial`, in the calling thread; a true result ends the search.
    seed : int
        Of the search, and of every trial's network unless ``seed`` is in the space.
    n_threads : int, optional
        Without an executor; by default all. Does not change the results.
    progress : bool
        A bar and a table of the best trials on stderr, where that is a terminal.
    verbose : bool
        Prints the lecture's line for each trial: ``val_acc: %f, lr: %e, reg: %e, (%d / %d)``.
    **options
        The same for every trial: arguments of `MLP` and `MLP.fit`, ``hidden``, ``depth``, ``lr``.
        Of targets (N,) that are no whole numbers, and with ``loss="mse"`` of any, a single output
        learns the values.

    Returns
    -------
    SearchResult
        After Ctrl-C, in this process or in a worker, what is done.

    Notes
    -----
    A trial ends as "diverged" where its loss stops being finite, or an epoch's mean is over 3 times
    the first step's; as "failed", with the error, where something is raised, a function returns
    what JSON cannot hold, or the trial's worker is lost twice.

    Examples
    --------
    >>> from fanin.tuning import loguniform, search
    >>> (X, y), _ = fanin.datasets.load("digits")
    >>> space = {"lr": loguniform(1e-4, 1), "reg": loguniform(1e-5, 1)}
    >>> result = search(space, (X, y), 6, epochs=2, hidden=32, preprocess="standardize",
    ...                 verbose=True, progress=False)  # doctest: +ELLIPSIS
    val_acc: ...e..., (6 / 6)
    >>> result.best.score == max(t.score for t in result if t.status == "done")
    True
    >>> both = fanin.ensemble.from_search(result.top(2), k=2)

    Any function:

    >>> result = search({"x": fanin.tuning.uniform(-1, 1)}, lambda p: 1 - p["x"] ** 2, 20,
    ...                 progress=False)
    >>> result
    SearchResult(20 trials, best score 1.0000)
    """
    arguments = {k: v for k, v in locals().items() if k not in ("options", "stages")} | options
    given = _validate.sequence("stages", stages, "a list of dicts")
    known = {*arguments, *OPTIONS, *FIXED}
    if unknown := sorted(name for stage in given for name in set(stage) - known):
        raise ValueError(f"stages: expected arguments of search, got {unknown[0]!r}")
    result = _search_stage(**arguments)
    stem, suffix = os.path.splitext(os.fspath(log or ""))  # noqa: PTH122  a path as given
    for number, stage in enumerate(given, 2):
        if result.interrupted or result.best is None:
            break
        own_log = None if log is None else f"{stem}-{number}{suffix}"
        own = {"space": result.refine(), "log": own_log, "start_from": ()}
        earlier = [*result.earlier, result]
        result = _search_stage(**{**arguments, **own, **stage})
        result.earlier = earlier
    return result


def _search_stage(log: PathLike | None, resume: bool, **arguments: Any) -> SearchResult:
    _check_callbacks(arguments["callbacks"])
    how = {name: arguments.pop(name) for name in RUNNING}
    return SearchRunner(SearchConfig(**arguments), **how).run(log, resume)


def _check_callbacks(callbacks: Any) -> None:
    """Refuses those of `MLP.fit` or Keras: these hear of trials, not of epochs."""
    expected = "functions of a finished Trial"
    for i, callback in enumerate(_validate.sequence("callbacks", callbacks, expected)):
        if hasattr(callback, "on_epoch_end") or not callable(callback):
            raise TypeError(
                f"callbacks[{i}]: expected a function of a finished Trial, got "
                f"{_validate.describe(callback)}, which fit takes"
            )
