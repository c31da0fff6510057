"""The seven steps in order, each kept as soon as it is taken; the first two are `sanity_checks`.

A step is a function of the run that gives its facts, and its findings among them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from warnings import catch_warnings

import numpy as np

from fanin import optim
from fanin.callbacks.history import History
from fanin.diagnostics.findings import Finding
from fanin.training import DivergenceWarning
from fanin.tuning.curves import loss_curve
from fanin.tuning.guide.advice import advise, rounded
from fanin.tuning.guide.budget import SEARCHES, Deadline, SearchSize, stretched
from fanin.tuning.guide.facts import Facts, findings
from fanin.tuning.guide.report import Step
from fanin.tuning.guide.run import LAST, SLACK, GuideRun
from fanin.tuning.guide.sanity_checks import check_initial_loss, overfit_small_sample
from fanin.tuning.guide.settings import build_network, count_parameters
from fanin.tuning.lr_finder import RateProbe, RateTrial, lr_probe
from fanin.tuning.search import search
from fanin.tuning.search.edges import Edge
from fanin.tuning.search.result import SearchResult
from fanin.tuning.space import Parameter, choice, loguniform, plain, space_from_dict, space_to_dict

PROBE_REG = 1e-4  # "use small weight decay"
MORE_DECADES = 2  # beyond the given rates, where the best is the last of them
COARSE_BELOW, COARSE_ABOVE = 30.0, 3.0  # times the probe's rate
WEIGHT_DECAYS = (1e-4, 1e-5, 0.0)  # the lecture's
CHANCE_SIGMAS = 3.0
LEAST_ROWS = 2000  # of step 4, where the time is not enough for all
FEW_TRIALS = 4
SHUFFLED = "look whether the labels belong to these rows: were they shuffled?"
MOST_PARAMS = 50  # for each training row, of networks that a verdict suggests


def take_steps(run: GuideRun) -> str:
    """Runs the requested steps; returns why it ended. Ctrl-C keeps the finished ones."""
    try:
        stopped = _first_steps(run) or _rounds(run)
        if run.until >= 7:
            _take(run, LAST, 0, partial(refit, run))
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
    if facts["best"] is None or "unrelated-labels" in (f.name for f in findings(facts)):
        return "step 4 found nothing to go on with"
    return ""


def _rounds(run: GuideRun) -> str:
    """Steps 5 to 7, again and again."""
    before = run.facts(4)
    for round in range(1, run.rounds + 1):
        if run.until < 5:
            return _as_asked(run)
        size = run.state.plan(f"round {round}", partial(_round_size, run, round, before))
        found = size and _take(run, 5, round, partial(refine, run, round, before, size))
        run.settings = before["settings"]
        if not found:
            return "the time budget is spent"
        if found["best"] is None:
            return f"no trial of round {round} ended well"
        if run.until < 6:
            return _as_asked(run)
        _take(run, 6, round, partial(judge_curves, run, round))
        if run.until < 7:
            return _as_asked(run)
        before = _take(run, 7, round, partial(decide, run, round))
        if before["end"]:
            return str(before["end"])
    return f"ended after round {run.rounds}, as asked for"


def _as_asked(run: GuideRun) -> str:
    return f"ended after step {run.until}, as asked for"


def _take(run: GuideRun, number: int, round: int, step: Callable[[], Facts]) -> Facts:
    """The facts of a step: an earlier process's, or those of now."""
    state = run.state
    facts = state.find(number, round)
    if facts is None:
        began = state.clock()
        facts = {"number": number, "round": round, "findings": [], "settings": run.settings}
        facts |= step()
        facts["findings"] = [finding.to_dict() for finding in facts["findings"]]
        facts |= {"seconds": state.clock() - began, "speed": run.budget.speed}
        if number != LAST:
            state.drop(LAST)  # where an earlier guide ended
        facts = state.add(facts)
    run.budget.speed = facts["speed"]
    for callback in run.callbacks:
        callback(Step(facts))
    return facts


