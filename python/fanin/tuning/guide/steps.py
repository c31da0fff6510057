"""The seven steps in order, each kept as soon as it is taken.

The first two are `sanity_checks`, the last one, after the seven, is `outcome`. A step is a function
of the run that gives its facts, and its findings among them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from warnings import catch_warnings, simplefilter

import numpy as np

from fanin import optim
from fanin._json import json_number, plain
from fanin.callbacks.history import History
from fanin.diagnostics.findings import Finding
from fanin.metrics import RareClassWarning
from fanin.network import UnitsWarning
from fanin.tuning.curves import loss_curve
from fanin.tuning.guide.advice import advise
from fanin.tuning.guide.budget import (
    COARSE,
    MORE_TRIALS,
    MOST_EPOCHS,
    REFINED,
    SEARCHED,
    TRIALS,
    epochs,
)
from fanin.tuning.guide.candidates import around, coarse_space, covering, draws, rounded
from fanin.tuning.guide.facts import Facts, findings
from fanin.tuning.guide.leaks import leaking_column
from fanin.tuning.guide.outcome import conclude, refit_seconds, restore
from fanin.tuning.guide.report import Step
from fanin.tuning.guide.run import LAST, GuideRun
from fanin.tuning.guide.sanity_checks import check_initial_loss, overfit_small_sample
from fanin.tuning.guide.settings import build_network, count_parameters
from fanin.tuning.guide.trials import Trial
from fanin.tuning.guide.unrelated import unrelated_targets
from fanin.tuning.lr_finder import RateProbe, RateTrial, lr_probe
from fanin.tuning.search import trial as search_trial
from fanin.tuning.search.edges import Edge, find_edges
from fanin.tuning.space import Choice, Parameter, Range, space_from_dict, space_to_dict

PROBE_REG = 1e-4  # "use small weight decay"
LINEAR_RATE, LINEAR_REG = 1e-2, 1e-3  # of the baseline without hidden layers
MORE_DECADES = 2  # beyond the given rates, where the best is the last of them
LOWER, LOWER_TIMES = 10.0, 2  # the rates of a search in which all diverged, and how often
WORSE_ROUNDS = 2  # in a row without a gain, after which a guide with a time budget ends
MOST_PARAMS = 50  # for each training row, of networks that a verdict suggests


def take_steps(run: GuideRun) -> str:
    """Runs the requested steps; returns why it ended. Ctrl-C keeps the finished ones."""
    with catch_warnings():  # the report has the metrics, and a finding on units
        simplefilter("ignore", RareClassWarning)
        simplefilter("ignore", UnitsWarning)
        try:
            stopped = _first_steps(run) or _rounds(run)
            if run.until >= 7:
                _take(run, LAST, 0, partial(conclude, run))
        except KeyboardInterrupt:
            return "interrupted"
    return stopped


def _first_steps(run: GuideRun) -> str:
    """Steps 1 to 4."""
    steps = check_initial_loss, overfit_small_sample, find_learning_rate, coarse_search
    for number, step in enumerate(steps, 1):
        if number > run.until:
            return _as_asked(run)
        facts = _take(run, number, 0, partial(step, run))
        run.settings = facts["settings"]
    if facts["best"] is None:
        return "every network of step 4 diverged"
    if run.problem.task.words.unrelated in (f.name for f in findings(facts)):
        return "step 4 found nothing to go on with"
    return ""


def _rounds(run: GuideRun) -> str:
    """Steps 5 to 7, again and again."""
    before = run.facts(4)
    for round in range(1, run.rounds + 1):
        if run.until < 5:
            return _as_asked(run)
        if run.state.find(5, round) is None and _is_spent(run, round):
            return "the time budget is spent"
        found = _take(run, 5, round, partial(refine, run, round, before))
        if found["best"] is None:
            return f"no trial of round {round} ended well"
        run.settings = found["settings"]
        if run.until < 6:
            return _as_asked(run)
        _take(run, 6, round, partial(judge_curves, run, round))
        if run.until < 7:
            return _as_asked(run)
        before = _take(run, 7, round, partial(decide, run, round))
        if before["end"]:
            return str(before["end"])
    return f"ended after round {run.rounds}, as asked for"


def _is_spent(run: GuideRun, round: int) -> bool:
    """Whether there is no time for another round."""
    late = run.state.seconds > _search_deadline(run)
    return bool(run.plan(f"round {round} comes too late", lambda: late or None))


def _as_asked(run: GuideRun) -> str:
    return f"ended after step {run.until}, as asked for"


def _take(run: GuideRun, number: int, round: int, step: Callable[[], Facts]) -> Facts:
    """The facts of a step: an earlier process's, or those of now."""
    state = run.state
    facts = state.find(number, round)
    if facts is None:
        if run.cv.removed:
            run.cv.train_again()
        facts = {"number": number, "round": round, "findings": [], "settings": run.settings}
        facts |= {"task": run.problem.task.name}
        first = len(run.cv.trials)
        facts |= step()
        if number in (4, 5):
            facts["kept"] = run.cv.facts_of(run.cv.trials[first:])
        facts["findings"] = [finding.to_dict() for finding in facts["findings"]]
        if number != LAST:
            state.drop(LAST)  # where an earlier guide ended
        facts = state.add(facts)
    elif number in (4, 5):
        run.cv.restore(facts["kept"])
        run.cv.forget(run.ranked())
    elif number == LAST:
        restore(run, facts)
    for callback in run.callbacks:
        callback(Step(facts))
    return facts


