"""Steps 1 and 2 of the guide: checks of data and network before any real training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any
from warnings import catch_warnings

import numpy as np

from fanin import _core, _validate, initializers, optim
from fanin._json import json_number
from fanin._typing import Array, Ints
from fanin.callbacks.base import Callback, Logs
from fanin.diagnostics import data_report
from fanin.diagnostics.findings import Finding
from fanin.network import MLP
from fanin.random import Generator
from fanin.training import DivergenceWarning
from fanin.tuning.guide.budget import CHECKED
from fanin.tuning.guide.facts import Facts
from fanin.tuning.guide.problem import Problem
from fanin.tuning.guide.run import GuideRun
from fanin.tuning.guide.settings import build_network
from fanin.tuning.guide.tasks import Task
from fanin.tuning.lr_finder import DIVERGED, MOVED

LOOKED_AT = 2000  # rows
UNSCALED, FAINT = 10.0, 0.02  # root mean square of what enters the first layer
TOO_MUCH, TOO_LITTLE = 1.5, 0.5  # times the expected initial loss
OTHER_UNITS = 30.0  # times as large or small
REGS = (0.0, 1e-4, 1e-2)
NEAREST, SAME = 3, 1e-9  # rows; and the square of a distance that is none, of the mean one
SAMPLE, SAMPLE_BATCH, SAMPLE_STEPS = 512, 64, 1200
NARROW = 32  # hidden layers up to there may be 16 times too narrow, others 4 times
OTHER_RATES = (1e-2, 1e-3, 1e-4, 1e-1, 1e-5)


def check_initial_loss(run: GuideRun) -> Facts:
    """Step 1: the data, the initial loss against its expectation, and that L2 raises it."""
    net, problem, n_threads = run.start, run.problem, run.n_threads
    X, y, _, y_held = problem.first
    rows = Generator(net.seed).permutation(len(X))[:LOOKED_AT]
    X, y = X[rows], y[rows]
    net = net.copy()
    if problem.preprocess is not None:
        net.set_preprocess(problem.preprocess, problem.first[0])
    data = net.prepare(X, n_threads=n_threads)
    inputs = _core.gather_rows(
        data.X, None, data.mean, data.scale, net.dtype, _validate.threads(n_threads)
    ).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        result = net.evaluate(X, y, n_threads=n_threads)
        report = net.activation_report(X, y, n_threads=n_threads)
        with_reg = [(reg, json_number(net.loss(X, y, reg=reg))) for reg in REGS]
    expected = net.expected_initial_loss(y)
    facts = {
        "n_train": problem.n_train,
        "n_val": len(y_held),
        "n": problem.n,
        "folds": problem.n_folds,
        "width": problem.rows.shape[1],
        "n_classes": problem.task.n_outputs,
        "loss": net.loss_name,
        "chance": problem.chance,
        "dims": net.dims,
        "n_params": net.n_params,
        "initial_loss": json_number(result["loss"]),
        "expected_loss": expected,
        "with_reg": with_reg,
        "entering": float(np.sqrt(np.mean(inputs**2))),
        "spread": report.table(),
        "layers": report.rows(),
        "spread_verdict": report.verdict,
        "notes": list(problem.notes),
    }
    start = _start_findings(facts, report.verdict, report.reason)
    return facts | {"findings": [*_data_findings(problem, facts, X, y), *start]}


def _data_findings(problem: Problem, facts: Facts, X: Array, y: Array) -> Iterator[Finding]:
    size = facts["entering"]
    if size > UNSCALED or size < FAINT:
        yield Finding(
            "unscaled-inputs",
            f"what enters the first layer has a root mean square of {size:.3g}, from "
            f"{X.min():.3g} to {X.max():.3g} before preprocessing; about 1 is well",
            "scale the inputs: preprocess='auto' (the default of guide) or 'standardize'",
        )
    if not problem.split_off:
        yield from problem.task.uneven(problem.first[1], problem.first[3])
        yield from _other_units(problem)
    yield from problem.task.data_findings(problem.labels)
    for one in data_report(X, y if y.ndim == 1 else None).findings:
        if one.name in ("duplicate-rows", "outliers"):
            yield one


def _other_units(problem: Problem) -> Iterator[Finding]:
    """Validation columns whose spread or middle is far from that of the training rows."""
    X, _, X_held, _ = problem.first
    a, b = (rows[:LOOKED_AT].astype(np.float64) for rows in (X, X_held))
    size = [np.sqrt(np.mean(rows**2, axis=0)) for rows in (a, b)]
    if X.dtype == np.uint8:  # pixels share a scale
        size = [np.atleast_1d(np.sqrt(np.mean(one**2))) for one in size]
    known = (size[0] > 0) & (size[1] > 0)
    ratio = np.where(known, size[1] / np.where(known, size[0], 1.0), 1.0)
    apart = np.abs(np.log(ratio))
    worst = int(apart.argmax())
    if apart[worst] < math.log(OTHER_UNITS):
        return
    columns = np.flatnonzero(apart >= math.log(OTHER_UNITS))
    yield Finding(
        "other-units",
        f"column {worst} of the validation rows has a root mean square of {size[1][worst]:.3g}, "
        f"of the training rows {size[0][worst]:.3g}: {ratio[worst]:.3g} times; "
        f"{len(columns)} of {len(apart)} columns differ by {OTHER_UNITS:g} times or more",
        "give both in the same units",
        columns=columns,
    )


def _start_findings(facts: Facts, verdict: str, reason: str) -> Iterator[Finding]:
    loss, expected = float(facts["initial_loss"]), facts["expected_loss"]
    if expected is not None and not TOO_LITTLE * expected <= loss <= TOO_MUCH * expected:
        yield Finding(
            "initial-loss",
            f"the loss begins at {loss:.4g}, {loss / expected:.2g} times the {expected:.4f} of a "
            "network that knows nothing",
            "make the last layer's weights smaller (output_init='small_random'), look at the scale "
            "of the inputs"
            if loss > expected
            else "the network knows the labels already: is it trained, do the inputs hold them?",
        )
    if verdict != "healthy":
        yield Finding(
            "bad-initialisation",
            f"{verdict}: {reason}",
            "init='kaiming' for relu, 'xavier' for tanh; fewer layers; inputs with a spread of 1",
        )


class _UntilPerfect(Callback):
    """Stops when as much is learnt as can be."""

    def __init__(self, learnt: Callable[[MLP], float], enough: float) -> None:
        self.learnt, self.enough = learnt, enough
        self.curve: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        self.curve.append(self.learnt(self.network))
        self.network.stop_training = self.curve[-1] >= self.enough


def overfit_small_sample(run: GuideRun) -> Facts:
    """Step 2: overfit a small sample, and the changes that it took."""
    problem = run.problem
    X, y, _, _ = problem.first
    rows = Generator(run.seed).permutation(len(X))[: min(SAMPLE, len(X))]
    X, y = X[rows], y[rows]
    task, groups = problem.task, _groups(X)
    ceiling, lone = task.ceiling(groups, y), _lone_rows(run, X, y)
    whole = task.by_heart * ceiling
    enough = max(whole - lone, min(task.least_learnt, whole))
    attempts: list[Facts] = []
    for what, start, lr, changes in _attempts(run):
        attempts.append({"what": what, "changes": changes} | _attempt(run, start, X, y, lr, whole))
        best = max(attempts, key=lambda a: a["accuracy"])
        almost = best["accuracy"] >= enough and len(attempts) > 1
        late = not run.budget.within(CHECKED)
        if best["accuracy"] >= whole or almost or late:
            break
    reached = best["accuracy"] >= enough
    # Where the time ended the attempts, nothing is known of those that did not come.
    cut = late and not reached
    wrong = (
        ()
        if cut
        else _what_was_wrong(attempts, best, reached, ceiling, "lr" in run.given, task, groups, y)
    )
    return {
        "rows": len(X),
        "steps": SAMPLE_STEPS,
        "attempts": attempts,
        "ceiling": ceiling,
        "lone": lone,
        "reached": reached,
        "cut": cut,
        "chance": problem.chance,
        "findings": [] if cut else list(wrong),
        "settings": run.settings | best["changes"] if reached else run.settings,
    }


def _groups(X: Array) -> Ints:
    """A number for each row, the same for equal ones."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in X])


