"""A guide's steps as paragraphs, tables and pictures: for the page and for the terminal."""

from __future__ import annotations

import math
import re
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fanin._lecture.page import _aligned, page
from fanin._lecture.story import (
    Block,
    Chapter,
    Heading,
    Lines,
    Picture,
    Remark,
    Table,
    picture,
)
from fanin._version import __version__
from fanin.history import History
from fanin.tuning import _settings
from fanin.tuning._guide_budget import stretch
from fanin.tuning._report import Report, Step
from fanin.tuning._result import SearchResult
from fanin.tuning._trials import Trial
from fanin.tuning.lr_finder import RateProbe

Facts = Mapping[str, Any]

WIDTH = 96  # of lines on the terminal
TOP = 5  # trials that are shown
QUIET = ("healthy",)  # findings that ask for nothing


def percent(share: float) -> str:
    return f"{100 * float(share):.2f} %"


LESSONS = {
    1: (
        "Before any training, without regularisation: small weights give all classes about the "
        "same score, and the loss is that of guessing, log C. Another value speaks of the last "
        "layer, the inputs or the loss function."
    ),
    2: (
        "Overfitting is no worry yet: first the network must be able to learn a small sample by "
        "heart. A loss that does not go down speaks of a rate too low or bad initial weights; one "
        "that explodes, of a rate too high or bad initial weights."
    ),
    3: (
        "With all data and a little weight decay, which rate makes the loss go down within some "
        "100 steps? 1e-1, 1e-2, 1e-3 and 1e-4 are the rates to try."
    ),
    4: (
        "A few rates and weight decays round the last step's, a few models, 1 to 5 epochs each: "
        "only to see which region is worth more time."
    ),
    5: (
        "The best of the coarse search and what lies between them, for 10 to 20 epochs, without "
        "decay of the rate."
    ),
    6: (
        "Accuracies that still rise ask for more training; a training accuracy that runs away from "
        "the validation one for regularisation or more data; no gap at all for a larger network or "
        "more training."
    ),
    7: (
        "What the curves ask for is tried in the next round, until a round gains no more than the "
        "validation rows can tell."
    ),
}


def blocks(step: Step) -> list[Block]:
    """All that is said and shown of a step; why it is taken, the first time."""
    lesson = [Remark(LESSONS[step.number])] if step.round <= 1 and step.number in LESSONS else []
    return [*lesson, *_STEPS[step.number](step), *_findings(step)]


def _findings(step: Step) -> Iterator[Block]:
    for finding in step.findings:
        yield f"**{finding.name}**: {finding.evidence}. *{_sentence(finding.action)}*"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


# Steps 1 to 3


def _look(step: Step) -> Iterator[Block]:
    f = step.facts
    yield (
        f"{f['n_train']} rows to train on, {f['n_val']} to validate on; {f['width']} features, "
        f"{f['n_classes']} classes, the commonest of which is {percent(f['chance'])} of the "
        f"validation rows. Network {'-'.join(map(str, f['dims']))}, {f['n_params']} parameters."
    )
    yield from f["notes"]
    rows = [("expected, log C for softmax", "0", _loss(f["expected_loss"]))]
    rows += [("measured", f"{reg:g}", _loss(loss)) for reg, loss in f["with_reg"]]
    yield Table(
        "The loss before training must be that of guessing, and rise with L2: both do not hold "
        "where the last layer or the loss is wrong.",
        ("", "L2", "loss"),
        rows,
    )
    yield (
        f"What enters the first layer has a root mean square of {f['entering']:.3g} (1 is well); "
        f"the spread from layer to layer is {f['spread_verdict']}:"
    )
    yield Lines(f["spread"])


def _overfit(step: Step) -> Iterator[Block]:
    f = step.facts
    what = (
        "so that the network, the rate and the initial weights work"
        if f["reached"]
        else "which no attempt did"
    )
    yield (
        f"Without regularisation, {f['rows']} rows are to be learnt by heart in at most "
        f"{f['steps']} steps, {what}."
    )
    yield Table(
        "Attempts on the sample. The last column is how the memorised rows do on the validation "
        f"rows, where guessing is right in {percent(f['chance'])}.",
        ("attempt", "lr", "outcome", "loss", "epochs", "accuracy", "validation"),
        [
            (
                a["what"],
                f"{a['lr']:g}",
                a["outcome"],
                f"{_loss(a['initial_loss'])} → {_loss(a['loss'])}",
                str(a["epochs"]),
                percent(a["accuracy"]),
                percent(a["val_accuracy"]),
            )
            for a in f["attempts"]
        ],
    )
    yield picture(
        f"step-{step.number}.png",
        "Accuracy on the small sample against epochs, a line for each attempt.",
        "Accuracy on the sample, epoch by epoch.",
        lambda: _draw_attempts(f["attempts"]),
    )


