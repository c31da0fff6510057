"""A whole report: as one page, and as lines for a terminal."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from fanin._core import __version__
from fanin.document.blocks import Block, Chapter, Picture, Table
from fanin.document.html import page
from fanin.document.text import block_lines, plain, wrapped
from fanin.tuning.guide import settings as rules
from fanin.tuning.guide.report import Report, Step
from fanin.tuning.guide.report_blocks import blocks, of_step, percent

QUIET = ("healthy",)  # findings that ask for nothing


def heading(step: Step) -> str:
    number = f"Step {step.number}. " if step.number <= 7 else ""
    return f"{number}{step.title}" + (f", round {step.round}" if step.round else "")


def closing(report: Report) -> list[str]:
    """What came of it, in sentences."""
    text = []
    if report.score is not None:
        text.append(f"Best validation accuracy **{percent(report.score)}** with "
                    f"{rules.text(report.settings)}.")  # fmt: skip
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
    for block in of_step(step):
        lines += block_lines(block)
    for finding in step.findings:
        mark = " " if finding.name in QUIET else "!"
        lines += wrapped(f"{finding.name}: {finding.evidence}", f"{mark} ")
        lines += wrapped(finding.action, "  -> ")
    return "\n".join(lines)


def summary(report: Report) -> str:
    """The end of `print(report)`."""
    table = rounds(report)
    lines = [] if table is None else block_lines(table)
    return "\n".join([*lines, *(plain(text) for text in closing(report))])


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
