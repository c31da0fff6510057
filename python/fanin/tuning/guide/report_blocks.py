"""A guide's steps as paragraphs, tables and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fanin import plots
from fanin.callbacks.history import History
from fanin.document.blocks import Block, Remark, Table
from fanin.plots.style import LINES, panels, picture, tidy, tiles
from fanin.tuning.guide.facts import Facts, findings, words_of
from fanin.tuning.guide.settings import text
from fanin.tuning.guide.tasks import Words
from fanin.tuning.guide.tasks.task import percent
from fanin.tuning.lr_finder import RateProbe
from fanin.tuning.search.result import SearchResult, counts
from fanin.tuning.search.trial import Trial
from fanin.tuning.space import Space, space_from_dict

TOP = 5  # trials that are shown
NARROW = 30.0  # times, up to which a logarithmic axis has ticks of its own


_LESSONS = """
Before any training, without regularisation: small weights give all classes about the same score,
and the loss is that of guessing, log C. Another value speaks of the last layer, the inputs or the
loss function.

Overfitting is no worry yet: first the network must be able to learn a small sample by heart. A loss
that does not go down speaks of a rate too low or bad initial weights; one that explodes, of a rate
too high or bad initial weights.

With all data and a little weight decay, which rate makes the loss go down within some 100 steps?
1e-1, 1e-2, 1e-3 and 1e-4 are the rates to try.

A few rates and weight decays round the last step's, a few models, 1 to 5 epochs each: only to see
which region is worth more time.

The best of the coarse search and what lies between them, for 10 to 20 epochs, without decay of the
rate.

Accuracies that still rise ask for more training; a training accuracy that runs away from the
validation one for regularisation or more data; no gap at all for a larger network or more training.

