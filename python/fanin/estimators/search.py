"""`SearchCV`: this package's search as one of scikit-learn's, over any estimator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state

from fanin import _validate
from fanin.estimators.net_base import seed_of
from fanin.tuning.search.result import SearchResult
from fanin.tuning.search.strategies import make_strategy
from fanin.tuning.search.trial import Trial
from fanin.tuning.space import Parameter, check_space, choice

__all__ = ["SearchCV"]


class SearchCV(BaseSearchCV):
    """Search over a space with cross-validation: random, grid, quasi-random or by Optuna.

    As `fanin.tuning.search`, for any estimator or pipeline of scikit-learn, with its splits and
    scorers. The candidates are a pure function of `random_state`.

    Parameters
    ----------
    estimator : estimator
    space : dict of str to Parameter or list
        `fanin.tuning.loguniform`, `uniform`, `integers`, `choice`, also with parameters that come
        with an option; a list is its choice. Names as `set_params` takes them: ``net__reg``.
    n_trials : int, default=20
        Candidates; on a grid at most.
    strategy : {"random", "grid", "sobol"} or an Optuna sampler, default="random"
    stages : sequence of dict, default=()
        Further searches, each in the space that the best of the one before are in, with
        ``n_trials`` or ``strategy`` of its own: from coarse to fine.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As of scikit-learn's `GridSearchCV`.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    search_results_ : list of SearchResult
        Of each stage: printing one tells the best trials, and which ranges are too narrow
        (``edges()``).
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, scorer_, n_splits_
        As of `GridSearchCV`, over all stages.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fanin.estimators import NetClassifier, SearchCV
    >>> from fanin.tuning import loguniform
    >>> X, y = load_iris(return_X_y=True)
    >>> net = NetClassifier(8, epochs=20, optimizer=fanin.optim.Adam(0.03), random_state=0)
    >>> found = SearchCV(net, {"reg": loguniform(1e-6, 1)}, n_trials=4, cv=3, random_state=0)
    >>> bool(found.fit(X, y).best_score_ > 0.8)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseSearchCV._parameter_constraints,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        space: Mapping[str, Parameter | Sequence[Any]],
        *,
        n_trials: int = 20,
        strategy: Any = "random",
        stages: Sequence[Mapping[str, Any]] = (),
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: int | np.random.RandomState | None = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.space = space
        self.n_trials = n_trials
        self.strategy = strategy
        self.stages = stages
        self.random_state = random_state

    def _run_search(self, evaluate_candidates: Any) -> None:
        """Called by `fit`, with a function that scores candidates and returns all results."""
        seed = seed_of(check_random_state(self.random_state))
        own = {"n_trials": self.n_trials, "strategy": self.strategy}
        space = _as_space(self.space)
        self.search_results_: list[SearchResult] = []
        for number, stage in enumerate([{}, *_checked_stages(self.stages)]):
            if number:
                space = self.search_results_[-1].refine()
            result = self._run_stage(evaluate_candidates, space, seed + number, **{**own, **stage})
            self.search_results_.append(result)

    def _run_stage(
        self, evaluate_candidates: Any, space: Any, seed: int, n_trials: int, strategy: Any
    ) -> SearchResult:
        n_trials = _validate.whole("n_trials", n_trials, 1)
        draws = make_strategy(strategy, space, n_trials, seed)
        trials: list[Trial] = []
        while len(trials) < draws.n_trials:
            n = min(draws.generation or draws.n_trials, draws.n_trials - len(trials))
            candidates = [draws.params(len(trials) + i) for i in range(n)]
            scores = self._scores(evaluate_candidates(candidates))[-n:]
            for params, score in zip(candidates, scores, strict=True):
                status = "done" if math.isfinite(score) else "failed"
                error = None if status == "done" else f"the score is {score}"
                trials.append(Trial(len(trials), params, status, float(score), error=error))
                draws.tell(trials[-1].number, float(score))
        name = strategy if isinstance(strategy, str) else f"optuna {type(strategy).__name__}"
        return SearchResult(space, trials, "score", strategy=name)

    def _scores(self, results: Mapping[str, Any]) -> Any:
        """What decides, of all candidates so far; with several metrics that of `refit`."""
        if "mean_test_score" in results:
            return results["mean_test_score"]
        if isinstance(self.refit, str):
            return results[f"mean_test_{self.refit}"]
        names = [name for name in results if name.startswith("mean_test_")]
        return results[names[0]]


def _as_space(space: Any) -> dict[str, Parameter]:
    if isinstance(space, Mapping):
        space = {k: choice(v) if isinstance(v, list | tuple) else v for k, v in space.items()}
    return check_space(space)


def _checked_stages(stages: Any) -> list[Mapping[str, Any]]:
    checked = list(_validate.sequence("stages", stages, "a list of dicts"))
    for stage in checked:
        for name in stage:
            _validate.one_of("stages", name, ["n_trials", "strategy"])
    return checked