def _lone_rows(run: GuideRun, X: Array, y: Array) -> float:
    """What the nearest rows, of those that are not equal, say is noise.

    Only a jagged function learns such rows by heart, which takes far more than a few steps.
    """
    problem = run.problem
    net = build_network(run.settings, problem.width, problem.task, 0, hidden=[])
    net.set_preprocess(problem.preprocess, X)
    data = net.prepare(X, n_threads=run.n_threads)
    rows = _core.gather_rows(data.X, None, data.mean, data.scale, net.dtype, 1).astype(np.float64)
    squares = (rows**2).sum(axis=1)
    apart = squares[:, None] + squares - 2 * rows @ rows.T
    scale = float(apart.mean())
    apart[apart < SAME * scale] = np.inf  # itself, and its equals, which the ceiling is about
    near = np.argsort(apart, axis=1, kind="stable")[:, :NEAREST]
    known = np.isfinite(np.take_along_axis(apart, near, axis=1))
    return problem.task.lone(y, near, known)


def _attempts(run: GuideRun) -> Iterator[tuple[str, MLP, float, Facts]]:
    """What to try, in order: no change; other learning rates; another init; wider layers."""
    settings = run.settings

    def fresh(**changes: Any) -> MLP:
        plain = {"keep": 1.0, "drop_connect": 1.0}
        return build_network(
            settings, run.problem.width, run.problem.task, run.seed, **plain, **changes
        )

    own = fresh()
    own.set_parameters(run.start.get_parameters())
    usual = optim.get(settings["optimizer"]).lr
    first = float(run.given.get("lr", usual))
    yield "as it is", own, first, {}
    for lr in dict.fromkeys((usual, *OTHER_RATES)):
        if not math.isclose(lr, first):
            yield f"lr {lr:g}", own, lr, {"lr": lr}
    init = initializers.suited_to(own.activation[0] if own.activation else "identity")
    weights = {"init": init, "output_init": "small_random"}
    for lr in (usual, 10 * usual):
        yield f"init {init}, lr {lr:g}", fresh(**weights), lr, weights | {"lr": lr}
    hidden = list(settings["hidden"]) or [64]
    for factor in (4, 16) if max(hidden) <= NARROW else (4,):
        wide = weights | {"hidden": [factor * width for width in hidden]}
        yield f"{factor} times as wide", fresh(**wide), usual, wide | {"lr": usual}


