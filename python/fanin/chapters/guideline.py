"""The lecture's guideline: seven steps, three pictures of loss curves, and a similar problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from fanin import optim, plots
from fanin.callbacks.history import History
from fanin.chapters.story import Data, curve, number, percent
from fanin.document.blocks import Block, Heading, Lines, Remark, Table
from fanin.plots.style import picture
from fanin.tuning import Report, SearchResult, guide, loguniform, loss_curve, lr_probe, search
from fanin.tuning.verdicts import Verdict

RATES = (1e-1, 1e-2, 1e-3, 1e-4)
ITERATIONS = 100
WIDTH = 32
ELSEWHERE = 12  # trials on the similar problem, and on the new one without it


def blocks(data: Data, seed: int) -> list[Block]:
    """The seven steps, each shown on the data."""
    return [
        Heading("The guideline: seven steps"),
        *_seven_steps(data, seed),
        Heading("Step 3: the learning rates 1e-1, 1e-2, 1e-3 and 1e-4"),
        *_rates(data, seed),
        Heading("Step 6: look at loss curves"),
        *_loss_curves(data, seed),
        Heading("Begin from a similar problem"),
        *_similar_problem(data, seed),
    ]


# The steps


def _seven_steps(data: Data, seed: int) -> list[Block]:
    part = data.for_choices()
    report = guide(
        part.X, part.y, part.X_test, part.y_test, network={"hidden": [WIDTH]},
        preprocess=data.preprocess, rounds=1, refit=False, seed=seed, progress=False,
    )  # fmt: skip
    rows = []
    for step in report.steps:
        if step.number in _MEASURED:
            found = ", ".join(finding.name for finding in step.findings) or "no problem"
            title = f"{step.number}. {step.title}"
            rows.append((title, _MEASURED[step.number](step.facts), found))
    return [
        f"""`fanin.tuning.guide` takes all seven on any data. Here it is on {data.name}, with one
        hidden layer of {WIDTH} units, {len(part.y)} rows to learn from and {len(part.y_test)} to
        judge by.""",
        Table("The seven steps, what each measured, and its findings",
              ("step", "measured", "finding"), rows),
        _end(report),
    ]  # fmt: skip


def _initial_loss(f: Mapping[str, Any]) -> str:
    (_, plain), *_, (reg, with_l2) = f["with_reg"]
    return (
        f"loss {plain:.4f} before training, where guessing gives {f['expected_loss']:.4f}; "
        f"{with_l2:.4f} with L2 of {reg:g}"
    )


def _small_sample(f: Mapping[str, Any]) -> str:
    last = f["attempts"][-1]
    return (
        f"{percent(last['accuracy'])} of {f['rows']} rows right at {last['lr']:g}, after "
        f"{last['epochs']} epochs"
    )


def _rate(f: Mapping[str, Any]) -> str:
    if f["suggestion"] is None:
        return "no rate makes the loss go down"
    return f"the loss goes down, best at {f['suggestion']:g}"


def _searched(f: Mapping[str, Any]) -> str:
    best = f["best"]
    text = f"{len(f['trials'])} trials of {f['epochs']} epochs at most"
    if not best:
        return text
    return f"{text}: log loss {float(best['log_loss']):.4f}, accuracy {percent(best['score'])}"


def _judged(f: Mapping[str, Any]) -> str:
    lists = f["history"]["history"]
    ends = [lists.get(name) for name in ("accuracy", "val_accuracy")]
    train, val = (percent(values[-1]) if values else "—" for values in ends)
    return f"accuracy {train} in training and {val} in validation at the end"


def _decided(f: Mapping[str, Any]) -> str:
    if not f["better"]:
        return "the finer search found nothing better"
    return f"log loss lower by {f['gain']:.4f} ± {float(f['noise']):.4f}"


_MEASURED = {
    1: _initial_loss, 2: _small_sample, 3: _rate, 4: _searched, 5: _searched, 6: _judged,
    7: _decided,
}  # fmt: skip


def _end(report: Report) -> str:
    if "network" not in report.scores:
        return f"It ended early: {report.stopped}."
    one = report.scores["network"]
    return f"""After one round the best network has {percent(one["accuracy"])} of the rows that were
        kept back right; more rounds of steps 5 to 7 go on while they
        gain more than the noise of those rows."""


def _rates(data: Data, seed: int) -> list[Block]:
    probe = lr_probe(
        data.net(64, seed=seed), data.X, data.y, rates=RATES, iterations=ITERATIONS,
        optimizer="sgd", batch_size=min(64, len(data.y)), preprocess=data.preprocess, reg=1e-4,
    )  # fmt: skip
    return [
        f"""With all of the training data and a little weight decay: which rate makes the loss go
        down within {ITERATIONS} iterations? Each run begins from the same weights.""",
        picture(
            "tuning-rates.png",
            f"Loss of {ITERATIONS} steps at the learning rates 1e-1, 1e-2, 1e-3 and 1e-4.",
            f"The loss of each minibatch of 64 rows of {data.name}, and its moving average, for "
            "SGD and a hidden layer of 64 units.",
            lambda: plots.rates(probe),
        ),
        Lines(str(probe)),
    ]


# Loss curves


@dataclass(frozen=True)
class Case:
    """A run whose curves show one thing, and the same run with the advice taken."""

    name: str  # of the verdict
    says: str
    data: Data
    hidden: int
    rule: Callable[[], optim.Optimizer]
    options: Mapping[str, Any]
    taken: str
    data_then: Data | None = None
    hidden_then: int | None = None
    options_then: Mapping[str, Any] = field(default_factory=dict)
    network_then: Mapping[str, Any] = field(default_factory=dict)

    def before(self, seed: int) -> History:
        net = self.data.net(self.hidden, seed=seed)
        return self.data.train(net, optimizer=self.rule(), **self.options)

    def after(self, seed: int) -> History:
        data, hidden = self.data_then or self.data, self.hidden_then or self.hidden
        net = data.net(hidden, seed=seed, **self.network_then)
        return data.train(net, optimizer=self.rule(), **{**self.options, **self.options_then})


def _cases(data: Data, seed: int) -> Iterator[Case]:
    part = data.for_choices()
    few = part.few_and_noisy(min(300, max(len(part.y) // 4, 20)), 0.2, seed)
    batch = {"batch_size": 32}
    yield Case(
        "needs-more-training",
        "Training and validation accuracy both still rise: the run ended too soon.",
        part, 64, partial(optim.SGD, 0.01), {"epochs": 12, **batch},
        "120 epochs in place of 12", options_then={"epochs": 120},
    )  # fmt: skip
    yield Case(
        "overfitting",
        f"The training accuracy goes up to the end, and the validation accuracy does not follow: "
        f"{len(few.y)} rows, a fifth of them with labels drawn at random, and 256 units that can "
        "memorise them. More regularisation, or more data.",
        few, 256, optim.Adam, {"epochs": 60, **batch},
        f"{len(part.y)} rows in place of {len(few.y)}, and L2 of 0.01", data_then=part,
        options_then={"reg": 0.01},
    )  # fmt: skip
    yield Case(
        "underfitting",
        "Both are level with hardly a gap between them: what the network can do, it has done. "
        "Longer training, or a bigger model.",
        part, 2, partial(optim.Adam, 0.03),
        {"epochs": 60, "schedule": "cosine", "reg": 0.02, **batch},
        "64 hidden units in place of 2", hidden_then=64,
    )  # fmt: skip


def _loss_curves(data: Data, seed: int) -> list[Block]:
    blocks: list[Block] = [
        """Three things that accuracies over the epochs may show. Each picture is a run as
        it was and the same with the advice taken; `fanin.tuning.loss_curve` gives the
        verdict."""
    ]
    rows = []
    for case in _cases(data, seed):
        before, after = case.before(seed), case.after(seed)
        verdict, then = loss_curve(before), loss_curve(after)
        blocks += [_curves(case, before, after), case.says, Lines(str(verdict))]
        ends = (percent(_last(run)) for run in (before, after))
        rows.append((_names(verdict), case.taken, *ends, _names(then)))
    table = Table(
        "What the advice brought: validation accuracy, the mean of the last three epochs",
        ("verdict", "advice taken", "before", "after", "verdict then"),
        rows,
    )
    return [*blocks, table]


def _curves(case: Case, before: History, after: History) -> Block:
    runs = {"as it was": before, "with the advice taken": after}
    name = case.name.replace("-", " ")
    return picture(
        f"tuning-{case.name}.png",
        f"Training and validation accuracy by epoch of a run: {name}; and with the advice taken.",
        f"{name.capitalize()}, and what comes of {case.taken}.",
        lambda: plots.learning_curves(runs),
    )


def _names(verdict: Verdict) -> str:
    return ", ".join(finding.name for finding in verdict.findings)


def _last(run: History) -> float:
    return float(np.mean(curve(run, "val_accuracy")[-3:]))


# A similar problem


def _similar_problem(data: Data, seed: int) -> list[Block]:
    known, new, what = _two_problems(data.for_choices())
    space = {"lr": loguniform(1e-5, 10), "reg": loguniform(1e-6, 1e-1)}

    def run(on: Data, n_trials: int, other: int = 0, **options: Any) -> SearchResult:
        return search(
            space, (on.X, on.y), n_trials, validation_data=(on.X_test, on.y_test), epochs=5,
            hidden=WIDTH, optimizer="sgd", batch_size=min(32, len(on.y)), seed=seed + other,
            preprocess=data.preprocess, progress=False, **options,
        )  # fmt: skip

    before = run(known, ELSEWHERE)
    scratch, begun = run(new, ELSEWHERE, 1), run(new, 1, start_from=[before])
    first = begun.trials[0]
    best_so_far = np.maximum.accumulate([t.score if t.ended_well else 0.0 for t in scratch.trials])
    there = np.flatnonzero(best_so_far >= first.score)
    needed = f"trial {there[0] + 1}" if there.size else f"none of its {ELSEWHERE} trials"
    rows = [
        ("from the similar problem", "1", number(first.params["lr"]), percent(first.score)),
        ("at random", "1", number(scratch.trials[0].params["lr"]), percent(best_so_far[0])),
        ("at random", str(ELSEWHERE), number(scratch.best.params["lr"] if scratch.best else np.nan),
         percent(best_so_far[-1])),
    ]  # fmt: skip
    return [
        Remark(
            "Begin from the hyperparameters of a model that solved a problem like yours: it saves "
            "much trial and error."
        ),
        f"""{what} A search of {ELSEWHERE} trials on the first found its best rate and L2;
        `search(start_from=[result])` tries them first on the second, as
        `guide(start_from="report.html")` begins from a report.""",
        Table(
            "Validation accuracy on the second problem",
            ("begun", "trials", "learning rate", "best accuracy"),
            rows,
        ),
        f"""The first trial with the borrowed settings has {percent(first.score)}; a search from
        nothing is as good with {needed}.""",
    ]


def _two_problems(data: Data) -> tuple[Data, Data, str]:
    """Two problems of one kind: the first and the last classes, or the rows halved if few."""
    half = data.n_classes // 2
    if half < 2:
        first, second = (_rows(data, *_every_other(data, i)) for i in (0, 1))
        return (
            first,
            second,
            f"Take every other row of {data.name} for one problem, the rest for another.",
        )
    masks = [(y < half, y >= half) for y in (data.y, data.y_test)]
    first, second = (_rows(data, masks[0][i], masks[1][i]) for i in (0, 1))
    names = data.class_names
    second = replace(
        second, y=second.y - half, y_test=second.y_test - half, class_names=names[half:]
    )
    what = f"The first {half} classes of {data.name} are one problem, the other "
    what += f"{len(names) - half} a similar one."
    return replace(first, class_names=names[:half]), second, what


def _every_other(data: Data, first: int) -> tuple[Any, Any]:
    return np.arange(first, len(data.y), 2), np.arange(first, len(data.y_test), 2)


def _rows(data: Data, train: Any, test: Any) -> Data:
    return replace(
        data, X=data.X[train], y=data.y[train], X_test=data.X_test[test], y_test=data.y_test[test]
    )
