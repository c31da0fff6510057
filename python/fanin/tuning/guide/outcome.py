"""What comes after the seven steps: the ensemble, the network of all rows, their honest scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from warnings import catch_warnings

import numpy as np

from fanin import optim
from fanin._json import json_number
from fanin._typing import Array, Floats
from fanin.callbacks.history import History
from fanin.diagnostics.findings import Finding
from fanin.ensemble import Ensemble
from fanin.ensemble.held_out import Temperature, cool, fit_temperature, greedy_counts
from fanin.network import MLP
from fanin.tuning.guide.facts import Facts
from fanin.tuning.guide.judging import (
    Gain,
    compare,
    outputs_of,
    summary,
    trivial_outputs,
    trivial_rows,
)
from fanin.tuning.guide.run import LAST, GuideRun
from fanin.tuning.guide.settings import FIT_SETTINGS, build_network
from fanin.tuning.guide.tasks import Task, Words
from fanin.tuning.guide.trials import Trial, as_class_weight

MEMBERS = 6  # settings in the ensemble, at most
SURE = 2.0  # standard errors
REFITS = 5  # networks trained on all rows, as far as there is time
# Those have seen more rows than the folds' networks, but a single one is noisier than a mean: n of
# them have n parts of the ensemble beside so many of the folds'.
OF_FOLDS = 3
SLACK = 1.2  # times the estimate of the run on all rows
ENSEMBLE = "ensemble.fanin"
# What knows no row, in the report's scores.
TRIVIAL = {"classification": "majority", "regression": "constant", "multilabel": "shares"}
PARTS = 5  # of the rows, each judged by what was chosen on the others


def refit_seconds(run: GuideRun) -> float:
    """What to keep back for the run on all rows: as long as the longest of the best so far."""
    best = run.ranked()[:MEMBERS]
    if not run.refits or not best:
        return 0.0
    longest = max(_seconds(trial) for trial in best)
    return SLACK * longest * run.problem.n / run.problem.n_train


def _seconds(trial: Trial) -> float:
    """Of one of its networks."""
    return float(np.mean([run.took for run in trial.runs.values()]))


def conclude(run: GuideRun) -> Facts:
    """The best settings on all folds and on all rows; what the ensemble of the best is worth."""
    problem = run.problem
    best = run.best()
    if best is None:
        return {"refit": False, "why": "no network was trained", "scores": {}, "members": []}
    facts = _refit(run, best)
    chosen = _more_folds(run, best)
    facts |= {"refits": _more_refits(run, best, facts)}
    found = _ensemble(run, chosen)
    scores, linear = found.pop("scores"), _linear(run)
    rows = found.pop("rows_of_ensemble")
    scores[TRIVIAL[problem.task.name]] = summary(problem, trivial_outputs(problem))
    gain = compare(problem, trivial_rows(problem), rows)
    findings = list(_against_trivial(problem.task.words, gain))
    if linear is not None:
        scores["linear"] = _summary(run, linear)
        if linear.number != best.number:
            gain = compare(problem, run.rows(linear), rows)
            findings += _against_linear(problem.task.words, gain)
    _keep(run)
    return facts | found | {"scores": scores, "findings": findings, "settings": best.settings}


def give_labels(run: GuideRun) -> None:
    """Lets the networks of the outcome take the user's rows, and give the user's labels back."""
    problem, best = run.problem, run.best()
    nets = [run.best_network(), *(run.ensemble or ()), *([] if best is None else best.networks)]
    for net in nets:
        if net is None:
            continue
        net.take_table(problem.table)
        if problem.columns is not None:
            net.inputs = replace(net.inputs, names=problem.columns)
        if problem.task.name == "classification":
            net.take_classes(problem.classes)


def _keep(run: GuideRun) -> None:
    """In the guide's folder, for a later process."""
    give_labels(run)
    if (net := run.best_network()) is not None:
        run.state.save_network("network.fanin", net)
    path = run.state.path(ENSEMBLE)
    if run.ensemble is not None and path is not None:
        run.ensemble.save(path)


def restore(run: GuideRun, facts: Facts) -> None:
    """What `conclude` left in an earlier process."""
    run.kept = run.state.load_network("network.fanin")
    run.refitted = [run.kept] if run.kept is not None and facts["refit"] else []
    path = run.state.path(ENSEMBLE)
    run.ensemble = Ensemble.load(path) if path is not None and path.exists() else None