def _draw_attempts(attempts: list[dict[str, Any]]) -> Any:
    from fanin.plots._style import LINES, panels, tidy

    panel = panels(None, 1, 1, 3.4)[0, 0]
    for attempt, (colour, style) in zip(attempts, LINES, strict=False):
        epochs = np.arange(1, len(attempt["curve"]) + 1)
        marker = "o" if len(epochs) < 30 else None
        panel.plot(
            epochs, attempt["curve"], color=colour, linestyle=style, linewidth=1.8, marker=marker,
            markersize=3.5, label=f"{attempt['what']} (lr {attempt['lr']:g})",
        )  # fmt: skip
    panel.set(xlabel="epoch", ylabel="accuracy on the sample", ylim=(0, 1.04))
    tidy(panel)
    return panel


def _probe(step: Step) -> Iterator[Block]:
    f = step.facts
    probe = RateProbe.from_dict(f["probe"])
    yield (
        f"All data, L2 of {f['reg']:g}, {probe.iterations} steps at each rate from the same "
        "initial weights."
    )
    yield Table(
        "What each rate does to the loss over the same rows (2000 at most).",
        ("lr", "loss", "accuracy", ""),
        [
            (
                f"{t.rate:g}",
                f"{t.initial_loss:.4f} → {_loss(t.final_loss)}",
                "—" if t.final_accuracy is None else _percent(t.final_accuracy),
                t.verdict + (f" by {t.drop:.1%}" if t.verdict == "goes down" else ""),
            )
            for t in probe.trials
        ],
    )
    if probe.best is not None:
        yield f"**{f['suggestion']:g}**: {probe.reason}."
    yield picture(
        f"step-{step.number}.png",
        "Loss of each step at several learning rates.",
        "The loss of each minibatch (faint) and its moving average.",
        lambda: _plots().rates(probe),
    )


# Steps 4 to 8


def _search(step: Step) -> Iterator[Block]:
    f = step.facts
    result = result_of(f)
    ranges = ", ".join(f"`{name}` {parameter}" for name, parameter in result.space.items())
    fixed = "".join(f", {name} {value}" for name, value in f["fixed"].items())
    yield (
        f"{len(result)} trials of {f['epochs']} epochs on {f['rows']} rows: {ranges}{fixed}."
        + (" The time was over before the others." if f["cut_short"] else "")
        + _few_steps(f)
    )
    if result.best is None:
        return
    counts = ", ".join(
        f"{result.count(status)} {status}" for status in ("diverged", "failed")
        if result.count(status)
    )  # fmt: skip
    yield Table(
        "The best trials, by the validation accuracy of their best epoch"
        + (f"; {counts}." if counts else "."),
        ("trial", "validation", "epoch", *result.space),
        [
            (
                str(t.number),
                percent(t.score),
                str((t.epoch or 0) + 1),
                *(_value(t.params[name]) for name in result.space),
            )
            for t in result.top(TOP)
        ],
    )
    yield picture(
        f"step-{step.number}-{step.round}.png",
        "Validation accuracy of each trial against each parameter.",
        "Each trial's score against each of its parameters.",
        lambda: _draw_trials(result),
    )