def _attempt(run: GuideRun, start: MLP, X: Array, y: Array, lr: float, whole: float) -> Facts:
    """The result with learning rate `lr`."""
    net, problem, n_threads = start.copy(), run.problem, run.n_threads
    task, (_, _, X_held, y_held) = problem.task, problem.first

    def learnt(net: MLP) -> float:
        return task.learnt(task.outputs(net.scores(X, n_threads=n_threads)), y)

    watch = _UntilPerfect(learnt, whole)
    quiet = catch_warnings(action="ignore", category=DivergenceWarning)
    with quiet, np.errstate(over="ignore", invalid="ignore"):
        history = net.fit(
            X,
            y,
            epochs=-(-SAMPLE_STEPS // -(-len(X) // SAMPLE_BATCH)),
            batch_size=min(SAMPLE_BATCH, len(X)),
            optimizer=optim.get(run.settings["optimizer"], lr),
            preprocess=problem.preprocess,
            callbacks=[watch],
            progress=False,
            n_threads=n_threads,
        )
        last, accuracy = net.evaluate(X, y, n_threads=n_threads)["loss"], learnt(net)
        outputs = task.outputs(net.scores(X_held, n_threads=n_threads))
        validation = task.score(outputs, y_held) if np.isfinite(outputs).all() else math.nan
    first = math.nan if history.initial_loss is None else history.initial_loss
    if history.stop_reason == "diverged" or last > DIVERGED * first:
        outcome = "diverged"
    elif accuracy >= whole:
        outcome = "learnt by heart"
    else:
        outcome = "flat" if abs(last - first) < MOVED * first else "not all learnt"
    return {
        "lr": lr,
        "epochs": len(history.epoch),
        "initial_loss": json_number(first),
        "loss": json_number(last),
        "accuracy": accuracy,
        "val_accuracy": json_number(validation),
        "curve": watch.curve,
        "outcome": outcome,
    }


def _what_was_wrong(
    attempts: list[Facts],
    best: Facts,
    reached: bool,
    ceiling: float,
    rate_was_given: bool,
    task: Task,
    groups: Ints,
    y: Array,
) -> Iterator[Finding]:
    """Why the sample was not overfitted at once."""
    first = attempts[0]
    words, n = task.words, len(y)
    of_what = task.of_sample
    told = f"{first['outcome']} at lr {first['lr']:g} ({first['accuracy']:.1%}{of_what} in the end)"
    if not reached or ceiling < task.least_ceiling:
        twins = _contradictions(groups, y)
        another = f"another with a different {words.one}"
        because = f"; {twins} of its rows equal {another}" if twins else ""
        limit = f", so that {ceiling:.1%}{of_what} is all that can be right" if twins else ""
        yield Finding(
            "cannot-overfit",
            f"no attempt learnt all {n} rows by heart; the best came to "
            f"{best['accuracy']:.1%}{of_what} ({best['what']}){because}{limit}",
            f"look at the {words.targets} and at rows that come twice; take a larger network, "
            "another init or more epochs",
        )
        return
    changed = best["changes"]
    if "hidden" in changed:
        yield Finding(
            "network-too-small",
            f"{told}; with hidden layers of {changed['hidden']} all {n} rows are learnt",
            "go on with the wider network, as this guide does",
        )
    elif "init" in changed:
        tried = ", ".join(f"{a['lr']:g}" for a in attempts if "init" not in a["changes"])
        yield Finding(
            "bad-initialisation",
            f"with the given initial weights no rate of {tried} learnt {n} rows by heart "
            f"({told}); with init {changed['init']} lr {changed['lr']:g} did, in "
            f"{best['epochs']} epochs",
            f"init={changed['init']!r}, as this guide goes on",
        )
    elif "lr" in changed and rate_was_given:
        high = first["lr"] > changed["lr"]
        yield Finding(
            f"learning-rate-too-{'high' if high else 'low'}",
            f"{told}; lr {changed['lr']:g} learnt all {n} rows in {best['epochs']} epochs",
            f"{'lower' if high else 'raise'} the learning rate",
        )


def _contradictions(groups: Ints, y: Array) -> int:
    """Rows whose target differs from that of the first row that equals them."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    other = y != y[first[inverse]]
    return int(other.sum() if other.ndim == 1 else other.any(axis=1).sum())