def find_learning_rate(run: GuideRun) -> Facts:
    """Step 3: learning rates over all data; larger or smaller ones if the last is the best."""
    problem, settings = run.problem, dict(run.settings)
    net = build_network(settings, problem, run.seed)
    options = {"optimizer": settings["optimizer"], "batch_size": problem.batch_size}
    options |= {"reg": PROBE_REG, "preprocess": problem.preprocess, "n_threads": 1}
    began, rates = run.state.clock(), list(run.rates)
    trials: list[RateTrial] = []
    for _ in range(1 + MORE_DECADES):
        more = lr_probe(net, problem.X, problem.y, rates=rates, **options)
        trials = sorted((*trials, *more.trials), key=lambda trial: -trial.rate)
        probe = RateProbe(tuple(trials), more.iterations)
        if not (rates := _beyond(probe)):
            break
    work = net.n_params * problem.batch_size * sum(len(trial.losses) for trial in trials)
    run.budget.learn(run.state.clock() - began, work)
    found = probe.best is not None
    settings["lr"] = probe.suggestion if found else optim.get(settings["optimizer"]).lr
    return {
        "probe": probe.to_dict(),
        "reg": PROBE_REG,
        "suggestion": settings["lr"],
        "settings": settings,
        "findings": [] if found else [_no_rate(run, probe)],
    }


def _beyond(probe: RateProbe) -> list[float]:
    """A learning rate ten times beyond, if the best is the first or last, or none is good."""
    first, last, best = probe.trials[0], probe.trials[-1], probe.best
    if best is None:
        smaller, larger = last.verdict == "diverged", first.verdict == "flat"
    else:
        smaller, larger = best.rate == last.rate, best.rate == first.rate
    if smaller:
        return [last.rate / 10]
    return [10 * first.rate] if larger else []


def _no_rate(run: GuideRun, probe: RateProbe) -> Finding:
    sample = run.facts(2)
    if sample["reached"] and {t.verdict for t in probe.trials} <= {"flat", "rising", "diverged"}:
        learnt = f"{sample['rows']} rows can be learnt by heart"
        return Finding("unrelated-labels", f"{learnt}, but over all rows {probe.reason}", SHUFFLED)
    return Finding("no-learning-rate", probe.reason, "go back to steps 1 and 2")


def coarse_search(run: GuideRun) -> Facts:
    """Step 4: a few learning rates and weight decays, for a few epochs."""
    rate = float(run.settings["lr"])
    space: dict[str, Parameter] = {
        "lr": loguniform(rounded(rate / COARSE_BELOW), rounded(rate * COARSE_ABOVE)),
        "reg": choice(list(WEIGHT_DECAYS)),
    }
    trials, epochs, rows = run.state.plan("step 4", partial(_coarse_size, run))
    starts = [{"lr": rate, "reg": WEIGHT_DECAYS[0]}] if rate else []
    facts, result = _search(run, "step-4", space, trials, epochs, rows, run.settings, {}, starts)
    if result.best is None:
        return facts
    return facts | {
        "settings": run.settings | facts["best"]["params"],
        "next_space": space_to_dict(result.refine()),
        "findings": [*_at_chance(run, result), *facts["findings"]],
    }


def _coarse_size(run: GuideRun) -> list[int]:
    """Trials, epochs and rows."""
    problem, budget, n = run.problem, run.budget, len(run.problem.X)
    share, unlimited, wanted = SEARCHES["coarse"]
    seconds = share * budget.left
    if math.isinf(seconds):
        return [*stretched([unlimited], problem.steps)[0], n]
    sizes, work = (
        stretched(wanted, problem.steps),
        float(count_parameters(run.settings, problem)) * n,
    )
    if (size := budget.choose(sizes, seconds, work)) is not None:
        return [*size, n]
    part = seconds / budget.cost(sizes[-1], work)
    return [*sizes[-1], max(int(part * n), min(LEAST_ROWS, n))]