def find_learning_rate(run: GuideRun) -> Facts:
    """Step 3: learning rates over all data; larger or smaller ones if the last is the best."""
    problem, settings = run.problem, dict(run.settings)
    X, y, _, _ = problem.first
    net = build_network(settings, problem.width, problem.task, run.seed)
    options = {"optimizer": settings["optimizer"], "batch_size": problem.batch_size}
    options |= {"reg": PROBE_REG, "preprocess": problem.preprocess, "n_threads": 1}
    rates = list(run.rates)
    trials: list[RateTrial] = []
    for _ in range(1 + MORE_DECADES):
        more = lr_probe(net, X, y, rates=rates, **options)
        trials = sorted((*trials, *more.trials), key=lambda trial: -trial.rate)
        probe = RateProbe(tuple(trials), more.iterations)
        if not (rates := _beyond(probe)):
            break
    found = probe.best is not None
    settings["lr"] = probe.suggestion if found else optim.get(settings["optimizer"]).lr
    action = "step 4 begins at the rule's usual rate; look at the inputs and at steps 1 and 2"
    none = Finding("no-learning-rate", probe.reason, action)
    return {
        "probe": probe.to_dict(),
        "reg": PROBE_REG,
        "suggestion": settings["lr"],
        "edge": probe.edge,
        "settings": settings,
        "findings": [] if found else [none],
    }


def _beyond(probe: RateProbe) -> list[float]:
    """A learning rate ten times beyond, if the one to take is the first or last, or none is."""
    first, last = probe.trials[0], probe.trials[-1]
    if probe.best is None:
        smaller, larger = last.verdict == "diverged", first.verdict == "flat"
    else:
        smaller, larger = probe.suggestion <= last.rate, probe.suggestion >= first.rate
    if smaller:
        return [last.rate / 10]
    return [10 * first.rate] if larger else []


def coarse_search(run: GuideRun) -> Facts:
    """Step 4: a few learning rates and weight decays, for a few epochs."""
    rate, notes = float(run.settings["lr"]), list[str]()
    edge = run.facts(3)["edge"]
    for attempt in range(1 + LOWER_TIMES):
        space = coarse_space(run.problem, run.settings, run.given, rate, edge)
        step = "step-4" if attempt == 0 else f"step-4-{attempt + 1}"
        n = _trials(run, "coarse")
        first = [run.settings | {"lr": rounded(rate)}]
        linear = _linear(rate, edge, space) if run.settings["loss"] != "svm" else {}
        first += [run.settings | linear] if linear and run.settings["hidden"] else []
        more = (run.settings | drawn for drawn in draws(space, n - len(first), run.seed, step))
        facts = _search(
            run, step, space, [*first, *more], run.problem.coarse_folds,
            epochs("coarse", run.problem), run.budget.until(COARSE),
        )  # fmt: skip
        if facts["best"] is not None:
            break
        notes.append(
            f"All {len(facts['trials'])} networks at rates from {space['lr']} diverged: rates "
            f"{LOWER:g} times lower come next."
        )
        rate, edge = rate / LOWER, None
    best = run.best()
    facts |= {"notes": notes, "linear": None}
    if best is None:
        action = "look at the inputs' scale; lower the rates further"
        return facts | {"findings": [Finding("diverged", notes[-1], action)]}
    found = [*unrelated_targets(run), *leaking_column(run, best)]
    return facts | {
        "settings": best.settings,
        "next_space": space_to_dict(around(run.ranked()[:3], space, edge)),
        "findings": [*found, *facts["findings"]],
    }