def _few_steps(f: Facts) -> str:
    steps = -(-f["rows"] // f["settings"]["batch_size"])
    factor = stretch(steps)
    if factor < 1.5:
        return ""
    return (
        f" An epoch has only {steps} steps here, so that there are {factor:.1f} times as many "
        "epochs as usual."
    )


def result_of(facts: Facts) -> SearchResult:
    """The search again, without its networks and curves."""
    trials = [
        Trial(t["number"], t["params"], t["status"], float(t["score"]), t["epoch"])
        for t in facts["trials"]
    ]
    return SearchResult(
        _settings.space_from_dict(facts["space"]),
        trials,
        facts["monitor"],
        strategy=facts["strategy"],
    )


def _draw_trials(result: SearchResult) -> Any:
    from fanin.plots._style import BLUE, VERMILION, panels, tidy

    names = list(result.space)
    axes = panels(None, 1, len(names), 3.2, width=max(3.0 * len(names), 5.0))[0]
    good = [t for t in result if t.ended_well]
    bad = [t for t in result if not t.ended_well]
    for panel, name in zip(axes, names, strict=True):
        options = getattr(result.space[name], "options", None)
        labels = None
        if options is not None:  # a trial to begin from may have another value
            tried = sorted((t.params[name] for t in result), key=_value)
            labels = list(dict.fromkeys(_value(v) for v in (*options, *tried)))

        def at(trial: Trial, name: str = name, labels: Any = labels) -> Any:
            value = trial.params[name]
            return value if labels is None else labels.index(_value(value))

        floor = min(t.score for t in good)
        panel.plot([at(t) for t in good], [t.score for t in good], "o", color=BLUE, alpha=0.75)
        panel.plot([at(t) for t in bad], [floor] * len(bad), "x", color=VERMILION, label="diverged")
        if labels is not None:
            panel.set_xticks(range(len(labels)), labels)
            panel.set_xlim(-0.5, len(labels) - 0.5)
        elif getattr(result.space[name], "log", False):
            panel.set_xscale("log")
        panel.set_xlabel(name)
        tidy(panel, legend=bool(bad))
    axes[0].set_ylabel("validation accuracy")
    return axes


def _judge(step: Step) -> Iterator[Block]:
    run = History.from_dict(step.facts["history"])
    curves = {name: values[-1] for name, values in run.history.items()}
    epoch, best = run.best("val_accuracy")
    yield (
        f"The best run of round {step.round}: {len(run.epoch)} epochs, at the end loss "
        f"{curves['loss']:.4f} in training and {curves['val_loss']:.4f} in validation, accuracy "
        f"{percent(curves['accuracy'])} and {percent(curves['val_accuracy'])}; the best epoch was "
        f"{epoch + 1} with {percent(best)}."
    )
    yield picture(
        f"step-6-{step.round}.png",
        "Loss and accuracy of the best run, epoch by epoch, in training and validation.",
        f"The best run of round {step.round}.",
        lambda: _plots().history(run),
    )


def _decide(step: Step) -> Iterator[Block]:
    f = step.facts
    yield (
        f"Round {step.round} came to {percent(f['score'])}, {100 * f['gain']:+.2f} points beside "
        f"the best before; the noise of that difference is {100 * f['noise']:.2f} points."
    )
    if f["end"]:
        yield f"The guide ends here: {f['end']}. The best was round {f['best_round']}."
        return
    yield from f["reasons"]
    ranges = _settings.space_from_dict(f["next_space"])
    yield "Next: " + ", ".join(f"`{name}` {parameter}" for name, parameter in ranges.items()) + "."


def _again(step: Step) -> Iterator[Block]:
    f = step.facts
    if f["refit"]:
        yield (
            f"The best settings once more, {f['epochs']} epochs on all {f['rows']} rows, those "
            "held out for validation among them: that is the network to use."
        )
    else:
        yield f"The network of the best round is the one to use ({f['why']})."


_STEPS: dict[int, Callable[[Step], Iterator[Block]]] = {
    1: _look,
    2: _overfit,
    3: _probe,
    4: _search,
    5: _search,
    6: _judge,
    7: _decide,
    8: _again,
}


# Everything together


def heading(step: Step) -> str:
    number = f"Step {step.number}. " if step.number <= 7 else ""
    return f"{number}{step.title}" + (f", round {step.round}" if step.round else "")


def closing(report: Report) -> list[str]:
    """What came of it, in sentences."""
    text = []
    if report.score is not None:
        text.append(f"Best validation accuracy **{percent(report.score)}** with "
                    f"{_settings.text(report.settings)}.")  # fmt: skip
    else:
        text.append("No network has been trained to its end yet.")
    if report.test is not None:
        text.append(
            f"Test accuracy **{percent(report.test['accuracy'])}** on {report.test['rows']} rows "
            "that nothing was chosen by."
        )
    why = f": {report.stopped}" if report.stopped else ""
    text.append(f"{report.seconds:.1f} s{why}.")
    return text


def rounds(report: Report) -> Table | None:
    """A line for each search."""
    rows = []
    for step in report.steps:
        if step.number not in (4, 5) or not step.facts.get("best"):
            continue
        f = step.facts
        verdict = next(
            (s for s in report.steps if (s.number, s.round) == (6, step.round) and step.round), None
        )
        decided = next(
            (s for s in report.steps if (s.number, s.round) == (7, step.round) and step.round), None
        )
        gain = ""
        if decided is not None:
            gain = f"{100 * decided.facts['gain']:+.2f} ± {100 * decided.facts['noise']:.2f}"
        rows.append(
            (
                "coarse" if step.number == 4 else f"round {step.round}",
                f"{len(f['trials'])} × {f['epochs']}",
                percent(f["best"]["score"]),
                gain,
                ", ".join(x.name for x in verdict.findings) if verdict else "",
            )
        )
    if not rows:
        return None
    header = ("", "trials × epochs", "validation", "gain, points", "verdict")
    return Table("The searches, and what each brought.", header, rows)


def terminal(step: Step) -> str:
    """A step as lines."""
    lines = [f"{heading(step)} ({step.seconds:.1f} s)"]
    for block in _STEPS[step.number](step):
        lines += _lines(block)
    for finding in step.findings:
        mark = " " if finding.name in QUIET else "!"
        lines += _wrapped(f"{finding.name}: {finding.evidence}", f"{mark} ")
        lines += _wrapped(finding.action, "  -> ")
    return "\n".join(lines)


def summary(report: Report) -> str:
    """The end of `print(report)`."""
    table = rounds(report)
    lines = [] if table is None else _lines(table)
    return "\n".join([*lines, *(_plain(text) for text in closing(report))])


def _lines(block: Block) -> list[str]:
    if isinstance(block, Heading):
        return [block.text]
    if isinstance(block, Lines):
        return [f"    {line}" for line in block.text.splitlines()]
    if isinstance(block, Table):
        _, *rows = _aligned(block)
        return [f"  {row}" for row in rows]
    return _wrapped(_plain(block), "  ") if isinstance(block, str) else []


def _wrapped(text: str, first: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first))