What the curves ask for is tried in the next round, until a round gains no more than the validation
rows can tell.
"""
LESSONS = {number: " ".join(one.split()) for number, one in enumerate(_LESSONS.split("\n\n"), 1)}


def blocks(step: Facts) -> Iterator[Block]:
    """All that is said and shown of a step; why it is taken, the first time."""
    if step["round"] <= 1 and step["number"] in LESSONS:
        yield Remark(LESSONS[step["number"]])
    yield from measurements(step)
    for finding in findings(step):
        action = finding.action[:1].upper() + finding.action[1:]
        end = "" if action.endswith((".", "?")) else "."
        yield f"**{finding.name}**: {finding.evidence}. *{action}{end}*"


def measurements(step: Facts) -> Iterator[Block]:
    """What was measured, without its lesson and findings."""
    return _STEPS[step["number"]](step)


def _look(f: Facts) -> Iterator[Block]:
    folds = f" in each of {f['folds']} folds" if f["folds"] > 1 else ""
    yield (
        f"{f['n_train']} rows to train on, {f['n_val']} to validate on{folds}; {f['width']} "
        f"features, {_targets(f)}. Network {'-'.join(map(str, f['dims']))}, {f['n_params']} "
        "parameters."
    )
    yield from f["notes"]
    measured = [("measured", f"{reg:g}", _loss(loss)) for reg, loss in f["with_reg"]]
    yield Table(
        "The loss before training must be that of guessing, and rise with L2: neither holds "
        "where the last layer or the loss is wrong.",
        ("", "L2", "loss"),
        [
            (
                f"expected{_EXPECTED.get(f.get('loss', 'softmax'), '')}",
                "0",
                _loss(f["expected_loss"]),
            ),
            *measured,
        ],
    )
    yield (
        f"What enters the first layer has a root mean square of {f['entering']:.3g} (1 is well). "
        f"The spread from layer to layer is {f['spread'].splitlines()[-1]}."
    )
    header, *rows = f["layers"]
    yield Table(
        "Means and standard deviations of what leaves each layer and of the gradients, and the "
        "shares of units that are saturated, zero or dead.",
        header,
        rows,
    )


_EXPECTED = {"softmax": ", log C for softmax", "logistic": ", log 2 for logistic"}


def _targets(f: Facts) -> str:
    """What there is to learn, and what is trivial."""
    task, n = f.get("task", "classification"), f["n_classes"]
    if task == "regression":
        which = "a value" if n == 1 else f"{n} outputs of values"
        return f"{which} with the loss {f['loss']}, in deviations of the target from its mean"
    if task == "multilabel":
        return f"{n} labels that a row has or has not"
    return f"{n} classes, the commonest of which is {percent(f['chance'])} of the validation rows"


def _overfit(f: Facts) -> Iterator[Block]:
    words = words_of(f)
    learnt, noisy = LEARNT[f.get("task", "classification")]
    works = "so that the network, the rate and the initial weights work"
    missed = "for which the time did not suffice" if f["cut"] else "which no attempt did"
    if f["ceiling"] < 1:
        yield (
            f"Rows that equal others with another {words.one} leave {percent(f['ceiling'])} that "
            "can be right at all."
        )
    if f["lone"]:
        yield f"{percent(f['lone'])} {noisy}: to miss them is no failure."
    yield (
        f"Without regularisation, {f['rows']} rows are to be learnt by heart in at most "
        f"{f['steps']} steps, {works if f['reached'] else missed}."
    )
    rows = []
    for a in f["attempts"]:
        losses = f"{_loss(a['initial_loss'])} → {_loss(a['loss'])}"
        shares = percent(a["accuracy"]), _told(words, a["val_accuracy"])
        rows.append((a["what"], f"{a['lr']:g}", a["outcome"], losses, str(a["epochs"]), *shares))
    chance = f["chance"]
    guess = "" if chance is None else f", where {words.guess} {words.told(chance)}"
    yield Table(
        "Attempts on the sample. The last column is how the memorised rows do on the validation "
        f"rows{guess}.",
        ("attempt", "lr", "outcome", "loss", "epochs", learnt, "validation"),
        rows,
    )
    yield picture(
        f"step-{f['number']}.png",
        f"{learnt.capitalize()} on the small sample against epochs, a line for each attempt.",
        f"{learnt.capitalize()} on the sample, epoch by epoch.",
        lambda: _draw_attempts(f["attempts"], learnt),
    )


LEARNT = {  # what is learnt of a sample, and what noise there is
    "classification": ("accuracy", "lie among rows of other labels"),
    "regression": ("variance explained", "of the variance is among the nearest rows"),
    "multilabel": ("whole rows right", "lie among rows of other labels"),
}


def _draw_attempts(attempts: list[dict[str, Any]], what: str) -> Any:
    panel = panels(None, 1, 1, 3.4)[0, 0]
    for attempt, (colour, style) in zip(attempts, LINES, strict=False):
        epochs = np.arange(1, len(attempt["curve"]) + 1)
        marker = "o" if len(epochs) < 30 else None
        panel.plot(
            epochs, attempt["curve"], color=colour, linestyle=style, linewidth=1.8, marker=marker,
            markersize=3.5, label=f"{attempt['what']} (lr {attempt['lr']:g})",
        )  # fmt: skip
    panel.set(xlabel="epoch", ylabel=f"{what} on the sample", ylim=(0, 1.04))
    tidy(panel)
    return panel


def _probe(f: Facts) -> Iterator[Block]:
    probe = RateProbe.from_dict(f["probe"])
    yield (
        f"All data, L2 of {f['reg']:g}, {probe.iterations} steps at each rate from the same "
        "initial weights."
    )
    rows, judged = [], any(t.initial_accuracy is not None for t in probe.trials)
    for t in probe.trials:
        losses = f"{t.initial_loss:.4f} → {_loss(t.final_loss)}"
        verdict = t.verdict + (f" by {t.drop:.1%}" if t.verdict == "goes down" else "")
        share = [_percent(t.final_accuracy)] if judged else []
        rows.append((f"{t.rate:g}", losses, *share, verdict))
    caption = "What each rate does to the loss over the same rows (2000 at most)."
    yield Table(caption, ("lr", "loss", *(["accuracy"] if judged else []), ""), rows)
    if probe.best is not None:
        yield f"**{f['suggestion']:g}**: {probe.reason}."
    yield picture(
        f"step-{f['number']}.png",
        "Loss of each step at several learning rates.",
        "The loss of each minibatch (faint) and its moving average.",
        lambda: plots.rates(probe),
    )


def _search(f: Facts) -> Iterator[Block]:
    result, words = result_of(f), words_of(f)
    fixed = "".join(f", {name} {value}" for name, value in f["fixed"].items())
    yield from f.get("notes", ())
    folds = f" in each of {f['folds']} folds" if f["folds"] > 1 else ""
    yield (
        f"{len(result)} trials of {f['epochs']} epochs at most on {f['rows']} rows{folds}: "
        f"{_ranges(result.space)}{fixed}. Each network is that of the epoch with the least "
        f"{'log loss' if words.loss == 'log_loss' else 'loss'} of held-out rows."
        + (" The time was over before the others." if f["cut_short"] else "")
    )
    if result.best is None:
        return
    shown = {trial["number"]: trial for trial in f["trials"]}
    names = ["hidden", *(name for name in result.space if name != "hidden")]
    rows = []
    for t in result.top(TOP):
        facts = shown[t.number]
        values = (text(facts["settings"][name]) for name in names)
        loss = f"{t.score:.4f} ± {float(facts['error']):.4f}"
        rows.append(
            (str(t.number), loss, words.told(facts["score"]), str((t.epoch or 0) + 1), *values)
        )
    lost = counts(result, ("diverged", "failed"))
    caption = f"The best trials, by the {words.loss_title} of held-out rows"
    caption += f"; {lost}." if lost else "."
    yield Table(caption, ("trial", words.loss_title, words.score_title, "epoch", *names), rows)
    yield picture(
        f"step-{f['number']}-{f['round']}.png",
        f"{words.loss_title.capitalize()} of held-out rows of each trial against each parameter.",
        f"Each trial's {words.loss_title} against each of its parameters.",
        lambda: _draw_trials(result),
    )


def _ranges(space: Space) -> str:
    return ", ".join(f"`{name}` {parameter}" for name, parameter in space.items())


def result_of(facts: Facts) -> SearchResult:
    """The search again, without its networks and curves."""
    space, key = space_from_dict(facts["space"]), words_of(facts).loss
    trials = [
        Trial(
            t["number"],
            t["params"],
            "diverged" if t["status"] == "diverged" or t[key] is None else "done",
            math.nan if t[key] is None else float(t[key]),
            t["epoch"],
            larger_is_better=False,
        )
        for t in facts["trials"]
    ]
    return SearchResult(space, trials, "val_loss", larger_is_better=False)


def _draw_trials(result: SearchResult) -> Any:
    names = list(result.space)
    axes = tiles(None, len(names), min(len(names), 2), 2.8, 0.2)
    plots.search(result, ax=list(axes))
    for panel in axes:
        low, high = panel.get_xlim()
        if panel.get_xscale() == "log" and high < NARROW * low:  # else no tick could be read
            from matplotlib.ticker import LogLocator, NullLocator

            panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.xaxis.set_major_formatter("{x:g}")
    return axes


def _judge(f: Facts) -> Iterator[Block]:
    run = History.from_dict(f["history"])
    curves = {name: values[-1] for name, values in run.history.items()}
    best, words = f["overall"], words_of(f)
    shares = ""
    if "accuracy" in curves:
        shares = f", accuracy {percent(curves['accuracy'])} and {percent(curves['val_accuracy'])}"
    yield (
        f"The best settings so far (trial {best['number']}), the mean of its folds: "
        f"{len(run.epoch)} epochs, at the end loss {curves['loss']:.4f} in training and "
        f"{curves['val_loss']:.4f} in validation{shares}; the best epoch was {best['epoch'] + 1} "
        f"with a {words.loss_title} of {float(best[words.loss]):.4f}."
    )
    yield picture(
        f"step-6-{f['round']}.png",
        f"Loss{' and accuracy' if shares else ''} of the best run, epoch by epoch, in training and "
        "validation.",
        f"The best run after round {f['round']}.",
        lambda: plots.history(run),
    )


def _decide(f: Facts) -> Iterator[Block]:
    best, words = f["overall"], words_of(f)
    loss = f"{float(best[words.loss]):.4f} ± {float(best['error']):.4f}"
    came = f"The best {words.loss_title} is {loss}"
    if f["better"]:
        yield (
            f"{came}: round {f['round']} gained {f['gain']:.4f}; the standard error of that "
            f"difference, over the same rows, is {float(f['noise']):.4f}."
        )
    else:
        yield f"{came}, of an earlier search: round {f['round']} found nothing better."
    if f["end"]:
        yield f"The guide ends here: {f['end']}."
        return
    yield from f["reasons"]
    yield f"Next: {_ranges(space_from_dict(f['next_space']))}, {f['epochs']} epochs at most."


def _outcome(f: Facts) -> Iterator[Block]:
    words = words_of(f)
    if f["refit"]:
        yield (
            f"The best settings once more, {f['epochs']} epochs on all {f['rows']} rows, those "
            "held out for validation among them: that is the network to use, `report.network`."
        )
    else:
        yield f"The network of a fold is the one to use ({f['why']})."
    if not f["members"]:
        return
    members = ", ".join(
        f"{m['networks']} of trial {m['number']} ({m['share']:.0%})" for m in f["members"]
    )
    refits = f.get("refits", 0)
    of_all = "that" if refits == 1 else f"{refits} networks"
    beside = f", and beside them {of_all} of all rows" if refits else ""
    yield f"The ensemble, `report.ensemble`, has the folds' networks: {members}{beside}."
    for what, found in f["temperatures"].items():
        if found["value"] != 1.0:
            yield (
                f"The scores of the {what} were divided by a temperature of {found['value']:.2f}, "
                f"which lowers the {words.loss_title} of held-out rows by {found['gain']:.4f} "
                f"(standard error {float(found['error']):.4f})."
            )
    rows, every = [], f["scores"].values()
    metrics = [one for one in words.metrics if any(one[0] in scores for scores in every)]
    for what, scores in f["scores"].items():
        loss = f"{float(scores[words.loss]):.4f} ± {float(scores['error']):.4f}"
        others = ("—" if scores.get(k) is None else told(scores[k]) for k, _, told in metrics)
        rows.append((NAMES.get(what, words.trivial), loss, *others))
    yield Table(
        "What each does for rows that it was not trained on.",
        ("", words.loss_title, *(title for _, title, _ in metrics)),
        rows,
    )


NAMES = {
    "ensemble": "ensemble",
    "network": "one network",
    "linear": "without hidden layers",
}  # else what is trivial

_STEPS: dict[int, Callable[[Facts], Iterator[Block]]] = dict(
    enumerate((_look, _overfit, _probe, _search, _search, _judge, _decide, _outcome), 1)
)


def _loss(value: Any) -> str:
    if value is None:
        return "—"
    return f"{float(value):.4f}" if abs(float(value)) < 1000 else f"{float(value):.3g}"


def _told(words: Words, score: Any) -> str:
    return "—" if score is None else words.told(float(score))


def _percent(share: float | None) -> str:
    return "—" if share is None or math.isnan(share) else percent(share)
