"""The report of a guide: for programs, on the terminal, as a page; and the command."""

from __future__ import annotations

import html.parser
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from guide_cases import blobs

import fanin
from fanin.cli import main
from fanin.tuning import Report, guide


@pytest.fixture(scope="module")
def report() -> Report:
    return guide(
        *blobs(), network={"hidden": [16]}, rounds=2, test_data=blobs(90, seed=5), progress=False
    )


@pytest.fixture
def no_pictures(monkeypatch):
    """As without matplotlib, which draws longer than these guides take."""
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)


class Page(html.parser.HTMLParser):
    """Tags that are open, ids, and where things are loaded from."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.ids, self.links, self.alts = [], [], [], []
        self.sources, self.narrow = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.sources += [v for k, v in attributes if k == "src"]
        self.narrow += [v for k, v in attributes if k == "srcset"]  # the same for a phone
        self.links += [v for k, v in attributes if k == "href"]
        self.alts += [found["alt"]] if tag == "img" else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_beside_it(report, tmp_path):
    pytest.importorskip("matplotlib")
    report.save(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    images = [*page.sources, *page.narrow]
    assert all(image.startswith("data:image/png;base64,") for image in images)
    assert all(link[1:] in page.ids for link in page.links)
    steps = [f"step-{s.number}-{s.round}" for s in report.steps]
    assert page.ids == ["overview", *steps, "fanin-report"]
    searches = sum(s.number in (4, 5) for s in report.steps)
    rounds = sum(s.number == 6 for s in report.steps)
    assert len(page.sources) == 2 + searches + rounds
    assert 2 + rounds <= len(page.narrow) <= len(page.sources)
    assert all(page.alts)
    assert 'name="viewport" content="width=device-width' in text


@pytest.mark.usefixtures("no_pictures")
def test_every_number_of_the_steps_is_on_the_page(report, tmp_path):
    report.save(tmp_path / "report.html")
    text = re.sub(r"base64,[^\"]+", "", (tmp_path / "report.html").read_text(encoding="utf-8"))
    first = report.step(1).facts
    assert f"{first['initial_loss']:.4f}" in text
    assert f"{first['expected_loss']:.4f}" in text
    header, *layers = first["layers"]
    assert header[0] == "layer"
    assert len(layers) == len(first["dims"]) - 1
    assert all(f">{cell}<" in text for row in layers for cell in row)
    for trial in report.step(3).facts["probe"]["trials"]:
        assert f"{trial['initial_loss']:.4f} → {trial['final_loss']:.4f}" in text
    for step in report.steps:
        if step.number in (4, 5):
            assert f"{100 * step.facts['best']['score']:.2f} %" in text
            assert f"{step.facts['best']['log_loss']:.4f} ±" in text
        if step.number == 7 and step.facts["better"]:
            assert f"gained {step.facts['gain']:.4f}" in text
        for finding in step.findings:
            assert f"<strong>{finding.name}</strong>" in text
    assert f"Test accuracy <strong>{100 * report.test['accuracy']:.2f} %</strong>" in text


@pytest.mark.usefixtures("no_pictures")
def test_without_matplotlib_the_page_has_no_pictures(report, tmp_path):
    report.save(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert Page(text).sources == []
    assert "Find a learning rate" in text


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("suffix", [".html", ".json"])
def test_saved_and_read_again(report, tmp_path, suffix):
    path = tmp_path / f"report{suffix}"
    report.save(path)
    again = Report.load(path)
    assert again.to_dict() == report.to_dict()
    assert str(again) == str(report)
    assert again.network is None
    assert again.history.history == report.history.history


@pytest.mark.usefixtures("no_pictures")
def test_texts_cannot_break_the_page(report, tmp_path):
    evil = "</script><script>alert(1)</script><b>"
    data = report.to_dict() | {"stopped": evil}
    Report.from_dict(json.loads(json.dumps(data))).save(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert Page(text).open == []
    assert Report.load(tmp_path / "report.html").stopped == evil


def test_printed(report):
    text = str(report)
    lines = text.splitlines()
    assert lines[0].startswith("Step 1. Check the initial loss (")
    assert max(map(len, lines)) <= 200
    titles = [line for line in lines if line.startswith("Step ")]
    assert len(titles) == sum(s.number <= 7 for s in report.steps)
    assert "expected, log C for softmax" in text
    assert "lr loguniform(" in text
    assert not re.search(r"[`*]", text)
    assert f"Test accuracy {100 * report.test['accuracy']:.2f} % on 90 rows" in lines[-2]
    for step in report.steps:
        for finding in step.findings:
            assert f"{finding.name}: {finding.evidence}"[:60] in text


def test_the_searches_on_the_page_are_those_that_ran(report):
    from fanin.tuning.guide.report_blocks import result_of
    from fanin.tuning.search.edges import Edge

    for step in report.steps:
        if step.number in (4, 5):
            result = result_of(step.facts)
            assert result.best.params == step.facts["best"]["params"]
            said = [f.evidence for f in step.findings if f.name == "edge"]
            edges = map(Edge.from_dict, step.facts["edges"])
            assert said == [f"{edge.name}: {edge.evidence}" for edge in edges]


def test_a_step_can_be_asked_for(report):
    assert report.step(5).round == report.step(7).round
    assert report.step(5, 1).title == "Refine"
    with pytest.raises(ValueError, match="expected one that was taken, got 9"):
        report.step(9)


def test_bad_paths(report, tmp_path):
    with pytest.raises(ValueError, match=r"expected a suffix of \.html or \.json, got"):
        report.save(tmp_path / "report.pdf")
    (tmp_path / "page.html").write_text("<html></html>")
    with pytest.raises(ValueError, match=r"page\.html: expected a report of a guide"):
        Report.load(tmp_path / "page.html")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ValueError, match="expected a report of a guide"):
        Report.load(tmp_path / "list.json")


# the command


@pytest.fixture
def small(tmp_path, monkeypatch):
    X, y = blobs(300)
    X_test, y_test = blobs(60, seed=5)
    np.savez(tmp_path / "small.npz", X=X, y=y, X_test=X_test, y_test=y_test)
    monkeypatch.chdir(tmp_path)
    return "small.npz"


@pytest.mark.usefixtures("no_pictures")
def test_the_command_leaves_a_report_and_a_network(small, capsys):
    assert main(["guide", small, "--rounds", "1", "--hidden", "8", "--no-progress"]) == 0
    printed = capsys.readouterr().out
    assert "300 rows to learn from, 60 to test on at the end" in printed
    assert printed.count("\nStep ") == 7
    assert "Test accuracy" in printed
    out = Path("runs/small")
    files = {path.name for path in out.iterdir()}
    assert {"report.html", "network.fanin", "history.json", "config.json", "guide.json"} <= files
    assert "trials" not in files
    net = fanin.MLP.load(out / "network.fanin")
    accuracy = net.evaluate(*blobs(60, seed=5))["accuracy"]
    assert f"Test accuracy {100 * accuracy:.2f} %" in printed
    assert main(["predict", str(out), small]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 61
    # The same again goes on, and has nothing left to do.
    assert main(["guide", small, "--rounds", "1", "--hidden", "8", "--out", str(out)]) == 0
    assert f"Test accuracy {100 * accuracy:.2f} %" in capsys.readouterr().out


@pytest.mark.usefixtures("no_pictures")
def test_the_command_as_json_and_from_another_problem(small, capsys):
    assert main(["guide", small, "--until", "3", "--hidden", "8", "--json", "--out", "one"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [step["number"] for step in result["steps"]] == [1, 2, 3]
    assert result["files"] == ["report.html"]
    again = ["guide", small, "--start-from", "one/report.html", "--until", "1", "--json"]
    assert main([*again, "--time-budget", "1m"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["settings"]["hidden"] == [8]
    assert result["options"]["time_budget"] == 60


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--time-budget", "soon"], 2, "expected a time above 0 such as 300 or 5m, got 'soon'"),
        (["--time-budget", "0"], 2, "expected a time above 0"),
        (["--until", "8"], 2, "--until"),
        (["--rounds", "0"], 2, "--rounds"),
        (["--start-from", "nowhere.fanin"], 1, "nowhere.fanin"),
    ],
)
def test_wrong_use_is_one_line(small, capsys, arguments, code, text):
    assert main(["guide", small, "--out", "run", "--json", *arguments]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fanin: error: ")
    assert text in line


@pytest.mark.usefixtures("no_pictures")
def test_an_interrupted_command_says_how_to_go_on(small, capsys, monkeypatch):
    from fanin.tuning.guide import steps

    real = steps.coarse_search
    monkeypatch.setattr(steps, "coarse_search", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    command = ["guide", small, "--rounds", "1", "--hidden", "8", "--no-progress", "--out", "run"]
    assert main(command) == 130
    printed = capsys.readouterr()
    assert "interrupted; the same command with --out run goes on" in printed.err
    assert "Step 3." in printed.out
    monkeypatch.setattr(steps, "coarse_search", real)
    assert main(command) == 0
    assert "Test accuracy" in capsys.readouterr().out