def _at_chance(run: GuideRun, result: SearchResult) -> Iterator[Finding]:
    """Whether no trial is better than guessing.

    Judged by the mean over the later half of the epochs: the best of many epochs of many trials is
    above chance by chance.
    """
    means = [
        float(np.mean(curve[len(curve) // 2 :]))
        for t in result.ranked
        if (curve := t.curves.get("val_accuracy"))
    ]
    chance, best = run.problem.chance, max(means, default=1.0)
    noise = run.problem.noise(chance)
    if best <= chance + CHANCE_SIGMAS * noise:
        yield Finding(
            "unrelated-labels",
            f"the best of {len(result)} networks is right in {best:.1%} of the validation rows "
            f"(the mean of its later epochs); always answering the commonest class is right in "
            f"{chance:.1%} (standard error {noise:.1%})",
            SHUFFLED,
        )


def refine(run: GuideRun, round: int, before: Facts, size: SearchSize) -> Facts:
    """Step 5: the neighbourhood of the best, for longer; from round 2 on as step 7 decided."""
    settings, fixed = before["settings"], dict(before.get("fixed", {}))
    space = space_from_dict(before["next_space"])
    trials, epochs = size
    # What was best before is tried again first, under the new length and schedule.
    best = {k: v for k, v in settings.items() if k in space}
    starts = before.get("starts", [best])
    if trials < FEW_TRIALS:  # then what is new comes first
        starts = [*starts[1:], starts[0]]
    name, rows = f"round-{round}", len(run.problem.X)
    facts, result = _search(
        run, name, space, trials, epochs, rows, settings, fixed, starts[:trials]
    )
    if result.best is None:
        return facts
    network = result.best.network
    assert network is not None
    run.state.save_network(f"{name}.fanin", network)
    history = network.history or History()
    run.networks[round] = network, history
    return facts | {
        "settings": settings | fixed | facts["best"]["params"],
        "history": history.to_dict(),
        "edges": [edge.to_dict() for edge in result.edges()],
    }


def _round_size(run: GuideRun, round: int, before: Facts) -> list[int] | None:
    """Trials and epochs; None where the time is over."""
    problem, budget, settings = run.problem, run.budget, before["settings"]
    hidden = before["next_space"].get("hidden", {}).get("options", [settings["hidden"]])
    largest = max(float(count_parameters({"hidden": widths}, problem)) for widths in hidden)
    work = largest * len(problem.X)
    share, (trials, epochs), wanted = SEARCHES["refine" if round == 1 else "again"]
    seconds = min(share * budget.left, budget.left - run.refit_seconds())
    if math.isinf(seconds):
        longer = epochs * before.get("epochs_factor", 1.0)
        rounded_up = max(5 * math.ceil(longer / 5), 1)  # a number that a person would choose
        return list(stretched([(trials, rounded_up)], problem.steps)[0])
    size = budget.choose(stretched(wanted, problem.steps), seconds, work)
    return None if size is None else list(size)


def _search(
    run: GuideRun,
    name: str,
    space: dict[str, Parameter],
    trials: int,
    epochs: int,
    rows: int,
    settings: Mapping[str, Any],
    fixed: Mapping[str, Any],
    starts: Sequence[Mapping[str, Any]],
) -> tuple[Facts, SearchResult]:
    """A search on so many rows, and its facts."""
    problem, state = run.problem, run.state
    X, y = (array[:: -(-len(array) // rows)] for array in (problem.X, problem.y))
    options = {k: v for k, v in {**settings, **fixed}.items() if k not in space}
    deadline = Deadline(run.budget, run.refit_seconds())
    log = state.path(f"{name}.jsonl")
    began, logged = state.clock(), log is not None and log.exists()
    result = search(
        space,
        (np.ascontiguousarray(X), y),
        trials,
        epochs=epochs,
        validation_data=(problem.X_val, problem.y_val),
        start_from=starts,
        executor=run.executor,
        n_threads=run.n_threads,
        log=log,
        seed=run.seed,
        callbacks=[deadline],
        progress=run.progress,
        preprocess=problem.preprocess,
        **options,
    )
    if result.interrupted and not deadline.over:
        raise KeyboardInterrupt
    seconds = state.clock() - began
    if not logged and not deadline.over:  # else the seconds are not those of the trials
        work = sum(
            float(count_parameters(options | t.params, problem)) * len(t.curves.get("loss", ()))
            for t in result
        )
        run.budget.learn(seconds * run.budget.workers, work * len(X))
    best, edges = result.best, result.edges()
    found = [Finding("edge", f"{edge.name}: {edge.evidence}", edge.advice) for edge in edges]
    if best is None:
        found = [Finding("diverged", str(result), "lower the rates, look at the inputs' scale")]
    shown = ("number", "params", "status", "score", "epoch")
    return {
        "n_trials": trials,
        "epochs": epochs,
        "rows": len(X),
        "n_val": result.n_val,
        "space": space_to_dict(space),
        "fixed": plain(dict(fixed)),
        "monitor": result.monitor,
        "strategy": result.strategy,
        "cut_short": deadline.over,
        "trials": [{name: plain(getattr(t, name)) for name in shown} for t in result],
        "best": best and {n: plain(getattr(best, n)) for n in ("params", "score", "epoch")},
        "findings": found,
    }, result


def judge_curves(run: GuideRun, round: int) -> Facts:
    """Step 6: the verdict on the best run's curves."""
    found = run.facts(5, round)
    settings, history = found["settings"], found["history"]
    verdict = loss_curve(History.from_dict(history), n_val=len(run.problem.y_val))
    return {"findings": verdict.findings, "settings": settings, "history": history}


def decide(run: GuideRun, round: int) -> Facts:
    """Step 7: the gain of the round, and what the next one tries."""
    found, verdict = run.facts(5, round), run.facts(6, round)
    score = float(found["best"]["score"])
    best_before, best_round = float(run.facts(4)["best"]["score"]), 0  # of no round
    if round > 1:
        decided = run.facts(7, round - 1)
        best_before, best_round = float(decided["best_score"]), int(decided["best_round"])
    gain = score - best_before
    noise = _noise_of_gain(run, round, best_round, score)
    better = gain >= 0 or best_round == 0
    settings = found["settings"] if better else dict(run.facts(5, best_round)["settings"])
    facts: Facts = {
        "score": score,
        "gain": gain,
        "noise": noise,
        "best_round": round if better else best_round,
        "best_score": max(score, best_before) if best_round else score,
        "settings": settings,
        "end": "",
    }
    if round > 1 and gain <= noise:
        return facts | {"end": f"round {round} gained no more than its noise"}
    names = [finding.name for finding in findings(verdict)]
    edges = [Edge.from_dict(edge) for edge in found["edges"]]
    most = MOST_PARAMS * len(run.problem.X)
    advice = advise(
        names,
        settings,
        edges,
        lambda hidden: count_parameters({"hidden": hidden}, run.problem) <= most,
    )
    return facts | {
        "next_space": space_to_dict(advice.space(settings)),
        "starts": advice.starts(settings),
        "fixed": advice.fixed,
        "epochs_factor": advice.epochs,
        "reasons": advice.reasons,
    }


def _noise_of_gain(run: GuideRun, round: int, best_round: int, score: float) -> float:
    """The standard error of the gain: over the rows on which just one of the two is right."""
    problem = run.problem
    old, new = run.network_of(best_round), run.network_of(round)
    if old is None or new is None:
        return math.sqrt(2) * problem.noise(score)
    predicted = (net.predict(problem.X_val, n_threads=run.n_threads) for net, _ in (old, new))
    before, now = (labels == problem.y_val for labels in predicted)
    return math.sqrt(max(int((before != now).sum()), 1)) / len(problem.y_val)


def refit(run: GuideRun) -> Facts:
    """The best settings on all rows, those held out for validation among them."""
    if (found := run.best_search()) is None:
        return {"refit": False, "why": "there is no best network yet"}
    if not run.refits:
        return {"refit": False, "why": "the validation rows are not ours to train on"}
    if run.budget.left < run.refit_seconds() / SLACK:
        return {"refit": False, "why": "the time is over"}
    settings = found["settings"]
    epochs = found["epochs"] if settings.get("schedule") else int(found["best"]["epoch"]) + 1
    net = build_network(settings, run.problem, run.seed)
    X, y = run.problem.all_rows()
    with catch_warnings(action="ignore", category=DivergenceWarning):
        history = net.fit(
            X,
            y,
            epochs=epochs,
            optimizer=optim.get(settings["optimizer"], settings["lr"]),
            preprocess=run.problem.preprocess,
            progress=run.progress,
            n_threads=run.n_threads,
            **{k: settings[k] for k in ("batch_size", "reg", "schedule") if k in settings},
        )
    reached = history.history.get("loss", [math.inf])
    usual = float(found["history"]["history"]["loss"][epochs - 1])
    if history.stop_reason == "diverged" or reached[-1] > 1.5 * usual + 0.01:
        return {"refit": False, "why": "it did not train as the run before"}
    run.state.save_network("network.fanin", net)
    run.refitted = net
    return {"refit": True, "epochs": epochs, "rows": len(X), "loss": reached[-1]}
