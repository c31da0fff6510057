"""A whole report: as one page, and as lines for a terminal."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from fanin._core import __version__
from fanin._json import to_json
from fanin.document.blocks import Block, Chapter, Image, Picture, Table
from fanin.document.html import fragment, page
from fanin.document.text import block_lines, plain, wrapped
from fanin.tuning.guide.facts import TITLES, Facts, best_score, final_scores, findings, words_of
from fanin.tuning.guide.report_blocks import blocks, measurements
from fanin.tuning.guide.settings import describe

QUIET = ("healthy",)  # findings without advice


def heading(step: Facts) -> str:
    number = f"Step {step['number']}. " if step["number"] <= 7 else ""
    round = f", round {step['round']}" if step["round"] else ""
    return f"{number}{TITLES[step['number']]}{round}"


def closing(report: Facts) -> list[str]:
    """The outcome, in sentences."""
    text, words = ["No network has been trained yet."], words_of(report["options"])
    told, title = words.told, words.score_title
    if (score := best_score(report["steps"])) is not None:
        best = f"{title[:1].upper() + title[1:]} **{told(score)}** on rows not trained on"
        if scores := final_scores(report["steps"]):
            own, one = scores["ensemble"], scores["network"]
            an = f"{'a' if title == 'macro-F1' else 'an'} {title}"
            best = (
                f"On rows not trained on, the ensemble has a {words.loss_title} of "
                f"**{own[words.loss]:.4f}** ± {own['error']:.4f} and {an} of "
                f"**{told(own[words.score])}**{_in_units(own)}, one network {one[words.loss]:.4f} "
                f"and {told(one[words.score])}"
            )
        text = [f"{best}.", f"The best settings: {describe(report['settings'])}."]
    if (test := report["test"]) is not None:
        both = report.get("ensemble_test")
        of_both = f"; of the ensemble **{told(both[words.score])}**" if both else ""
        text.append(
            f"Test {title} **{told(test[words.score])}** on {test['rows']} rows that nothing was "
            f"chosen by{of_both}."
        )
    why = f": {report['stopped']}" if report["stopped"] else ""
    text.append(f"{report['seconds']:.1f} s{why}.")
    return text


def _in_units(scores: Facts) -> str:
    """The usual error of values, in their own units."""
    return f" (RMSE {scores['rmse']:.6g})" if "rmse" in scores else ""


def rounds(steps: Sequence[Facts]) -> list[Block]:
    """A table with a line for each search, if there was one."""
    taken = {(step["number"], step["round"]): step for step in steps}
    rows = []
    for step in steps:
        if step["number"] not in (4, 5) or not step.get("best"):
            continue
        round = step["round"]
        name = f"round {round}" if round else "coarse"
        best, size = step["best"], f"{len(step['trials'])} × {step['epochs']}"
        words = words_of(step)
        loss = f"{float(best[words.loss]):.4f} ± {float(best['error']):.4f}"
        gain = verdict = ""
        if (found := taken.get((6, round))) is not None:
            verdict = ", ".join(finding.name for finding in findings(found))
        if (decided := taken.get((7, round))) is not None and decided["better"]:
            gain = f"{decided['gain']:+.4f} ± {float(decided['noise']):.4f}"
        rows.append((name, size, loss, words.told(best["score"]), gain, verdict))
    if not rows:
        return []
    titles = f"best {words.loss_title}", words.score_title
    header = ("", "trials × epochs", *titles, "gain", "verdict")
    return [Table("The searches, and what each brought.", header, rows)]


def terminal(step: Facts) -> str:
    """A step as lines."""
    lines = [f"{heading(step)} ({float(step['seconds']):.1f} s)"]
    for block in measurements(step):
        lines += block_lines(block)
    for finding in findings(step):
        mark = " " if finding.name in QUIET else "!"
        lines += wrapped(f"{finding.name}: {finding.evidence}", f"{mark} ")
        lines += wrapped(finding.action, "  -> ")
    return "\n".join(lines)


def summary(report: Facts) -> str:
    """The end of `print(report)`."""
    lines = [line for block in rounds(report["steps"]) for line in block_lines(block)]
    return "\n".join([*lines, *(plain(text) for text in closing(report))])


def overview(report: Facts) -> str:
    """What a notebook shows of a report: the outcome, the searches, the steps."""
    rows = []
    for step in report["steps"]:
        names = ", ".join(f.name for f in findings(step) if f.name not in QUIET)
        rows.append((heading(step), names, f"{float(step['seconds']):.1f} s"))
    shown = [*closing(report), *rounds(report["steps"])]
    if rows:
        shown.append(Table("The steps and what they found", ("step", "findings", "time"), rows))
    return fragment("Guide", shown)


def html(report: Facts) -> str:
    """The page, with the report's numbers in it."""
    steps = report["steps"]
    found = [f for step in steps for f in findings(step) if f.name not in QUIET]
    told = [f"**{f.name}**: {f.evidence}." for f in found] or ["Nothing was found amiss."]
    chapters = {"overview": Chapter("The way in short", [*rounds(steps), *told])}
    for step in steps:
        chapter = Chapter(heading(step), list(blocks(step)))
        chapters[f"step-{step['number']}-{step['round']}"] = chapter
    end = (
        f"Made by fanin {__version__} with seed {report['options'].get('seed', 0)}. The numbers of "
        "this page are in it as JSON: `fanin.tuning.Report.load` reads them, and "
        "`guide(start_from=...)` begins from them."
    )
    title = "The seven steps, and what they found"
    text = page(title, closing(report), chapters, _images(chapters), end)
    data = to_json(report, in_html=True).decode()
    script = f'<script type="application/json" id="fanin-report">{data}</script>\n'
    return text.replace("</body>", f"{script}</body>", 1)


def _images(chapters: Mapping[str, Chapter]) -> dict[str, Image]:
    """All pictures; none without matplotlib."""
    images = {}
    found = [b for chapter in chapters.values() for b in chapter.blocks if isinstance(b, Picture)]
    with tempfile.TemporaryDirectory() as folder, suppress(ImportError):
        for one in found:
            images[one.file] = one.drawn(Path(folder))
    return images