def _linear(rate: float, edge: float | None, space: Mapping[str, Parameter]) -> Facts:
    """The baseline: no hidden layer, a larger rate, and L2."""
    lr = max(rate, LINEAR_RATE) if edge is None else min(max(rate, LINEAR_RATE), edge)
    decays = space["reg"]
    reg = LINEAR_REG if isinstance(decays, Choice) and LINEAR_REG in decays.options else PROBE_REG
    return {"hidden": [], "keep": 1.0, "drop_connect": 1.0, "reg": reg, "lr": rounded(lr)}


def refine(run: GuideRun, round: int, before: Facts) -> Facts:
    """Step 5: the neighbourhood of the best, for longer; from round 2 on as step 7 decided."""
    settings, fixed = before["settings"], dict(before.get("fixed", {}))
    space = space_from_dict(before["next_space"])
    step, search = f"round-{round}", "refine" if round == 1 else "again"
    if round == 1:
        starts = [t.settings for t in run.ranked()[:4]]
        own = epochs(search, run.problem)
    else:
        starts = [settings | start | fixed for start in before["starts"]]
        own = int(before["epochs"])
    n = _trials(run, search)
    more = (
        settings | fixed | drawn for drawn in draws(space, max(n - len(starts), 2), run.seed, step)
    )
    folds = run.problem.search_folds
    deadline = min(_search_deadline(run), run.budget.until(REFINED if round == 1 else SEARCHED))
    if fixed.get("schedule"):  # which is to come to its end in time
        own = run.plan(f"{step} epochs", lambda: min(own, _affordable(run, deadline)))
    facts = _search(run, step, space, [*starts, *more], folds, own, deadline)
    best = run.best()
    if best is None or facts["best"] is None:
        return facts | {"best": None}
    return facts | {
        "fixed": plain(fixed),
        "settings": best.settings,
        "overall": _shown(run, best, space),
        "history": best.history(run.problem.search_folds).to_dict(),
    }


def _affordable(run: GuideRun, deadline: float) -> int:
    """For how many epochs the best settings can be trained until then."""
    best, seconds = run.best(), deadline - run.state.seconds
    if best is None or math.isinf(seconds):
        return MOST_EPOCHS
    runs = best.runs.values()
    an_epoch = sum(r.took for r in runs) / max(sum(len(r.history.epoch) for r in runs), 1)
    in_turn = math.ceil(len(run.problem.search_folds) / run.cv.workers)
    return max(int(seconds / max(an_epoch * in_turn, 1e-6)), 1)


def _trials(run: GuideRun, search: str) -> int:
    return TRIALS[search] * (1 if run.budget.total is None else MORE_TRIALS)


def _search_deadline(run: GuideRun) -> float:
    """When the searches end, in seconds of the guide, so that time is left for the last step."""
    return min(run.budget.until(SEARCHED), run.budget.until(1.0) - refit_seconds(run))


def _search(
    run: GuideRun,
    step: str,
    space: Mapping[str, Parameter],
    candidates: Iterable[Facts],
    folds: list[int],
    n_epochs: int,
    deadline: float,
) -> Facts:
    """Trials of the candidates, as far as the time goes, and the facts of them."""
    wanted = list(_without_repeats(run, candidates, n_epochs, folds))
    trials = run.cv.run(step, wanted, n_epochs, folds, deadline)
    best = run.best(trials)
    edges = [] if best is None else list(_edges(run, space, trials))
    run.cv.forget(run.ranked())
    return {
        "step": step,
        "n_trials": len(wanted),
        "epochs": n_epochs,
        "rows": run.problem.n_train,
        "folds": len(folds),
        "space": space_to_dict(covering(space, wanted)),
        "fixed": {},
        "cut_short": len(trials) < len(wanted),
        "trials": [_shown(run, trial, space) for trial in trials],
        "best": best and _shown(run, best, space),
        "edges": [edge.to_dict() for edge in edges],
        "findings": [Finding("edge", f"{e.name}: {e.evidence}", e.advice) for e in edges],
    }


def _without_repeats(
    run: GuideRun, candidates: Iterable[Facts], n: int, folds: list[int]
) -> Iterator[Facts]:
    """Those that no trial has tried for as long, or as long as it was of use, on these folds."""
    seen = [
        trial.settings
        for trial in run.cv.trials
        if set(folds) <= set(trial.runs) and (trial.epochs >= n or trial.finished)
    ]
    for candidate in candidates:
        settings = dict(plain(candidate))
        if settings not in seen:
            seen.append(settings)
            yield settings