def _against_trivial(words: Words, gain: Gain) -> list[Finding]:
    advice = f"more rows, or inputs that tell more of the {words.targets}"
    return _against(words.trivial, words.no_better, advice, words, gain)


def _against_linear(words: Words, gain: Gain) -> list[Finding]:
    advice = "take the simpler model: MLP([D, C]), one layer"
    return _against("the linear model", "linear-is-as-good", advice, words, gain)


def _against(what: str, name: str, advice: str, words: Words, gain: Gain) -> list[Finding]:
    if gain.exceeds(SURE):
        return []
    evidence = (
        f"the {words.loss_title} is {gain.mean:+.4f} below that of {what} (standard error "
        f"{gain.error:.4f})"
    )
    return [Finding(name, evidence, advice)]


def _linear(run: GuideRun) -> Trial | None:
    return run.best([trial for trial in run.cv.trials if trial.settings["hidden"] == []])


def _summary(run: GuideRun, trial: Trial, temperature: float = 1.0) -> Facts:
    """Of single networks."""
    problem = run.problem
    once = replace(trial, runs={f: r for f, r in trial.runs.items() if f < problem.n_folds})
    return summary(problem, outputs_of(problem, once, temperature))


def _more_folds(run: GuideRun, best: Trial) -> list[Trial]:
    """The best settings, on as many folds as there is time for."""
    problem = run.problem
    judges = {fold for fold in problem.search_folds if fold in best.runs}
    chosen = [t for t in run.ranked() if t.networks and judges <= set(t.runs)][:MEMBERS]
    for repeat in range(len(problem.folds) // problem.n_folds):
        folds = [repeat * problem.n_folds + fold for fold in range(problem.n_folds)]
        for trial in chosen if repeat or len(judges) > 1 else [best]:
            missing = [fold for fold in folds if fold not in trial.runs]
            seconds = _seconds(trial) * math.ceil(len(missing) / run.cv.workers)
            what = f"folds {missing} of trial {trial.number}"
            if _in_time(run, what, 1.2 * seconds):
                run.cv.extend(trial, missing, run.budget.until(0.9))
    return chosen


def _in_time(run: GuideRun, what: str, seconds: float) -> bool:
    """Whether so much time is left: asked once, so that a later process goes the same way."""
    return bool(run.plan(f"step {LAST}: {what}", lambda: run.budget.left >= seconds))


def _ensemble(run: GuideRun, chosen: Sequence[Trial]) -> Facts:
    """The ensemble of the best settings' networks, by outputs for rows not trained on."""
    problem, task = run.problem, run.problem.task
    outputs, y, known = _outputs(run, chosen)
    shares = _shares(task, outputs, y)
    scores, held = _single_scores(run, chosen)
    together = alone = Temperature(1.0, 0.0, 0.0)
    if task.cools:
        judge = task.outputs, task.row_losses
        together = fit_temperature(scores, shares, held, *judge)
        alone = fit_temperature(scores[:1], [1.0], held, *judge)
    outputs, y, known = _outputs(run, chosen, together.value)
    honest = np.full((problem.n, task.n_outputs), np.nan)
    honest[known] = _by_parts(task, outputs, y)
    rows = np.full(problem.n, np.nan)
    rows[known] = problem.losses(honest[known], np.flatnonzero(known))
    members, weights = [], []
    for trial, share in zip(chosen, shares, strict=True):
        for net in trial.networks if share else ():
            members.append(_cooled(net, together))
            weights.append(share / len(trial.networks))
    if run.refitted:
        run.refitted = [_cooled(net, alone) for net in run.refitted]
        members += run.refitted
        parts = OF_FOLDS + len(run.refitted)
        weights = [weight * OF_FOLDS / parts for weight in weights]
        weights += [1 / parts] * len(run.refitted)
    run.ensemble = Ensemble(members, weights=weights)
    return {
        "members": [
            {"number": t.number, "share": share, "networks": len(t.networks)}
            for t, share in zip(chosen, shares, strict=True) if share
        ],
        "temperatures": {"ensemble": _facts(together), "network": _facts(alone)},
        "scores": {
            "ensemble": summary(problem, honest),
            "network": _summary(run, chosen[0], alone.value),
        },
        "rows_of_ensemble": rows,
    }  # fmt: skip


def _outputs(
    run: GuideRun, chosen: Sequence[Trial], temperature: float = 1.0
) -> tuple[list[Floats], Array, Array]:
    """Outputs of the rows that all have one for, their targets, which rows."""
    outputs = [outputs_of(run.problem, trial, temperature) for trial in chosen]
    known = np.isfinite(np.sum([o.sum(axis=1) for o in outputs], axis=0))
    return [output[known] for output in outputs], run.problem.labels[known], known


def _shares(task: Task, outputs: Sequence[Floats], y: Array) -> list[float]:
    counts = greedy_counts(outputs, y, task.row_losses)
    return [count / sum(counts) for count in counts]


def _cooled(net: MLP, temperature: Temperature) -> MLP:
    if temperature.value == 1.0:
        return net
    history, twin = net.history, net.copy()
    twin.history = history
    cool(twin, temperature.value)
    return twin


def _facts(found: Temperature) -> Facts:
    return {name: json_number(value) for name, value in vars(found).items()}


def _by_parts(task: Task, outputs: Sequence[Floats], y: Array) -> Floats:
    """The ensemble's outputs for each part of the rows, its shares chosen on the others."""
    result = np.empty_like(outputs[0])
    part = np.arange(len(y)) % PARTS
    shares = [1 / len(outputs)] * len(outputs)  # of a single row
    for own in range(PARTS):
        here, others = part == own, part != own
        if here.any() and others.any():
            shares = _shares(task, [output[others] for output in outputs], y[others])
        result[here] = sum(s * output[here] for s, output in zip(shares, outputs, strict=True))
    return result


def _single_scores(run: GuideRun, trials: Sequence[Trial]) -> tuple[list[Array], Array]:
    """Of each trial the scores of held-out rows by one network each, and their targets."""
    folds = [f for f in range(run.problem.n_folds) if all(f in t.runs for t in trials)]
    held = np.concatenate([run.problem.folds[f][1] for f in folds])
    scores = [np.concatenate([t.runs[f].scores for f in folds]) for t in trials]
    return scores, run.problem.labels[held]


def _refit(run: GuideRun, best: Trial) -> Facts:
    """The best settings on all rows, those held out among them, for the folds' median length."""
    problem = run.problem
    if not run.refits:
        return {"refit": False, "why": "the validation rows are not ours to train on"}
    if not _in_time(run, "the run on all rows", _seconds(best)):
        return {"refit": False, "why": "the time is over"}
    net, history = _of_all_rows(run, best, run.seed)
    usual = float(np.mean([r.history.history["loss"][r.epoch] for r in best.runs.values()]))
    if not _trained(history, usual):
        return {"refit": False, "why": "it did not train as the run before"}
    run.refitted = [net]
    loss = history.history["loss"][-1]
    return {"refit": True, "epochs": len(history.epoch), "rows": problem.n, "loss": loss}


def _trained(history: History, usual: float) -> bool:
    """Whether the run ended about where such runs do."""
    reached = history.history.get("loss", [math.inf])
    return history.stop_reason != "diverged" and reached[-1] <= 1.5 * usual + 0.05


def _more_refits(run: GuideRun, best: Trial, facts: Facts) -> int:
    """The same from other seeds, for the ensemble, while there is time; how many there are then."""
    seconds = _seconds(best) * run.problem.n / run.problem.n_train
    while run.refitted and len(run.refitted) < REFITS:
        if not _in_time(run, f"run {len(run.refitted)} on all rows", SLACK * seconds):
            break
        began = run.state.seconds
        seed = run.seed + len(run.problem.folds) + len(run.refitted)
        net, history = _of_all_rows(run, best, seed)
        if not _trained(history, facts["loss"]):
            break
        run.refitted.append(net)
        seconds = run.state.seconds - began
    return len(run.refitted)


def _of_all_rows(run: GuideRun, best: Trial, seed: int) -> tuple[MLP, History]:
    """A network of the best settings, trained on all rows.

    For as many steps as the folds' networks took, in the longer epochs of all rows; a schedule is
    followed to its end.
    """
    problem, settings = run.problem, best.settings
    epochs = best.epochs if settings.get("schedule") else best.epoch + 1
    net = build_network(settings, problem.width, problem.task, seed)
    with catch_warnings(action="ignore"):
        history = net.fit(
            problem.rows,
            problem.labels,
            epochs=epochs,
            optimizer=optim.get(settings["optimizer"], settings["lr"]),
            preprocess=problem.preprocess,
            progress=run.progress,
            n_threads=run.n_threads,
            class_weight=as_class_weight(problem.weights),
            **{name: settings[name] for name in FIT_SETTINGS if name in settings},
        )
    return net, history