def _plain(text: str) -> str:
    return re.sub(r"[`*]", "", text)


def html(report: Report, data: str) -> str:
    """The page, with the report's numbers in it."""
    chapters: dict[str, Chapter] = {}
    table = rounds(report)
    overview: list[Block] = [] if table is None else [table]
    found = [f for f in report.findings if f.name not in QUIET]
    overview += [f"**{f.name}**: {f.evidence}." for f in found] or ["Nothing was found amiss."]
    chapters["overview"] = Chapter("The way in short", overview)
    for step in report.steps:
        shown = blocks(step)
        chapters[f"step-{step.number}-{step.round}"] = Chapter(heading(step), shown)
    end = (
        f"Made by fanin {__version__} with seed {report.options.get('seed', 0)}. The numbers of "
        "this page are in it as JSON: `fanin.tuning.Report.load` reads them, and "
        "`guide(start_from=...)` begins from them."
    )
    text = page(
        "The seven steps, and what they found", closing(report), chapters, _images(chapters), end
    )
    script = f'<script type="application/json" id="fanin-report">{data}</script>\n'
    return text.replace("</body>", f"{script}</body>", 1)


def _images(chapters: Mapping[str, Chapter]) -> dict[str, bytes]:
    """All pictures; none without matplotlib."""
    images = {}
    found = [b for chapter in chapters.values() for b in chapter.blocks if isinstance(b, Picture)]
    with tempfile.TemporaryDirectory() as folder:
        for one in found:
            path = Path(folder) / one.file
            try:
                one.write(path)
            except ImportError:
                return {}
            images[one.file] = path.read_bytes()
    return images


def _plots() -> Any:
    from fanin import plots

    return plots


def _loss(value: Any) -> str:
    if value is None:
        return "—"
    number = float(value)
    return f"{number:.4f}" if abs(number) < 1000 else f"{number:.3g}"


def _percent(share: float) -> str:
    return "—" if math.isnan(share) else percent(share)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)