def _shown(run: GuideRun, trial: Trial, names: Iterable[str]) -> Facts:
    """A trial in the report, with its settings of these names as parameters."""
    facts: Facts = {"number": trial.number, "status": trial.status, "settings": trial.settings}
    facts["params"] = {name: trial.settings[name] for name in names}
    problem, task = run.problem, run.problem.task
    if not trial.usable:
        return facts | {task.words.loss: None, "error": None, "score": None, "epoch": None}
    rows = run.rows(trial)
    known = rows[np.isfinite(rows)]
    outputs = np.concatenate([task.outputs(r.scores) for r in trial.runs.values()])
    y = np.concatenate([problem.labels[problem.folds[fold][1]] for fold in trial.runs])
    return facts | {
        task.words.loss: json_number(run.loss(trial)),
        "error": float(known.std()) / math.sqrt(len(known)),
        "score": task.score(outputs, y),
        "epoch": trial.epoch,
    }


def _edges(run: GuideRun, space: Mapping[str, Parameter], trials: Sequence[Trial]) -> list[Edge]:
    """Where the best of a search lies at an end of its range, by more than the noise."""
    ranked = run.ranked(trials)
    errors = [run.gain(other, ranked[0]).error for other in ranked[1:6]]
    noise = 2 * max((e for e in errors if math.isfinite(e)), default=math.inf)
    seen = [
        search_trial.Trial(
            t.number, {n: t.settings[n] for n in space}, "done" if t.usable else "diverged",
            run.loss(t) if t.usable else math.nan, larger_is_better=False,
        )
        for t in trials if t.settings["hidden"] or not run.settings["hidden"]
    ]  # fmt: skip
    ranges = {name: p for name, p in space.items() if isinstance(p, Range)}
    return find_edges(ranges, seen, False, noise)


def judge_curves(run: GuideRun, round: int) -> Facts:
    """Step 6: the verdict on the best run's curves, the mean over its folds."""
    found = run.facts(5, round)
    verdict = loss_curve(History.from_dict(found["history"]))
    return {
        "findings": verdict.findings,
        "settings": found["settings"],
        "history": found["history"],
        "overall": found["overall"],
    }


def decide(run: GuideRun, round: int) -> Facts:
    """Step 7: the gain of the round, and what the next one tries."""
    found, verdict = run.facts(5, round), run.facts(6, round)
    numbers = {t["number"] for t in found["trials"]}
    earlier = [t for t in run.cv.trials if t.number < min(numbers, default=math.inf)]
    now, before = run.best(), run.best(earlier)
    assert now is not None
    assert before is not None
    new = now.number in numbers
    gained = run.gain(before, now) if new else None
    worse = 0 if round == 1 else int(run.facts(7, round - 1)["worse"])
    better = gained is not None and gained.exceeds(1.0)
    worse = 0 if better else worse + 1
    facts: Facts = {
        "gain": 0.0 if gained is None else gained.mean,
        "noise": 0.0 if gained is None else json_number(gained.error),
        "better": new,
        "overall": _shown(run, now, ()),
        "worse": worse,
        "settings": now.settings,
        "end": "",
    }
    patience = 1 if run.budget.total is None else WORSE_ROUNDS
    if round > 1 and worse >= patience:
        rounds = f"round {round}" if patience == 1 else f"rounds {round - 1} and {round}"
        return facts | {"end": f"{rounds} gained no more than the noise"}
    names = [finding.name for finding in findings(verdict)]
    edges = [Edge.from_dict(edge) for edge in found["edges"]] if new else []
    most = MOST_PARAMS * run.problem.n_train
    advice = advise(
        names,
        now.settings,
        edges,
        lambda hidden: count_parameters({"hidden": hidden}, run.problem.dims) <= most,
        run.facts(3)["edge"],
    )
    longest = epochs("again", run.problem, advice.epochs)
    # The cosine must come to its end where the run is at its best.
    own = longest if now.epoch + 1 >= 0.8 * now.epochs else 1.3 * (now.epoch + 1) * advice.epochs
    return facts | {
        "next_space": space_to_dict(advice.space(now.settings)),
        "starts": advice.starts(now.settings),
        "fixed": advice.fixed,
        "epochs": max(min(math.ceil(own), longest), 1),
        "epochs_factor": advice.epochs,
        "reasons": advice.reasons,
    }
